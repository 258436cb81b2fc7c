"""The linear decode against a literal sum, and its landmarks."""

import chex
import jax.numpy as jnp
import numpy as np

from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.face_model.landmarks import (
    landmark_model,
    landmarks18_from_68,
    landmarks_from_coefficients,
)
from twodasl_jax.face_model.linear import select_points, vertices_from_coefficients
from twodasl_jax.geometry.camera import project_to_crop
from twodasl_jax.landmark_tables import (
    LANDMARK_IMPORTANCE_18,
    LANDMARKS_18_FROM_21,
    MIRROR_18,
    MIRROR_68,
)


def random_coefficients(count):
    generator = np.random.default_rng(0)
    return jnp.asarray(generator.normal(size=(count, 62)), jnp.float32)


class LinearTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_decode_is_mean_plus_bases_times_coefficients(self):
        generator = np.random.default_rng(0)
        from twodasl_jax.face_model.linear import LinearModel

        arrays = [generator.normal(size=shape) for shape in ((3, 9), (40, 3, 9), (10, 3, 9))]
        linear = LinearModel(*(jnp.asarray(array, jnp.float32) for array in arrays))
        parts = split_coefficients(random_coefficients(5))
        expected = (
            arrays[0]
            + np.einsum("bk,kcn->bcn", parts.shape, arrays[1])
            + np.einsum("bk,kcn->bcn", parts.expression, arrays[2])
        )
        found = self.variant(vertices_from_coefficients)(linear, parts.shape, parts.expression)
        # float32 sums of 50 products near 1.
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_landmarks_are_the_projected_landmark_vertices(small_face_model):
    coefficients = random_coefficients(3)
    parts = split_coefficients(coefficients)
    everything = vertices_from_coefficients(small_face_model.linear, parts.shape, parts.expression)
    dense = project_to_crop(parts.camera, everything)
    expected = jnp.swapaxes(dense[..., small_face_model.landmark_vertices], -1, -2)
    found = landmarks_from_coefficients(landmark_model(small_face_model), coefficients)
    # The same float32 sums in another order.
    chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-3)


def test_selected_points_keep_their_space(small_face_model):
    chosen = select_points(small_face_model.linear, jnp.array([3, 5]))
    chex.assert_trees_all_equal(chosen.mean, small_face_model.linear.mean[:, jnp.array([3, 5])])
    chex.assert_shape(chosen.shape_basis, (40, 3, 2))


def test_the_eighteen_are_single_points_or_means_of_two():
    landmarks = jnp.stack([jnp.arange(68.0), jnp.zeros(68)], axis=1)
    found = np.asarray(landmarks18_from_68(landmarks))[:, 0]
    expected = [17, 19, 21, 22, 24, 26, 36, 38.5, 39, 42, 44.5, 45, 31, 30, 35, 48, 64, 54]
    np.testing.assert_array_equal(found, expected)


def test_tables_agree_with_each_other():
    np.testing.assert_array_equal(MIRROR_68[MIRROR_68], np.arange(68))
    np.testing.assert_array_equal(MIRROR_18[MIRROR_18], np.arange(18))
    points = jnp.asarray(np.random.default_rng(0).normal(size=(68, 2)), jnp.float32)
    mirrored = np.asarray(landmarks18_from_68(points[MIRROR_68]))
    # The published eye centres (37 + 40)/2 and (43 + 46)/2 are no exact mirror images.
    single = np.setdiff1d(np.arange(18), [7, 10])
    np.testing.assert_array_equal(
        mirrored[single], np.asarray(landmarks18_from_68(points))[MIRROR_18][single]
    )
    assert not {12, 16, 20} & set(LANDMARKS_18_FROM_21.tolist())
    np.testing.assert_array_equal(LANDMARK_IMPORTANCE_18, LANDMARK_IMPORTANCE_18[MIRROR_18])
    assert sorted(LANDMARK_IMPORTANCE_18.tolist()) == [1] * 12 + [2] * 4 + [4] * 2

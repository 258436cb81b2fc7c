"""The linear decode against a literal sum."""

import chex
import jax.numpy as jnp
import numpy as np

from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.face_model.linear import select_points, vertices_from_coefficients


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


def test_selected_points_keep_their_space(small_face_model):
    chosen = select_points(small_face_model.linear, jnp.array([3, 5]))
    chex.assert_trees_all_equal(chosen.mean, small_face_model.linear.mean[:, jnp.array([3, 5])])
    chex.assert_shape(chosen.shape_basis, (40, 3, 2))

"""The labelled points of a face model against literal sums and searches."""

import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.coefficients import Whitening
from twodasl_jax.face_model.landmarks import landmarks18_from_68
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.fitting.contour import NUM_CONTOUR, contour_candidates
from twodasl_jax.fitting.fit_model import labelled_points, make_fit_model
from twodasl_jax.geometry.rotation import rotation_from_euler


@pytest.fixture(scope="module")
def open_face():
    return load_face_model()


@pytest.fixture(scope="module")
def whitened(open_face):
    """The same face model with statistics."""
    generator = np.random.default_rng(0)
    statistics = generator.normal(size=62), generator.uniform(0.5, 2, 62)
    arrays = (jnp.asarray(array, jnp.float32) for array in statistics)
    return open_face.__class__(**{**vars(open_face), "whitening": Whitening(*arrays)})


def turned(yaw_degrees):
    return rotation_from_euler(*(jnp.float32(np.deg2rad(angle)) for angle in (5, yaw_degrees, 8)))


def test_the_points_are_the_landmarks_of_the_priors_face(whitened):
    model = make_fit_model(whitened, marching=False)
    z = jnp.asarray(np.random.default_rng(1).normal(size=50), jnp.float32)
    mean, basis = labelled_points(model, turned(0), z)
    code = model.coefficient_mean + z * model.coefficient_std
    linear = whitened.linear
    everything = np.asarray(linear.mean, np.float64) + np.tensordot(
        np.asarray(code, np.float64),
        np.concatenate([linear.shape_basis, linear.expression_basis]),
        1,
    )
    # Millimetres up to 100, sums of 50 float32 products.
    np.testing.assert_allclose(
        mean + jnp.tensordot(z, basis, 1), everything[:, whitened.landmark_vertices], atol=2e-3
    )


def test_the_18_are_made_of_the_68(open_face):
    eighteen = make_fit_model(open_face, landmark_set=18)
    whole = make_fit_model(open_face, marching=False)
    # Float32 means of two.
    np.testing.assert_allclose(eighteen.mean, landmarks18_from_68(whole.mean.T).T, rtol=1e-6)
    assert eighteen.contour_mean is None


@pytest.mark.parametrize("yaw", [-60, 0, 35])
def test_the_jaw_marches_to_what_sticks_out_farthest_in_the_image(open_face, yaw):
    model, rotation = make_fit_model(open_face), turned(yaw)
    mean, basis = labelled_points(model, rotation, jnp.zeros(50))
    candidates, face = contour_candidates(open_face), np.asarray(open_face.linear.mean)
    turn = np.asarray(rotation, np.float64)
    right_hand = np.array([turn[1, 1], -turn[0, 1]])  # across the upright axis, in the image
    for row in range(NUM_CONTOUR):
        shown = right_hand @ turn[:2] @ face[:, candidates[row]]
        best = np.argmax(np.sign(row - 8) * shown)
        chosen = candidates[row, best if row != 8 else 0]
        np.testing.assert_array_equal(mean[:, row], face[:, chosen])
        np.testing.assert_array_equal(basis[:40, :, row], open_face.linear.shape_basis[..., chosen])
    inner = np.asarray(open_face.landmark_vertices)[NUM_CONTOUR:]
    np.testing.assert_array_equal(mean[:, NUM_CONTOUR:], face[:, inner])


def test_the_far_jaw_moves_and_the_near_one_stays(open_face):
    mean, _ = labelled_points(make_fit_model(open_face), turned(60), jnp.zeros(50))
    own = np.asarray(open_face.linear.mean)[:, np.asarray(open_face.landmark_vertices)[:17]]
    moved = np.flatnonzero((np.asarray(mean)[:, :17] != own).any(axis=0))
    assert 5 <= len(moved) <= 8
    assert (moved < 8).all() or (moved > 8).all()


def test_another_set_is_refused(open_face):
    with pytest.raises(ValueError, match="landmark_set is 21; expected 68, 18 or 86"):
        make_fit_model(open_face, landmark_set=21)

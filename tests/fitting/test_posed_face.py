"""A head's unknowns: where its points are seen, how these move, and steps that only improve."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.coefficients import Coefficients, join_coefficients
from twodasl_jax.crop_frame import flip_y
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.fitting.fit_model import make_fit_model
from twodasl_jax.fitting.posed_face import (
    NUM_POSE,
    PosedFace,
    camera_of,
    improved,
    jacobian,
    moved,
    project,
)
from twodasl_jax.geometry.rotation import rotation_from_euler


@pytest.fixture(scope="module")
def model():
    return make_fit_model(load_face_model(), marching=False)


@pytest.fixture(scope="module")
def face():
    rotation = rotation_from_euler(*(jnp.float32(angle) for angle in (0.2, -0.7, 0.1)))
    z = jnp.asarray(np.random.default_rng(2).normal(size=50), jnp.float32)
    return PosedFace(jnp.float32(0.5), rotation, jnp.array([60.0, 58.0]), z)


def test_derivatives_equal_those_of_the_projection(model, face):
    view = project(face, model.mean, model.basis)
    analytic = jacobian(face, model.basis, view)

    def projected(move):
        return project(moved(face, move), model.mean, model.basis)[:2]

    by_jax = jnp.moveaxis(jax.jacobian(projected)(jnp.zeros(56)), -1, 0)
    # Exact derivatives both, of positions near 100 px in float32.
    chex.assert_trees_all_close(analytic, by_jax, atol=2e-3, rtol=1e-3)


def test_the_camera_shows_the_points_where_the_projection_has_them(model, face):
    raw = face.z * model.coefficient_std + model.coefficient_mean
    joined = join_coefficients(Coefficients(camera_of(face)[None], raw[None, :40], raw[None, 40:]))
    crop = landmarks_from_coefficients(landmark_model(load_face_model()), joined)[0]
    view = project(face, model.mean, model.basis)
    chex.assert_trees_all_close(crop[:, 0], view[0], atol=2e-3)
    chex.assert_trees_all_close(crop[:, 1], flip_y(view[1]), atol=2e-3)
    assert joined[0, 11] == 0


def test_a_move_keeps_a_rotation_and_a_positive_scale(face):
    far = moved(face, jnp.asarray(np.random.default_rng(0).normal(size=56) * 30, jnp.float32))
    chex.assert_trees_all_close(far.rotation @ far.rotation.T, jnp.eye(3), atol=1e-5)
    assert jnp.linalg.det(far.rotation) > 0.99
    assert far.scale > 0
    chex.assert_trees_all_close(moved(face, jnp.zeros(56)), face, atol=1e-6)


@pytest.mark.parametrize(("sign", "taken"), [(1.0, True), (-1.0, False)])
def test_a_step_is_taken_where_it_lowers_the_cost_alone(face, sign, taken):
    """The cost is the squared distance of z from 0; the slope points down it, or up."""
    normal = jnp.eye(NUM_POSE + 50)
    slope = jnp.zeros(NUM_POSE + 50).at[NUM_POSE:].set(-sign * face.z)
    damping = jnp.float32(1.0)
    found, next_damping, cost = improved(face, damping, normal, slope, lambda at: (at.z**2).sum())
    assert bool(cost < (face.z**2).sum()) is taken
    assert bool(next_damping < damping) is taken
    if taken:  # damped by as much as the matrix has: half of the way
        chex.assert_trees_all_close(found.z, 0.5 * face.z, atol=1e-4)
    else:
        chex.assert_trees_all_equal(found, face)

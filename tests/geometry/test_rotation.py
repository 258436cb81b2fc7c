"""Rotations: 300W-LP's convention, round trips, gimbal lock, the polar factor."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.geometry.rotation import (
    euler_from_rotation,
    in_plane_angle,
    nearest_rotation,
    rotation_from_euler,
)


def literal_rotation(pitch, yaw, roll):
    cx, sx, cy, sy, cz, sz = (f(a) for a in (pitch, yaw, roll) for f in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_z = np.array([[cz, sz, 0], [-sz, cz, 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


@pytest.fixture(scope="module")
def angles():
    generator = np.random.default_rng(0)
    limits = np.array([[np.pi], [np.pi / 2], [np.pi]]) * 0.99
    return jnp.asarray(generator.uniform(-1, 1, (3, 50)) * limits, jnp.float32)


class RotationTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_it_is_the_product_of_three_literal_rotations(self):
        angles = np.random.default_rng(1).uniform(-1.5, 1.5, (3, 20)).astype(np.float32)
        expected = np.stack([literal_rotation(*column) for column in angles.T])
        rotation = self.variant(rotation_from_euler)(*map(jnp.asarray, angles))
        # float32 products of sines and cosines.
        np.testing.assert_allclose(rotation, expected, atol=1e-6)


def test_angles_survive_the_round_trip(angles):
    found = euler_from_rotation(rotation_from_euler(*angles))
    # arcsin near 90 degrees loses half of float32's digits.
    np.testing.assert_allclose(np.stack(found), angles, atol=2e-3)


@pytest.mark.parametrize("yaw", [90.0, -90.0])
def test_at_gimbal_lock_the_angles_still_give_the_rotation(yaw):
    yaw = np.deg2rad(yaw)
    rotation = literal_rotation(0.4, yaw, -0.3)
    angles = euler_from_rotation(jnp.asarray(rotation, jnp.float32))
    assert float(angles.roll) == 0.0
    # cos(90°) is 1e-8 in float32.
    np.testing.assert_allclose(
        literal_rotation(*(float(angle) for angle in angles)), rotation, atol=1e-3
    )


def test_nearest_rotation_is_the_polar_factor():
    generator = np.random.default_rng(2)
    true = np.stack([literal_rotation(*generator.uniform(-1, 1, 3)) for _ in range(10)])
    stretch = np.diag([1.3, 0.9, 0.6])
    matrix = jnp.asarray(5e-4 * true @ stretch, jnp.float32)
    # float32 SVD.
    np.testing.assert_allclose(nearest_rotation(matrix), true, atol=1e-5)


def test_nearest_rotation_never_mirrors():
    mirrored = jnp.diag(jnp.array([1.0, 1.0, -1.0]))
    rotation = nearest_rotation(mirrored)
    assert float(jnp.linalg.det(rotation)) == pytest.approx(1.0, abs=1e-6)


def test_gradients_are_finite():
    gradient = jax.grad(lambda a: rotation_from_euler(a, a, a).sum())(jnp.float32(0.0))
    chex.assert_tree_all_finite(gradient)


@pytest.mark.parametrize("turn", [0.0, 40.0, -120.0, 179.0])
def test_the_angle_in_the_picture_is_the_roll_and_still_one_in_profile(turn):
    roll = jnp.deg2rad(turn)
    frontal = rotation_from_euler(jnp.float32(0.0), jnp.float32(0.0), roll)
    # float32 angles.
    assert np.rad2deg(in_plane_angle(frontal)) == pytest.approx(turn, abs=1e-3)
    # A profile turned in the picture: its roll is another.
    profile = frontal @ rotation_from_euler(jnp.float32(0.0), jnp.deg2rad(90.0), jnp.float32(0.0))
    assert np.rad2deg(in_plane_angle(profile)) == pytest.approx(turn, abs=1e-3)

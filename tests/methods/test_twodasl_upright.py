"""`methods/twodasl_upright.py`: pictures and cameras turn together, and only where heads lie."""

import chex
import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.data.augment import warp_coefficients, warp_image
from twodasl_jax.methods.twodasl_upright import turn_to_upright, turned_back, turned_pictures

DEGREES = np.array([0.0, 30.0, -75.0, 160.0])


def turn_of(degrees):
    return cv2.getRotationMatrix2D((60, 60), degrees, 1.0)


def faces():
    """Raw coefficients of heads that stand, with some yaw and pitch."""
    generator = np.random.default_rng(0)
    coefficients = generator.normal(size=(4, 62))
    for row, (yaw, pitch) in enumerate(((0.0, 0.1), (0.9, 0.0), (-1.2, -0.2), (0.4, 0.3))):
        about_y = np.array(
            [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
        )
        about_x = np.array(
            [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
        )
        camera = np.concatenate([0.5 * about_x @ about_y, [[55.0], [66.0], [0.0]]], axis=1)
        coefficients[row, :12] = camera.ravel()
    return coefficients.astype(np.float32)


def test_pictures_turn_as_trainings_do():
    image = np.random.default_rng(1).integers(0, 256, (4, 120, 120, 3)).astype(np.uint8)
    smooth = np.stack([cv2.GaussianBlur(picture, (0, 0), 3) for picture in image])
    turned = np.asarray(turned_pictures(jnp.asarray(smooth), jnp.deg2rad(jnp.asarray(DEGREES))))
    for degrees, before, after in zip(DEGREES, smooth, turned, strict=True):
        wanted = warp_image(before, turn_of(degrees)).astype(int)
        # OpenCV places samples to a 32nd of a pixel; at the black border that shows most.
        assert np.abs(after.astype(int) - wanted)[12:-12, 12:-12].max() <= 3
        assert np.mean(np.abs(after.astype(int) - wanted)) < 1


def test_a_turned_head_is_brought_upright_and_its_camera_back():
    upright = faces()
    lying = np.stack(
        [warp_coefficients(f, turn_of(d)) for f, d in zip(upright, DEGREES, strict=True)]
    )
    turn = turn_to_upright(jnp.asarray(lying))
    axis = [warp_coefficients(f, turn_of(np.degrees(t))) for f, t in zip(lying, turn, strict=True)]
    for face, angle in zip(axis[1:], turn[1:], strict=True):
        assert angle != 0
        assert face[1] == pytest.approx(0, abs=1e-4)
        assert face[5] > 0
    assert turn[0] == 0
    again = np.stack(
        [warp_coefficients(f, turn_of(np.degrees(t))) for f, t in zip(lying, turn, strict=True)]
    )
    back = np.array(turned_back(jnp.asarray(again), turn))
    back[:, 11] = lying[:, 11]  # t_z cannot be seen
    chex.assert_trees_all_close(back, lying, atol=1e-4)

"""`metrics/head_pose.py` on cameras built from known angles."""

import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.geometry.camera import CameraParts, camera_from_parts
from twodasl_jax.geometry.rotation import rotation_from_euler
from twodasl_jax.metrics.head_pose import head_pose_errors


def cameras_from_degrees(pitch, yaw, roll) -> np.ndarray:
    angles = [jnp.radians(jnp.asarray(angle, jnp.float32)) for angle in (pitch, yaw, roll)]
    count = len(pitch)
    return np.asarray(
        camera_from_parts(
            CameraParts(jnp.full(count, 5e-4), rotation_from_euler(*angles), jnp.ones((count, 3)))
        )
    )


def pose_para_from_degrees(pitch, yaw, roll) -> np.ndarray:
    pose = np.zeros((len(pitch), 7))
    pose[:, :3] = np.radians(np.stack([pitch, yaw, roll], axis=1))
    return pose


PITCH, YAW, ROLL = np.array([5.0, -20.0]), np.array([40.0, -75.0]), np.array([-10.0, 15.0])


def test_errors_are_per_angle_in_degrees_and_in_the_order_yaw_pitch_roll():
    cameras = cameras_from_degrees(PITCH + 1, YAW - 2, ROLL + 3)
    errors = head_pose_errors(cameras, pose_para_from_degrees(PITCH, YAW, ROLL))
    # Float32 singular values: a few 1e-7 radians, more where yaw nears 90 degrees.
    np.testing.assert_allclose(errors, [[2, 1, 3]] * 2, atol=2e-3)


def test_the_error_does_not_change_with_the_cameras_scale():
    cameras = cameras_from_degrees(PITCH, YAW, ROLL)
    pose = pose_para_from_degrees(PITCH, YAW + 1, ROLL)
    # Float32 singular values.
    np.testing.assert_allclose(
        head_pose_errors(cameras, pose), head_pose_errors(100 * cameras, pose), atol=2e-3
    )


def test_differences_go_the_short_way_round():
    cameras = cameras_from_degrees(np.zeros(1), np.zeros(1), np.array([179.0]))
    errors = head_pose_errors(
        cameras, pose_para_from_degrees(np.zeros(1), np.zeros(1), np.array([-179.0]))
    )
    # Float32 angles near pi.
    np.testing.assert_allclose(errors, [[0, 0, 2]], atol=2e-3)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="expected"):
        head_pose_errors(np.zeros((2, 12)), np.zeros((2, 7)))

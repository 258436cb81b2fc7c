"""Head pose errors: predicted cameras against 300W-LP's ``Pose_Para``."""

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from twodasl_jax.geometry.camera import head_pose


def head_pose_errors(cameras: npt.ArrayLike, pose_para: npt.ArrayLike) -> np.ndarray:
    """Absolute error of yaw, pitch and roll per face, in degrees.

    The rotation is the polar factor of the camera's 3x3 block; differences are taken the short
    way round the circle.

    Args:
      cameras: ``(b, 3, 4)`` predicted ``[f·R | t]``.
      pose_para: ``(b, 7)`` annotated ``[pitch, yaw, roll, ...]``, radians.

    Returns:
      ``(b, 3)``: yaw, pitch, roll.

    Raises:
      ValueError: where shapes do not fit.
    """
    cameras, pose_para = np.asarray(cameras), np.asarray(pose_para, np.float64)
    if cameras.shape[1:] != (3, 4) or pose_para.shape != (len(cameras), 7):
        raise ValueError(
            f"cameras {cameras.shape}, pose_para {pose_para.shape}; expected (b, 3, 4) and (b, 7)"
        )
    angles = head_pose(jnp.asarray(cameras, jnp.float32))
    predicted = np.stack([angles.yaw, angles.pitch, angles.roll], axis=-1).astype(np.float64)
    difference = np.degrees(predicted - pose_para[:, [1, 0, 2]])
    return np.abs((difference + 180.0) % 360.0 - 180.0)

"""The scaled-orthographic camera: projection to the crop, and converters to other forms.

The 12 camera coefficients are ``[f·R | t]`` row-major; ``V = f·R·S + t`` is the view frame
(y up); `twodasl_jax.crop_frame` carries it to crop pixels.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from twodasl_jax.crop_frame import CROP_SIZE, flip_y
from twodasl_jax.geometry.rotation import (
    EulerAngles,
    euler_from_rotation,
    nearest_rotation,
    rotation_from_euler,
)


class CameraParts(NamedTuple):
    """A camera taken apart.

    Attributes:
      scale: ``(*batch)`` f, crop pixels per model unit, positive.
      rotation: ``(*batch, 3, 3)`` a true rotation.
      translation: ``(*batch, 3)`` view frame, crop pixels.
    """

    scale: Float[Array, "*batch"]
    rotation: Float[Array, "*batch 3 3"]
    translation: Float[Array, "*batch 3"]


def project_to_crop(
    camera: Float[Array, "*batch 3 4"],
    points: Float[Array, "*batch 3 n"],
    *,
    crop_size: int = CROP_SIZE,
) -> Float[Array, "*batch 3 n"]:
    """``V = f·R·S + t``, then ``x = V_x``, ``y = crop_size + 1 - V_y``, ``z = V_z``.

    Args:
      camera: ``[f·R | t]``.
      points: planar, in the model's frame (y up).
      crop_size: side of the crop that the camera is of, pixels.

    Returns:
      Planar crop-frame points: x right, y down, z towards the viewer, crop pixels.
    """
    # HIGHEST: model units run to 1e5 (BFM, micrometres); reduced precision costs whole pixels.
    view = jnp.matmul(camera[..., :3], points, precision=jax.lax.Precision.HIGHEST)
    view = view + camera[..., 3:]
    x, y, z = (view[..., i, :] for i in range(3))
    return jnp.stack([x, flip_y(y, crop_size=crop_size), z], axis=-2)


def camera_parts(camera: Float[Array, "*batch 3 4"]) -> CameraParts:
    """Scale, nearest rotation (polar decomposition) and translation of a camera matrix.

    Predicted cameras need not be exact similarities: the rotation is the polar factor, and
    the scale is the mean length of the first two rows (the third is depth only).
    """
    scaled_rotation = camera[..., :3]
    scale = jnp.linalg.norm(scaled_rotation[..., :2, :], axis=-1).mean(-1)
    return CameraParts(scale, nearest_rotation(scaled_rotation), camera[..., 3])


def camera_from_parts(parts: CameraParts) -> Float[Array, "*batch 3 4"]:
    """Inverse of `camera_parts` on exact similarities."""
    scaled_rotation = parts.scale[..., None, None] * parts.rotation
    return jnp.concatenate([scaled_rotation, parts.translation[..., None]], axis=-1)


def crop_framing(
    rotated: Float[Array, "*batch 3 68"],
    *,
    crop_size: int = CROP_SIZE,
    zoom: Float[Array, "*batch"] | float = 1.0,
    shift: Float[Array, "*batch 2"] | float = 0.0,
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch 2"]]:
    """Scale and translation that put the 68 landmarks where the crop rule does.

    Their box comes to lie in the crop's middle, its longer side ``size/√2`` (method.md section 2).

    Args:
      rotated: the landmarks, in the view frame's directions, any unit.
      crop_size: side of the crop, pixels.
      zoom: times the rule's scale.
      shift: beside the rule's place, crop pixels, y up.

    Returns:
      The scale f, and the x and y of t.
    """
    lowest, highest = rotated.min(axis=-1)[..., :2], rotated.max(axis=-1)[..., :2]
    # L = 2√2·r: the crop is √2 times the longer side of the box.
    scale = zoom * crop_size / jnp.sqrt(2) / (highest - lowest).max(axis=-1)
    middle = jnp.array([crop_size / 2, flip_y(crop_size / 2, crop_size=crop_size)])
    place = jnp.broadcast_to(middle, lowest.shape) + shift
    return scale, place - scale[..., None] * 0.5 * (lowest + highest)


def head_pose(camera: Float[Array, "*batch 3 4"]) -> EulerAngles:
    """Pitch, yaw and roll in radians, with the signs of 300W-LP's ``Pose_Para``."""
    return euler_from_rotation(camera_parts(camera).rotation)


def camera_from_pose_para(
    pose_para: Float[Array, "*batch 7"],
    roi_box: Float[Array, "*batch 4"],
    image_height: Float[Array, "*batch"],
) -> Float[Array, "*batch 3 4"]:
    """300W-LP / AFLW2000-3D pose parameters to the camera of a 120x120 crop (method.md section 2).

    ``s = 120/L``; ``f' = s·f``, ``tx' = s·(tx - sx)``, ``ty' = 121 - s·((H + 1 - ty) - sy)``,
    ``tz' = s·tz``.

    Args:
      pose_para: ``[pitch, yaw, roll, tx, ty, tz, f]``, radians and MATLAB pixels, y up.
      roi_box: ``(sx, sy, ex, ey)`` of the (square) crop, image pixels.
      image_height: H, pixels.
    """
    pitch, yaw, roll, tx, ty, tz, f = (pose_para[..., i] for i in range(7))
    scale = CROP_SIZE / (roi_box[..., 2] - roi_box[..., 0])
    row = image_height + 1 - ty
    translation = jnp.stack(
        [
            scale * (tx - roi_box[..., 0]),
            flip_y(scale * (row - roi_box[..., 1])),
            scale * tz,
        ],
        axis=-1,
    )
    rotation = rotation_from_euler(pitch, yaw, roll)
    return camera_from_parts(CameraParts(scale * f, rotation, translation))


def pose_para_from_camera(
    camera: Float[Array, "*batch 3 4"],
    roi_box: Float[Array, "*batch 4"],
    image_height: Float[Array, "*batch"],
) -> Float[Array, "*batch 7"]:
    """Inverse of `camera_from_pose_para` on exact similarities."""
    parts = camera_parts(camera)
    angles = euler_from_rotation(parts.rotation)
    scale = CROP_SIZE / (roi_box[..., 2] - roi_box[..., 0])
    x, y, z = (parts.translation[..., i] for i in range(3))
    row = flip_y(y) / scale + roi_box[..., 1]
    return jnp.stack(
        [
            angles.pitch,
            angles.yaw,
            angles.roll,
            x / scale + roi_box[..., 0],
            image_height + 1 - row,
            z / scale,
            parts.scale / scale,
        ],
        axis=-1,
    )

"""Rotation matrices in 300W-LP's convention.

``R = Rx(pitch)·Ry(yaw)·Rz(roll)`` with ``Rx = [1 0 0; 0 c s; 0 -s c]``,
``Ry = [c 0 -s; 0 1 0; s 0 c]``, ``Rz = [c s 0; -s c 0; 0 0 1]`` (method.md section 1):
the signs of 300W-LP's ``Pose_Para``. All angles are in radians unless a name says degrees.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class EulerAngles(NamedTuple):
    """Head pose; ``(*batch)`` each, radians."""

    pitch: Float[Array, "*batch"]
    yaw: Float[Array, "*batch"]
    roll: Float[Array, "*batch"]


def rotation_from_euler(
    pitch: Float[Array, "*batch"], yaw: Float[Array, "*batch"], roll: Float[Array, "*batch"]
) -> Float[Array, "*batch 3 3"]:
    """``Rx(pitch)·Ry(yaw)·Rz(roll)``, multiplied out."""
    cx, sx = jnp.cos(pitch), jnp.sin(pitch)
    cy, sy = jnp.cos(yaw), jnp.sin(yaw)
    cz, sz = jnp.cos(roll), jnp.sin(roll)
    rows = [
        [cy * cz, cy * sz, -sy],
        [-cx * sz + sx * sy * cz, cx * cz + sx * sy * sz, sx * cy],
        [sx * sz + cx * sy * cz, -sx * cz + cx * sy * sz, cx * cy],
    ]
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def euler_from_rotation(rotation: Float[Array, "*batch 3 3"]) -> EulerAngles:
    """Inverse of `rotation_from_euler`, with yaw in [-90, 90] degrees.

    At yaw = ±90 degrees pitch and roll are one angle; the whole of it is then called pitch.
    """
    # Rounding can leave the entry a hair outside [-1, 1], where arcsin is NaN.
    sin_yaw = jnp.clip(-rotation[..., 0, 2], -1.0, 1.0)
    yaw = jnp.arcsin(sin_yaw)
    # cos² of the yaw under 1e-10: pitch and roll turn about the same axis.
    locked = 1.0 - sin_yaw**2 < 1e-10
    pitch = jnp.where(
        locked,
        jnp.arctan2(sin_yaw * rotation[..., 1, 0], rotation[..., 1, 1]),
        jnp.arctan2(rotation[..., 1, 2], rotation[..., 2, 2]),
    )
    roll = jnp.where(locked, 0.0, jnp.arctan2(rotation[..., 0, 1], rotation[..., 0, 0]))
    return EulerAngles(pitch, yaw, roll)


def nearest_rotation(matrix: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 3 3"]:
    """The rotation nearest to `matrix` in the Frobenius norm (its polar factor, det = +1)."""
    left, _, right = jnp.linalg.svd(matrix)
    sign = jnp.sign(jnp.linalg.det(left @ right))
    signs = jnp.stack([jnp.ones_like(sign), jnp.ones_like(sign), sign], axis=-1)
    return (left * signs[..., None, :]) @ right


def in_plane_angle(rotation: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch"]:
    """How far the picture shows the vertical axis turned, radians: 0 is upright.

    Of a frontal head it is the roll of `euler_from_rotation`. That one turns the head about its own
    axis, before the yaw: in profile it is no longer what is seen.

    Args:
      rotation: model to view frame, y up.
    """
    return jnp.arctan2(rotation[..., 0, 1], rotation[..., 1, 1])

"""One head during a fit: its unknowns, where its points are seen, and how these move with them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from twodasl_jax.geometry.rotation import rotation_from_euler

_HIGHEST = jax.lax.Precision.HIGHEST

NUM_POSE = 6
"""Unknowns before shape and expression: turns about x, y, z, log scale, shifts in x and y."""


class PosedFace(NamedTuple):
    """One face's unknowns.

    Attributes:
      scale: crop pixels per model unit.
      rotation: of the head.
      translation: view frame (y up), crop pixels.
      z: shape and expression in standard deviations (`FitModel`).
    """

    scale: Float[Array, ""]
    rotation: Float[Array, "3 3"]
    translation: Float[Array, " 2"]
    z: Float[Array, " 50"]


def start_at_yaw(
    mean: Float[Array, "3 m"],
    target: Float[Array, "2 m"],
    weights: Float[Array, " m"],
    yaw: Float[Array, ""],
) -> PosedFace:
    """The mean face at a yaw, carried onto the labels by the best 2D similarity.

    Args:
      mean: the labelled points of the mean face.
      target: the labels, view frame.
      weights: 0 for a point that is not known.
      yaw: radians.
    """
    turned = rotation_from_euler(jnp.zeros(()), yaw, jnp.zeros(()))
    flat = (turned @ mean)[:2]
    share = weights / jnp.maximum(weights.sum(), 1e-6)
    flat_mean, target_mean = flat @ share, target @ share
    source, wanted = flat - flat_mean[:, None], target - target_mean[:, None]
    spread = jnp.maximum((share[None] * source**2).sum(), 1e-6)
    # As complex numbers: wanted ≈ (a + ib)·source, the least-squares a and b.
    a = (share[None] * source * wanted).sum() / spread
    b = (share * (source[0] * wanted[1] - source[1] * wanted[0])).sum() / spread
    scale = jnp.maximum(jnp.hypot(a, b), 1e-6)
    cos, sin = a / scale, b / scale
    zero, one = jnp.zeros_like(cos), jnp.ones_like(cos)
    roll = jnp.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one]).reshape(3, 3)
    translation = target_mean - scale * (roll[:2, :2] @ flat_mean)
    return PosedFace(scale, roll @ turned, translation, jnp.zeros(50))


def project(
    face: PosedFace, mean: Float[Array, "3 m"], basis: Float[Array, "50 3 m"]
) -> Float[Array, "3 m"]:
    """The points in the view frame (y up), crop pixels; depth without translation.

    Args:
      face: to project.
      mean: of the labelled points.
      basis: per standard deviation.
    """
    points = mean + jnp.tensordot(face.z, basis, axes=1, precision=_HIGHEST)
    view = face.scale * jnp.matmul(face.rotation, points, precision=_HIGHEST)
    return view.at[:2].add(face.translation[:, None])


def jacobian(
    face: PosedFace, basis: Float[Array, "50 3 m"], view: Float[Array, "3 m"]
) -> Float[Array, "56 2 m"]:
    """Derivatives of view[:2] by turns about x, y, z, log scale, shifts in x, y, and z_1 … z_50.

    Args:
      face: to move.
      basis: of the labelled points.
      view: from `project`.
    """
    x, y, depth = view.at[:2].add(-face.translation[:, None])
    zero, one = jnp.zeros_like(x), jnp.ones_like(x)
    pose = jnp.stack(
        [
            jnp.stack([zero, -depth]),
            jnp.stack([depth, zero]),
            jnp.stack([-y, x]),
            jnp.stack([x, y]),
            jnp.stack([one, zero]),
            jnp.stack([zero, one]),
        ]
    )
    scaled = face.scale * face.rotation[:2]
    shape = jnp.einsum("ij,kjn->kin", scaled, basis, precision=_HIGHEST)
    return jnp.concatenate([pose, shape])


def moved(face: PosedFace, move: Float[Array, " 56"]) -> PosedFace:
    """A face after a move of its unknowns.

    Args:
      face: to move.
      move: in the order of `jacobian`.
    """
    turn = _rotation_from_vector(move[:3])
    return PosedFace(
        scale=face.scale * jnp.exp(move[3].clip(-1.0, 1.0)),
        rotation=jnp.matmul(turn, face.rotation, precision=_HIGHEST),
        translation=face.translation + move[4:6],
        z=face.z + move[6:],
    )


def _rotation_from_vector(vector: Float[Array, " 3"]) -> Float[Array, "3 3"]:
    """Rodrigues: the rotation by ``‖vector‖`` about it; smooth at 0."""
    square = (vector**2).sum()
    angle = jnp.sqrt(jnp.maximum(square, 1e-12))
    x, y, z = vector
    zero = jnp.zeros_like(x)
    skew = jnp.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape(3, 3)
    first, second = jnp.sinc(angle / jnp.pi), 0.5 * jnp.sinc(0.5 * angle / jnp.pi) ** 2
    return jnp.eye(3) + first * skew + second * jnp.matmul(skew, skew, precision=_HIGHEST)


def improved(
    face: PosedFace,
    damping: Float[Array, ""],
    normal: Float[Array, "56 56"],
    slope: Float[Array, " 56"],
    cost: Callable[[PosedFace], Float[Array, ""]],
) -> tuple[PosedFace, Float[Array, ""], Float[Array, ""]]:
    """One Levenberg-Marquardt step, taken only where it lowers the cost.

    Args:
      face: to move.
      damping: of the step.
      normal: the Gauss-Newton matrix at the face.
      slope: the negative gradient there, in the matrix's unit.
      cost: of a face.

    Returns:
      The face, the next step's damping, and the cost of the face.
    """
    diagonal = jnp.diagonal(normal)
    # The floor keeps the system solvable for a face without a known point.
    damped = normal + jnp.diag(damping * diagonal + 1e-6 * diagonal.max() + 1e-6)
    candidate = moved(face, jax.scipy.linalg.solve(damped, slope, assume_a="pos"))
    before, after = cost(face), cost(candidate)
    better = after < before  # also False for NaN
    face = jax.tree.map(lambda new, old: jnp.where(better, new, old), candidate, face)
    damping = jnp.where(better, damping * 0.3, damping * 5.0).clip(1e-6, 1e6)
    return face, damping, jnp.where(better, after, before)


def camera_of(face: PosedFace) -> Float[Array, "3 4"]:
    """``[f·R | t]``; t_z is 0 (it cannot be seen).

    Args:
      face: of which it is.
    """
    shift = jnp.pad(face.translation, (0, 1))[:, None]
    return jnp.concatenate([face.scale * face.rotation, shift], axis=-1)

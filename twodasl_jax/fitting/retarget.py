"""The faces of one face model as faces of another, through points that both have.

With a face's points ``y_v`` where its own camera shows them (depth too), find the other model's

    minimise  Σ_v w_v ‖y_v - s·R·(m_v + B_v·z) - t‖² / s²  +  λ·‖z‖²,   Σ w_v = 1

over similarity and coefficients z in standard deviations. Both halves have closed forms, taken in
turn: the similarity (Umeyama) and, with it undone, a linear least-squares problem whose matrix is
the same for all faces and steps.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from twodasl_jax.coefficients import (
    NUM_SHAPE,
    Coefficients,
    Whitening,
    join_coefficients,
    split_coefficients,
)
from twodasl_jax.face_model.linear import LinearModel, vertices_from_coefficients
from twodasl_jax.geometry.alignment import similarity_alignment
from twodasl_jax.geometry.camera import camera_parts

_HIGHEST = jax.lax.Precision.HIGHEST

NUM_ROUNDS = 20
"""Of similarity and coefficients; on AFLW's fits the last moves the 68 points by 0.003 px
(0.03 at most), all that would follow by 0.02."""

LANDMARK_SHARE = 0.6
"""Of all weight, that of the 68 landmarks: they are what networks are trained and scored by. With
0.25 instead, AFLW's validation fits come 0.3 mm nearer to the surface, and the 68 points 0.3 %
farther away."""

PRIOR = 0.05
"""λ: squared millimetres, on average over the points, that a standard deviation is worth. AFLW's
validation faces then have coefficients of the open face model of 1.3 standard deviations (rms)."""


class RetargetModel(NamedTuple):
    """Two face models at points that both have, the 68 landmarks last.

    Attributes:
      source: whose faces are given, millimetres.
      source_unit: its own units per millimetre.
      target: whose faces are wanted: its mean at the statistics' mean, and one standard deviation
        each, ``(50, 3, p)``.
      target_unit: its own units per millimetre.
      weights: ``(p,)``, of sum 1.
      solve: ``(50, 3 p)`` from what is left of the points to coefficients.
      mean: ``(50,)`` of the target's coefficients.
      std: ``(50,)``.
    """

    source: LinearModel
    source_unit: Float[Array, ""]
    target: tuple[Float[Array, "3 p"], Float[Array, "50 3 p"]]
    target_unit: Float[Array, ""]
    weights: Float[Array, " p"]
    solve: Float[Array, "50 k"]
    mean: Float[Array, " 50"]
    std: Float[Array, " 50"]


class Retargeted(NamedTuple):
    """Faces of the other model.

    Attributes:
      coefficients: ``(n, 62)`` raw, of the same crops; t_z is 0 (it cannot be seen).
      surface_mm: ``(n,)`` mean distance of the surface's points from those given, in the source's
        millimetres.
    """

    coefficients: Float[Array, "n 62"]
    surface_mm: Float[Array, " n"]


def make_retarget_model(
    source: LinearModel,
    target: LinearModel,
    *,
    units: tuple[float, float],
    whitening: Whitening | None,
) -> RetargetModel:
    """Prepares two models.

    Args:
      source: at points that both have, the 68 landmarks last; millimetres.
      target: at the same points, millimetres.
      units: per millimetre, of the source's and the target's own mesh.
      whitening: of the target's coefficients; None is unit variance.
    """
    mean, std = np.zeros(50), np.ones(50)
    if whitening is not None:
        mean, std = (np.asarray(part, np.float64)[12:] for part in whitening)
    basis = np.concatenate([target.shape_basis, target.expression_basis]).astype(np.float64)
    centre = np.asarray(target.mean, np.float64) + np.tensordot(mean, basis, axes=1)
    basis = basis * std[:, None, None]
    count = basis.shape[-1]
    is_landmark = np.arange(count) >= count - 68
    weights = np.where(is_landmark, LANDMARK_SHARE / 68, (1 - LANDMARK_SHARE) / (count - 68))
    flat = basis.reshape(len(basis), -1)
    weighted = flat * np.tile(weights, 3)
    solve = np.linalg.solve(weighted @ flat.T + PRIOR * np.eye(len(basis)), weighted)
    arrays = [jnp.asarray(array, jnp.float32) for array in (centre, basis, weights, solve)]
    return RetargetModel(
        source,
        jnp.float32(units[0]),
        (arrays[0], arrays[1]),
        jnp.float32(units[1]),
        arrays[2],
        arrays[3],
        jnp.asarray(mean, jnp.float32),
        jnp.asarray(std, jnp.float32),
    )


@jax.jit
def retarget(model: RetargetModel, coefficients: Float[Array, "n 62"]) -> Retargeted:
    """The other model's faces nearest to given ones.

    Args:
      model: from `make_retarget_model`.
      coefficients: raw, of the source.
    """
    parts = split_coefficients(coefficients)
    linear = parts.camera[..., :3] * model.source_unit
    points = vertices_from_coefficients(model.source, parts.shape, parts.expression)
    shown = jnp.matmul(linear, points, precision=_HIGHEST) + parts.camera[..., 3:]
    wanted = jnp.swapaxes(shown, -1, -2)
    centre, basis = model.target

    def decoded(z: Float[Array, "n 50"]) -> Float[Array, "n p 3"]:
        moved = centre[None] + jnp.tensordot(z, basis, axes=1, precision=_HIGHEST)
        return jnp.swapaxes(moved, -1, -2)

    def round_of(z: Float[Array, "n 50"], _: None) -> tuple[Float[Array, "n 50"], None]:
        similarity = similarity_alignment(decoded(z), wanted, model.weights)
        # Rows times R is the inverse rotation of columns.
        undone = jnp.matmul(
            wanted - similarity.translation[:, None], similarity.rotation, precision=_HIGHEST
        )
        undone = jnp.swapaxes(undone / similarity.scale[:, None, None], -1, -2)
        left = (undone - centre[None]).reshape(len(z), -1)
        return jnp.matmul(left, model.solve.T, precision=_HIGHEST), None

    z, _ = jax.lax.scan(round_of, jnp.zeros((len(coefficients), 50)), length=NUM_ROUNDS)
    similarity = similarity_alignment(decoded(z), wanted, model.weights)
    turned = similarity.scale[:, None, None] * similarity.rotation
    found = jnp.matmul(decoded(z), jnp.swapaxes(turned, -1, -2), precision=_HIGHEST)
    apart = jnp.linalg.norm(found + similarity.translation[:, None] - wanted, axis=-1)
    pixels = camera_parts(parts.camera).scale * model.source_unit
    raw = z * model.std[None] + model.mean[None]
    translation = similarity.translation.at[:, 2].set(0.0)
    camera = jnp.concatenate([turned / model.target_unit, translation[..., None]], axis=-1)
    joined = join_coefficients(Coefficients(camera, raw[:, :NUM_SHAPE], raw[:, NUM_SHAPE:]))
    return Retargeted(joined, apart[:, :-68].mean(axis=1) / pixels)

"""Least-squares alignment of point sets by a similarity."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Similarity(NamedTuple):
    """``target ≈ scale · rotation · source + translation``, for points as columns.

    Attributes:
      scale: ``(*batch)`` not negative.
      rotation: ``(*batch, d, d)`` a true rotation, det = +1.
      translation: ``(*batch, d)``.
    """

    scale: Float[Array, "*batch"]
    rotation: Float[Array, "*batch d d"]
    translation: Float[Array, "*batch d"]


def similarity_alignment(
    source: Float[Array, "*batch n d"],
    target: Float[Array, "*batch n d"],
    weights: Float[Array, " n"] | None = None,
) -> Similarity:
    """The similarity that carries `source` onto `target` with the least sum of squares.

    Umeyama, "Least-squares estimation of transformation parameters between two point
    patterns", PAMI 1991, eqs. 40-42; reflections are excluded.

    Args:
      source: points, one a row.
      target: the corresponding points.
      weights: what each point counts; None is the same for all.

    Returns:
      A `Similarity`; the scale is 0 where all source points coincide.
    """
    count = source.shape[-2]
    share = jnp.full(count, 1 / count) if weights is None else weights / weights.sum()
    share = share.reshape(*[1] * (source.ndim - 2), count, 1)
    source_mean = (share * source).sum(-2, keepdims=True)
    target_mean = (share * target).sum(-2, keepdims=True)
    from_points, to_points = source - source_mean, target - target_mean
    covariance = jnp.matmul(
        jnp.swapaxes(share * to_points, -1, -2), from_points, precision=jax.lax.Precision.HIGHEST
    )
    left, strengths, right = jnp.linalg.svd(covariance)
    # -1 where the best orthogonal map is a reflection: the weakest axis is then turned over.
    handedness = jnp.where(jnp.linalg.det(left) * jnp.linalg.det(right) < 0, -1.0, 1.0)
    signs = jnp.ones_like(strengths).at[..., -1].set(handedness)
    rotation = (left * signs[..., None, :]) @ right
    spread = (share * jnp.square(from_points)).sum((-2, -1))
    # Guarded before the division: coinciding points have no scale.
    scale = jnp.where(
        spread > 0, (strengths * signs).sum(-1) / jnp.where(spread > 0, spread, 1.0), 0.0
    )
    moved = (rotation @ jnp.swapaxes(source_mean, -1, -2))[..., 0]
    return Similarity(scale, rotation, target_mean[..., 0, :] - scale[..., None] * moved)

"""The vertex distance cost ``L_vdc`` of stage 2 (method.md section 4).

``V(q) - V(q*)`` is linear in a few products of camera and shape coefficients::

    V(q) - V(q*) = (M - M*)·mean + Σ_i (M a_i - M* a*_i)·A_i + (t - t*),   M = f·R

so row r of the difference is ``u_r · Z``: `u_r` has 154 numbers, and Z stacks the x, y, z
rows of mean and bases and a row of ones. One product instead of two decodes and two
projections; and the mean over *all* vertices is the quadratic form ``Σ_r u_r G u_rᵀ`` with
``G = Z Zᵀ / n``, a 154x154 constant of the face model: its price does not depend on n.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from twodasl_jax.coefficients import TRANSLATION_Z, split_coefficients
from twodasl_jax.face_model.linear import LinearModel

_HIGHEST = jax.lax.Precision.HIGHEST


def _difference_factors(
    predicted: Float[Array, "batch 62"], target: Float[Array, "batch 62"]
) -> Float[Array, "batch 3 154"]:
    """``u``: columns 3k + c belong to coordinate c of the mean (k = 0) and direction k; then 1."""
    # t_z copied from the ground truth: depth is relative, its difference counts as 0.
    predicted = predicted.at[:, TRANSLATION_Z].set(target[:, TRANSLATION_Z])
    factors, translations = [], []
    for coefficients in (predicted, target):
        parts = split_coefficients(coefficients)
        shape = jnp.concatenate([parts.shape, parts.expression], axis=-1)
        directions = jnp.concatenate([jnp.ones_like(shape[:, :1]), shape], axis=-1)
        products = directions[:, None, :, None] * parts.camera[:, :, None, :3]
        factors.append(products.reshape(products.shape[0], 3, -1))
        translations.append(parts.camera[:, :, 3:])
    return jnp.concatenate([factors[0] - factors[1], translations[0] - translations[1]], axis=-1)


def vertex_gram(linear: LinearModel) -> Float[Array, "154 154"]:
    """The constant ``G = Z Zᵀ / n`` of a face model, for `vertex_distance_cost`.

    Call it once, outside the compiled step. Summed in float64 on the host: the quadratic form
    cancels large terms (a nearer camera against a larger face), which would show the rounding
    of a float32 sum over 50,000 vertices.
    """
    num_points = linear.mean.shape[-1]
    bases = (np.asarray(linear.mean)[None], linear.shape_basis, linear.expression_basis)
    planes = np.concatenate([np.asarray(array, np.float64) for array in bases])
    stacked = np.concatenate([planes.reshape(-1, num_points), np.ones((1, num_points))])
    return jnp.asarray(stacked @ stacked.T / num_points, jnp.float32)


def vertex_distance_cost(
    gram: Float[Array, "154 154"],
    predicted: Float[Array, "batch 62"],
    target: Float[Array, "batch 62"],
    *,
    depth_weight: float = 1.0,
) -> Float[Array, " batch"]:
    """``L_vdc = mean_v ‖V_v(q) - V_v(q*)‖²`` per example, t_z from the ground truth.

    Args:
      gram: from `vertex_gram` of the points to compare: the whole model, or some points of it
        (`twodasl_jax.face_model.linear.select_points`).
      predicted: raw coefficients, not whitened.
      target: the same of the annotation.
      depth_weight: of the squared differences in depth, which is the least certain part of what
        was fitted to one view; 1 is the paper's.

    Returns:
      Per example, crop px².
    """
    chex.assert_equal_shape([predicted, target])
    factors = _difference_factors(predicted, target)
    carried = jnp.matmul(factors, gram, precision=_HIGHEST)
    # A sum of squares in exact arithmetic; rounding can leave it a hair below zero.
    squares = carried * factors * jnp.array([1.0, 1.0, depth_weight])[None, :, None]
    return jnp.maximum(squares.sum(axis=(-2, -1)), 0.0)

"""The weighted coefficient cost ``L_3d`` (the paper's equation 3; 3DDFA's WPDC).

``L_3d = Σ_i w_i (p_i - p*_i)²`` over whitened coefficients, where ``w_i`` says how far the
68 landmarks move when coefficient i alone is wrong:
``w_i = ‖H(q*; i-th replaced by the prediction) - H(q*)‖ / Σ_j``.

Paper says H are the 2D landmarks; the 3DDFA family carries x, y and depth; we do as 3DDFA,
because with x and y alone the camera's third row would never be supervised.

The authors' early public code takes 3DDFA's own form: the weights divided by their maximum and
not by their sum, and the mean over the 62 and not the sum; `released_coefficient_cost` is that.
"""

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from twodasl_jax.coefficients import NUM_COEFFICIENTS, TRANSLATION_Z, split_coefficients
from twodasl_jax.face_model.linear import LinearModel, vertices_from_coefficients

PerCoefficient = Float[Array, f"batch {NUM_COEFFICIENTS}"]
"""One number per coefficient of each face."""


def coefficient_movements(
    landmark_model: LinearModel,
    predicted: PerCoefficient,
    target: PerCoefficient,
) -> PerCoefficient:
    """``‖H(q*; i-th replaced by the prediction) - H(q*)‖`` in closed form (method.md section 4).

    H is affine in each single coefficient while the others stay at the target, so the
    movement is ``|q_i - q*_i|`` times the norm of H's i-th column: for camera entry (r, c) the
    c-th coordinate of the target's landmarks, for a translation ``√68``, for basis direction
    A_i the norm of ``f·R*·A_i``. The last is ``tr(K·A_i A_iᵀ)`` with ``K = (f·R*)ᵀ(f·R*)``,
    hence only 3x3 moments of the bases enter. The crop's y flip changes no norm.

    Args:
      landmark_model: the face model at its 68 landmarks.
      predicted: raw coefficients, not whitened.
      target: the same of the annotation.

    Returns:
      Crop pixels (root of the summed squares of 68 points), 0 at ``t_z`` (depth is relative);
      gradients stop here.
    """
    chex.assert_equal_shape([predicted, target])
    parts = split_coefficients(target)
    points = vertices_from_coefficients(landmark_model, parts.shape, parts.expression)
    rotation = parts.camera[..., :3]
    highest = jax.lax.Precision.HIGHEST

    coordinate_norms = jnp.linalg.norm(points, axis=-1)
    translation_norm = jnp.full_like(coordinate_norms[:, :1], points.shape[-1] ** 0.5)
    row_norms = jnp.concatenate([coordinate_norms, translation_norm], axis=-1)
    camera_norms = jnp.tile(row_norms, (1, 3))

    basis = jnp.concatenate([landmark_model.shape_basis, landmark_model.expression_basis])
    moments = jnp.einsum("kcn,kdn->kcd", basis, basis, precision=highest)
    metric = jnp.einsum("brc,brd->bcd", rotation, rotation, precision=highest)
    squares = jnp.einsum("bcd,kcd->bk", metric, moments, precision=highest)
    # A sum of squares in exact arithmetic; rounding can leave it a hair below zero.
    basis_norms = jnp.sqrt(jnp.maximum(squares, 0.0))

    norms = jnp.concatenate([camera_norms, basis_norms], axis=-1)
    movements = (jnp.abs(predicted - target) * norms).at[:, TRANSLATION_Z].set(0.0)
    return jax.lax.stop_gradient(movements)


def coefficient_weights(
    landmark_model: LinearModel,
    predicted: PerCoefficient,
    target: PerCoefficient,
) -> PerCoefficient:
    """The weights ``w`` of `weighted_coefficient_cost`: `coefficient_movements` over their sum.

    Returns:
      Non-negative, sum 1 per example (all 0 where nothing moves), 0 at ``t_z``; gradients stop
      here.
    """
    movements = coefficient_movements(landmark_model, predicted, target)
    return _divided(movements, movements.sum(axis=-1, keepdims=True))


def released_coefficient_weights(
    landmark_model: LinearModel,
    predicted: PerCoefficient,
    target: PerCoefficient,
) -> PerCoefficient:
    """The weights of `released_coefficient_cost`: `coefficient_movements` over their maximum.

    3DDFA's code adds 132 vertices, drawn anew at every step, to the 68 landmarks, and takes one
    constant for every face's scale; we keep to the landmarks, and to the scale of the target.

    Returns:
      As `coefficient_weights`, but the largest is 1 per example.
    """
    movements = coefficient_movements(landmark_model, predicted, target)
    return _divided(movements, movements.max(axis=-1, keepdims=True))


def _divided(movements: PerCoefficient, divisor: Float[Array, "batch 1"]) -> PerCoefficient:
    return jnp.where(divisor > 0, movements / jnp.where(divisor > 0, divisor, 1.0), 0.0)


def weighted_coefficient_cost(
    predicted_whitened: PerCoefficient,
    target_whitened: PerCoefficient,
    weights: PerCoefficient,
) -> Float[Array, " batch"]:
    """``L_3d = Σ_i w_i (p_i - p*_i)²`` per example.

    Args:
      predicted_whitened: the network's output p.
      target_whitened: the annotation p*, whitened by the same statistics.
      weights: from `coefficient_weights`.
    """
    return _weighted_squares(predicted_whitened, target_whitened, weights).sum(axis=-1)


def released_coefficient_cost(
    predicted_whitened: PerCoefficient,
    target_whitened: PerCoefficient,
    weights: PerCoefficient,
) -> Float[Array, " batch"]:
    """3DDFA's weighted cost (WPDC): as `weighted_coefficient_cost`, but the mean over the 62.

    Its weights are from `released_coefficient_weights`.
    """
    return _weighted_squares(predicted_whitened, target_whitened, weights).mean(axis=-1)


def _weighted_squares(
    predicted: PerCoefficient,
    target: PerCoefficient,
    weights: PerCoefficient,
) -> PerCoefficient:
    chex.assert_equal_shape([predicted, target, weights])
    return weights * (predicted - target) ** 2

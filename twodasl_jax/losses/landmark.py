"""The landmark losses: ``L_2d_con``, ``L_3d_con`` and, by reuse, ``L_cyc``.

``L_cyc = L_2d_con(x, ŷ)`` with ŷ the landmarks of the second pass, and so needs no function
of its own.
"""

import chex
import jax.numpy as jnp
from jaxtyping import Array, Float

from twodasl_jax.landmark_tables import LANDMARK_IMPORTANCE_18

RELEASED_IMPORTANCE_18 = LANDMARK_IMPORTANCE_18 / 2
"""The weights v of the released code: 2, 1 and 0.5 where the paper has 4, 2 and 1."""


def safe_norm(vectors: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
    """Euclidean norm over the last axis, whose gradient at zero is 0 and not NaN."""
    squares = (vectors**2).sum(axis=-1)
    positive = squares > 0
    # The inner `where` keeps sqrt's infinite slope at 0 out of the backward pass.
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)


def landmark_consistency_2d(
    given: Float[Array, "batch n 2"],
    predicted: Float[Array, "batch n 2"],
    weights: Float[Array, "batch n"],
) -> Float[Array, " batch"]:
    """``L_2d_con = Σ_i v_i ‖x_i - y_i‖`` per example (method.md section 4), crop pixels.

    Args:
      given: landmarks x; finite everywhere, 0 where unknown.
      predicted: landmarks y projected from the prediction, in the same order.
      weights: v times visibility; 0 leaves a landmark out.
    """
    chex.assert_equal_shape([given, predicted])
    return (weights * safe_norm(given - predicted)).sum(axis=-1)


def robust_landmark_distance(
    given: Float[Array, "batch n 2"],
    predicted: Float[Array, "batch n 2"],
    weights: Float[Array, "batch n"],
) -> Float[Array, " batch"]:
    """``Σ_i w_i (sqrt(‖x_i - y_i‖² + 1) - 1) / n`` per example, crop pixels (Charbonnier).

    Squared below a pixel, where labels are no better than that, and linear beyond, where a wrong
    one must not outweigh the rest.

    Args:
      given: landmarks x; finite everywhere, 0 where unknown.
      predicted: landmarks y, in the same order.
      weights: 0 leaves a landmark out; the mean is over all n, so that a face of which little is
        labelled weighs little.
    """
    chex.assert_equal_shape([given, predicted])
    squares = ((given - predicted) ** 2).sum(axis=-1)
    return (weights * (jnp.sqrt(squares + 1.0) - 1.0)).mean(axis=-1)


def landmark_consistency_3d(
    first: Float[Array, "batch 68 3"], second: Float[Array, "batch 68 3"]
) -> Float[Array, " batch"]:
    """``L_3d_con = Σ_68 ‖X_i - X̂_i‖`` per example, crop pixels, ``t_z`` removed from both.

    t_z cannot be observed, so it must not count: each set's own mean depth goes, which removes
    t_z exactly, and with it the depth of the model's arbitrary origin.

    Args:
      first: landmarks X of the first pass, crop frame.
      second: landmarks X̂ of the second pass.
    """
    chex.assert_equal_shape([first, second])
    difference = first - second
    depth = difference[..., 2:] - difference[..., 2:].mean(axis=-2, keepdims=True)
    return safe_norm(jnp.concatenate([difference[..., :2], depth], axis=-1)).sum(axis=-1)


def released_landmark_loss(
    given: Float[Array, "batch 18 2"],
    predicted: Float[Array, "batch 18 2"],
    weights: Float[Array, "batch 18"],
) -> Float[Array, " batch"]:
    """The authors' early public code's 2D loss: mean over (2, 18) of ``(v_i(y_i - x_i))² / 18``.

    Paper says ``Σ v_i ‖x_i - y_i‖``; the released code squares, weights inside the square, and
    divides by 18 once more; the preset `released` does as the code, to be compared with.

    Args:
      given: landmarks x; finite everywhere, 0 where unknown; crop pixels.
      predicted: landmarks y.
      weights: `RELEASED_IMPORTANCE_18` times visibility (not `LANDMARK_IMPORTANCE_18`, whose
        values are twice these).
    """
    chex.assert_equal_shape([given, predicted])
    num_landmarks = given.shape[-2]
    return ((weights[..., None] * (predicted - given)) ** 2).mean(axis=(-2, -1)) / num_landmarks

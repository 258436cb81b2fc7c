"""Optional regularisers, ours and not the paper's: they keep a weakly supervised face a face."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from twodasl_jax.coefficients import NUM_CAMERA, Whitening, split_coefficients, whiten


def camera_orthogonality(coefficients: Float[Array, "batch 62"]) -> Float[Array, " batch"]:
    """How far the 3x3 camera block is from a scaled rotation: ``‖M Mᵀ/f² - I‖²_F``.

    ``f² = tr(M Mᵀ)/3``, so that the value is dimensionless, does not change with the face's size,
    and is 0 exactly where the rows are of equal length and mutually orthogonal. 2D landmarks
    alone say nothing about the third row; this does.

    Args:
      coefficients: raw, not whitened.

    Returns:
      Per example; 0 (and gradient 0) for an all-zero block, which has no scale.
    """
    block = split_coefficients(coefficients).camera[..., :3]
    square = (block**2).sum(axis=(-2, -1), keepdims=True) / 3.0
    positive = square > 0
    # Normalised first: BFM's f is about 5e-4, whose fourth power would leave float32's comfort.
    unit = block * jax.lax.rsqrt(jnp.where(positive, square, 1.0))
    gram = jnp.matmul(unit, jnp.swapaxes(unit, -1, -2), precision=jax.lax.Precision.HIGHEST)
    deviation = jnp.where(positive, gram - jnp.eye(3)[None], 0.0)
    return (deviation**2).sum(axis=(-2, -1))


def coefficient_prior(
    coefficients: Float[Array, "batch 62"], whitening: Whitening
) -> Float[Array, " batch"]:
    """Mean square of the 50 shape and expression coefficients, in standard deviations.

    Args:
      coefficients: raw, not whitened.
      whitening: statistics of the face model and its training set; the prior is centred on
        their mean.

    Returns:
      Per example; about 1 for a typical face of the training set.
    """
    return (whiten(coefficients, whitening)[:, NUM_CAMERA:] ** 2).mean(axis=-1)

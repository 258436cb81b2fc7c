"""The landmark map: the fourth input channel, 18 landmarks drawn as single pixels.

Drawn in this one place only, inside the compiled step, for the given landmarks and for the
network's own (the cycle); the data pipeline delivers coordinates.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from twodasl_jax.crop_frame import CROP_SIZE

BACKGROUND = -1.0
MARK = 1.0


def landmark_map(
    landmarks: Float[Array, "*batch n 2"], *, size: int = CROP_SIZE
) -> Float[Array, "*batch size size 1"]:
    """Draws landmarks: -1 everywhere, +1 at ``[floor(y), floor(x)]`` (method.md section 3).

    Indices are clamped to the crop, so a landmark outside is drawn on its border. A missing
    landmark, one with a coordinate that is not finite, draws nothing; with all missing the map
    is empty. Drawing is not differentiable: the gradient is zero (see `soft_landmark_map`).

    Args:
      landmarks: crop frame, x right, y down, pixels.
      size: side of the map, pixels.

    Returns:
      Values -1 and +1.
    """
    landmarks = jax.lax.stop_gradient(landmarks)
    present = jnp.isfinite(landmarks).all(-1)
    # Clamped as floats: a float beyond int32 would cast to anything.
    cells = jnp.clip(jnp.floor(jnp.where(present[..., None], landmarks, 0.0)), 0, size - 1)
    pixel = cells[..., 1].astype(jnp.int32) * size + cells[..., 0].astype(jnp.int32)
    pixel = jnp.where(present, pixel, size * size)

    def draw(pixels: Array) -> Array:
        empty = jnp.full(size * size, BACKGROUND, landmarks.dtype)
        return empty.at[pixels].set(MARK, mode="drop")

    batch = pixel.shape[:-1]
    maps = jax.vmap(draw)(pixel.reshape(-1, pixel.shape[-1]))
    return maps.reshape(*batch, size, size, 1)


def soft_landmark_map(
    landmarks: Float[Array, "*batch n 2"], *, sigma_px: float = 1.0, size: int = CROP_SIZE
) -> Float[Array, "*batch size size 1"]:
    """The same map with a Gaussian for each landmark: gradients reach the landmarks.

    ``-1 + 2·max_i exp(-‖pixel - landmark_i‖² / 2σ²)``. The Gaussian sits half a pixel before
    the landmark, ``landmark - ½``: the hard map's floor puts the mark, on average, there.

    Args:
      landmarks: crop frame, pixels; not finite where missing (draws nothing, gradient 0).
        Landmarks outside are clamped to the border, as in `landmark_map`.
      sigma_px: width of the Gaussian, pixels, positive.
      size: side of the map, pixels.

    Returns:
      Values in (-1, 1].

    Raises:
      ValueError: where `sigma_px` is not positive.
    """
    if sigma_px <= 0:
        raise ValueError(f"sigma_px is {sigma_px}, expected a positive number of pixels")
    present = jnp.isfinite(landmarks).all(-1)
    # Replaced before the arithmetic: a where after it would still send NaN backwards.
    centres = jnp.where(present[..., None], landmarks, 0.5)
    centres = jnp.clip(centres - 0.5, 0.0, size - 1.0)
    cells = jnp.arange(size, dtype=landmarks.dtype)
    # Separable: one row and one column per landmark.
    offsets = cells.reshape((1,) * centres.ndim + (size,)) - centres[..., None]
    profile = jnp.exp(-0.5 * jnp.square(offsets / sigma_px))
    columns, rows = profile[..., 0, :], jnp.where(present[..., None], profile[..., 1, :], 0.0)
    peaks = (rows[..., :, None] * columns[..., None, :]).max(axis=-3)
    return (BACKGROUND + (MARK - BACKGROUND) * peaks)[..., None]

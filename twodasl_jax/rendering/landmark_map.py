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
    is empty. Drawing is not differentiable: the gradient is zero.

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

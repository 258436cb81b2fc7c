"""The encoder of the self-critic branch: the crop to 256 numbers that condition the critic."""

import flax.linen as nn
from jaxtyping import Array, Float

from twodasl_jax.models.convolution import Conv, resolve_implementation

WIDTHS = (32, 64, 128, 256, 256, 256)
"""Channels of the six blocks."""


class ImageEncoder(nn.Module):
    """Six times 3x3 convolution, ReLU, 2x2 max-pool: 120 to 60, 30, 15, 7, 3, 1.

    The paper gives neither sizes nor widths; these end in one position by themselves. The pool
    drops the last row and column of an odd map (``VALID``).

    Attributes:
      convolution: one of `convolution.IMPLEMENTATIONS`.
      width_divisor: all widths, and so the code's length, divided by this. At 1 the encoder
        costs four times a small backbone on a CPU.
    """

    convolution: str = "native"
    width_divisor: int = 1

    @nn.compact
    def __call__(self, image: Float[Array, "b 120 120 3"]) -> Float[Array, "b z"]:
        """Encodes RGB crops, ``(v - 127.5)/128``, to z (256 numbers at `width_divisor` 1)."""
        x = image
        for i, full_width in enumerate(WIDTHS, start=1):
            width = full_width // self.width_divisor
            x = Conv(width, 3, use_bias=True, implementation=self.convolution, name=f"conv{i}")(x)
            # As ReLU and then the pool, at a quarter of the ReLU's memory: both keep the order.
            x = nn.relu(_max_pool(x))
        return x.reshape(x.shape[0], -1)


def _max_pool(x: Float[Array, "b h w c"]) -> Float[Array, "b i j c"]:
    """2x2 max-pool, ``VALID``; on a CPU the gradient of ``nn.max_pool`` is several times slower."""
    b, h, w, c = x.shape
    even = x[:, : h // 2 * 2, : w // 2 * 2]
    return even.reshape(b, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


def make_encoder(*, convolution: str = "auto", width_divisor: int = 1) -> ImageEncoder:
    """Makes an encoder; ``auto`` is the training choice of the backend.

    Raises:
      ValueError: where the divisor does not divide the widths.
    """
    if width_divisor < 1 or WIDTHS[0] % width_divisor:
        raise ValueError(f"width_divisor is {width_divisor}; expected a divisor of {WIDTHS[0]}")
    return ImageEncoder(
        convolution=resolve_implementation(convolution), width_divisor=width_divisor
    )

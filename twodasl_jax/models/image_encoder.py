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
    """

    convolution: str = "native"

    @nn.compact
    def __call__(self, image: Float[Array, "b 120 120 3"]) -> Float[Array, "b 256"]:
        """Encodes RGB crops, ``(v - 127.5)/128``, to z."""
        x = image
        for i, width in enumerate(WIDTHS, start=1):
            x = Conv(width, 3, use_bias=True, implementation=self.convolution, name=f"conv{i}")(x)
            x = nn.max_pool(nn.relu(x), (2, 2), (2, 2), padding="VALID")
        return x.reshape(x.shape[0], WIDTHS[-1])


def make_encoder(*, convolution: str = "auto") -> ImageEncoder:
    """Makes an encoder; ``auto`` is the training choice of the backend."""
    return ImageEncoder(convolution=resolve_implementation(convolution))

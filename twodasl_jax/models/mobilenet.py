"""MobileNet-V1 (Howard et al. 2017): image to feature vector, for small and fast students."""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from twodasl_jax.models.convolution import Conv
from twodasl_jax.models.resnet import batch_norm

BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)
"""(channels at width 1, stride) of each depthwise-separable block."""


class MobileNetV1(nn.Module):
    """A stem of stride 2 and thirteen depthwise-separable blocks: 120 to 60, 30, 15, 8, 4.

    Attributes:
      width: multiplier of every layer's channels.
      batch_norm: ``train`` or ``frozen``, see `resnet.batch_norm`.
      convolution: implementation, see `Conv`.
      axis_name: see `resnet.batch_norm`.
    """

    width: float = 1.0
    batch_norm: str = "train"
    convolution: str = "native"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b f"]:
        """Images to ``1024·width`` features."""
        conv = partial(Conv, implementation=self.convolution)
        norm = batch_norm(train=train, mode=self.batch_norm, axis_name=self.axis_name)
        x = conv(int(32 * self.width), 3, 2, name="stem_conv")(x)
        x = nn.relu(norm(name="stem_norm")(x))
        for i, (channels, stride) in enumerate(BLOCKS, start=1):
            name = f"block{i}_depthwise"
            x = conv(x.shape[-1], 3, stride, depthwise=True, name=f"{name}_conv")(x)
            x = nn.relu(norm(name=f"{name}_norm")(x))
            name = f"block{i}_pointwise"
            x = conv(int(channels * self.width), 1, name=f"{name}_conv")(x)
            x = nn.relu(norm(name=f"{name}_norm")(x))
        return jnp.mean(x, axis=(1, 2))

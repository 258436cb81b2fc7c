"""Residual networks (He et al. 2016): image to feature vector.

The bottleneck strides on its 3x3 convolution (as torchvision does), the last normalisation
of each block starts at scale zero (a block begins as the identity; Goyal et al. 2017).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from twodasl_jax.models.convolution import Conv
from twodasl_jax.models.normalization import BatchNorm

BATCH_NORM_MODES = ("train", "frozen")


def batch_norm(*, train: bool, mode: str, axis_name: str | None) -> Callable[..., BatchNorm]:
    """A factory of normalisations that all behave alike in one network.

    Args:
      train: whether the call is a training step.
      mode: ``train`` uses and updates batch statistics in training steps; ``frozen`` always
        uses the stored ones (as the authors ran it; needs pretrained weights).
      axis_name: axis of `jax.pmap` over which the statistics are averaged. A pmapped step
        without it trains a different network, silently; under `jax.jit` with a sharded batch
        leave it None, the statistics are global by themselves.

    Raises:
      ValueError: for an unknown mode.
    """
    if mode not in BATCH_NORM_MODES:
        raise ValueError(f"unknown batch_norm '{mode}': expected one of {BATCH_NORM_MODES}")
    return partial(
        BatchNorm,
        use_running_average=not train or mode == "frozen",
        axis_name=axis_name,
    )


class BasicBlock(nn.Module):
    """3x3, 3x3 and a shortcut; ``width`` output channels."""

    width: int
    stride: int
    conv: Any
    norm: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b i j o"]:
        """One residual block."""
        y = self.conv(self.width, 3, self.stride, name="conv1")(x)
        y = nn.relu(self.norm(name="norm1")(y))
        y = self.conv(self.width, 3, name="conv2")(y)
        y = self.norm(name="norm2", scale_init=nn.initializers.zeros_init())(y)
        if x.shape != y.shape:
            x = self.conv(self.width, 1, self.stride, name="shortcut_conv")(x)
            x = self.norm(name="shortcut_norm")(x)
        return nn.relu(x + y)


class BottleneckBlock(nn.Module):
    """1x1, 3x3, 1x1 and a shortcut; ``4·width`` output channels."""

    width: int
    stride: int
    conv: Any
    norm: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b i j o"]:
        """One residual block."""
        y = nn.relu(self.norm(name="norm1")(self.conv(self.width, 1, name="conv1")(x)))
        y = self.conv(self.width, 3, self.stride, name="conv2")(y)
        y = nn.relu(self.norm(name="norm2")(y))
        y = self.conv(4 * self.width, 1, name="conv3")(y)
        y = self.norm(name="norm3", scale_init=nn.initializers.zeros_init())(y)
        if x.shape != y.shape:
            x = self.conv(4 * self.width, 1, self.stride, name="shortcut_conv")(x)
            x = self.norm(name="shortcut_norm")(x)
        return nn.relu(x + y)


def _block_name(level: int, block: int) -> str:
    # As it stands in checkpoints: not a stage of training.
    return f"stage{level + 1}_block{block + 1}"


class ResNet(nn.Module):
    """The ImageNet residual network on 120x120: 60 (stem), 30 (pool), 30, 15, 8, 4.

    Attributes:
      level_sizes: blocks per level, which is all blocks of one map size.
      block: `BasicBlock` or `BottleneckBlock`.
      width: of the first level; doubles at each.
      last_stride: stride of the last level. The released 2DASL weights were trained with 1.
      mean_window: average only the top-left ``n x n`` of the last map instead of all of it;
        the released weights were trained with 7 (of 8 x 8).
      batch_norm: ``train`` or ``frozen``, see `batch_norm`.
      convolution: implementation, see `Conv`.
      axis_name: see `batch_norm`.
    """

    level_sizes: tuple[int, ...]
    block: Any
    width: int = 64
    last_stride: int = 2
    mean_window: int | None = None
    batch_norm: str = "train"
    convolution: str = "native"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b f"]:
        """Images to features (``width·2^(levels-1)``, times 4 with bottlenecks)."""
        conv = partial(Conv, implementation=self.convolution)
        norm = batch_norm(train=train, mode=self.batch_norm, axis_name=self.axis_name)
        x = nn.relu(norm(name="stem_norm")(conv(self.width, 7, 2, name="stem_conv")(x)))
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))  # zeros: nothing after a ReLU is below
        x = nn.max_pool(x, (3, 3), (2, 2), padding="VALID")
        for level, size in enumerate(self.level_sizes):
            last = level == len(self.level_sizes) - 1
            first_stride = 1 if level == 0 else self.last_stride if last else 2
            for i in range(size):
                x = self.block(
                    width=self.width * 2**level,
                    stride=first_stride if i == 0 else 1,
                    conv=conv,
                    norm=norm,
                    name=_block_name(level, i),
                )(x)
        return jnp.mean(x[:, : self.mean_window, : self.mean_window], axis=(1, 2))


class NarrowResNet(nn.Module):
    """A small residual network for training on a CPU: strided stem, then a level per map size.

    The head reads the whole last map (flattened), not its mean: where a thing is must reach
    the output, and with few channels the mean loses it.

    Attributes:
      widths: channels per level.
      level_sizes: blocks per level; a level of none is left out, the next one then strides
        from the map before.
      stem_width: channels of the stem, a 7x7 convolution of stride 4.
      batch_norm: ``train`` or ``frozen``, see `batch_norm`.
      convolution: implementation, see `Conv`.
      axis_name: see `batch_norm`.
    """

    widths: tuple[int, ...]
    level_sizes: tuple[int, ...]
    stem_width: int = 32
    batch_norm: str = "train"
    convolution: str = "native"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b f"]:
        """Images to features: the last map, flattened."""
        conv = partial(Conv, implementation=self.convolution)
        norm = batch_norm(train=train, mode=self.batch_norm, axis_name=self.axis_name)
        x = conv(self.stem_width, 7, 4, name="stem_conv")(x)
        x = nn.relu(norm(name="stem_norm")(x))
        for level, (width, size) in enumerate(zip(self.widths, self.level_sizes, strict=True)):
            for i in range(size):
                x = BasicBlock(
                    width=width,
                    stride=2 if level > 0 and i == 0 else 1,
                    conv=conv,
                    norm=norm,
                    name=_block_name(level, i),
                )(x)
        return x.reshape(x.shape[0], -1)

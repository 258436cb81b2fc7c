"""The regressor: a 120x120 crop (with or without its landmark map) to 62 coefficients."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from twodasl_jax.coefficients import NUM_COEFFICIENTS
from twodasl_jax.models.convolution import resolve_implementation
from twodasl_jax.models.mobilenet import MobileNetV1
from twodasl_jax.models.resnet import (
    BATCH_NORM_MODES,
    BasicBlock,
    BottleneckBlock,
    NarrowResNet,
    ResNet,
)

BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "resnet50": partial(ResNet, level_sizes=(3, 4, 6, 3), block=BottleneckBlock),
    "resnet50_released": partial(
        ResNet, level_sizes=(3, 4, 6, 3), block=BottleneckBlock, last_stride=1, mean_window=7
    ),
    "resnet34": partial(ResNet, level_sizes=(3, 4, 6, 3), block=BasicBlock),
    "resnet18": partial(ResNet, level_sizes=(2, 2, 2, 2), block=BasicBlock),
    "mobilenet_v1": partial(MobileNetV1, width=1.0),
    "mobilenet_v1_half": partial(MobileNetV1, width=0.5),
    "resnet_mid": partial(
        NarrowResNet, widths=(48, 96, 160, 256), level_sizes=(1, 2, 2, 2), stem_width=48
    ),
    "resnet_narrow": partial(
        NarrowResNet, widths=(32, 64, 128, 256), level_sizes=(0, 1, 1, 1), stem_width=32
    ),
    "resnet_tiny": partial(
        NarrowResNet, widths=(16, 32, 64, 128), level_sizes=(0, 1, 1, 1), stem_width=16
    ),
}
"""The networks to choose from; `resnet50_released` has the shape of the authors' weights."""

HEAD_STDDEV = 1e-3
"""Of the head's first weights: whitened outputs start near 0, the mean face in the mean pose."""


class CoefficientRegressor(nn.Module):
    """A backbone and one dense layer to the 62 whitened coefficients.

    Attributes:
      backbone: a module from images to a feature vector per image.
    """

    backbone: nn.Module

    @nn.compact
    def __call__(self, x: Float[Array, "b 120 120 c"], *, train: bool) -> Float[Array, "b 62"]:
        """Predicts whitened coefficients.

        Args:
          x: RGB as ``(v - 127.5)/128``, and the landmark map as fourth channel if it is used.
          train: whether normalisations use (and update) the batch's statistics.

        Returns:
          float32, whitened: `coefficients.unwhiten` makes them coefficients.
        """
        features = self.backbone(x, train=train)
        head = nn.Dense(
            NUM_COEFFICIENTS, kernel_init=nn.initializers.normal(HEAD_STDDEV), name="head"
        )
        return head(features).astype(jnp.float32)


def with_blind_channel(params: Mapping[str, Any]) -> dict[str, Any]:
    """A regressor's parameters with one more input channel, whose weights are zero.

    It predicts what it predicted, whatever the new channel holds, and learns from there to use it.

    Args:
      params: of a `CoefficientRegressor` over a backbone whose first layer is ``stem_conv``.
    """
    backbone = params["backbone"]
    kernel = backbone["stem_conv"]["kernel"]
    wider = np.concatenate([kernel, np.zeros_like(kernel[:, :, :1])], axis=2)
    return {**params, "backbone": {**backbone, "stem_conv": {"kernel": wider}}}


def make_regressor(
    backbone: str,
    *,
    batch_norm: str = "train",
    convolution: str = "auto",
    axis_name: str | None = None,
) -> CoefficientRegressor:
    """Makes a regressor from names.

    Args:
      backbone: a key of `BACKBONES`.
      batch_norm: ``train``, or ``frozen`` (stored statistics in training too).
      convolution: ``auto`` (the training choice of the backend), or one of
        `convolution.IMPLEMENTATIONS`. The parameters do not depend on it.
      axis_name: axis over which a pmapped step averages batch statistics.

    Returns:
      A Flax module; its variables are ``params`` and ``batch_stats``.

    Raises:
      ValueError: for an unknown name; it lists the choices.
    """
    if batch_norm not in BATCH_NORM_MODES:
        expected = ", ".join(BATCH_NORM_MODES)
        raise ValueError(f"unknown batch_norm '{batch_norm}': expected one of {expected}")
    if backbone not in BACKBONES:
        raise ValueError(f"unknown backbone '{backbone}': expected one of {', '.join(BACKBONES)}")
    return CoefficientRegressor(
        backbone=BACKBONES[backbone](
            batch_norm=batch_norm,
            convolution=resolve_implementation(convolution),
            axis_name=axis_name,
        )
    )

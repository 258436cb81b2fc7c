"""A MobileNet of several times the channels that computes what a trained one does (Net2Net).

A wider network that starts where a trained one ended learns from there (Chen, Goodfellow & Shlens
2016, "Net2Net: Accelerating Learning via Knowledge Transfer", Net2WiderNet).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

_DEPTHWISE_AXIS = 2
"""Of an HWIO kernel: one input channel to each filter under several outputs means depthwise."""


def widen_mobilenet(
    params: Mapping[str, Any], batch_stats: Mapping[str, Any], *, factor: int, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The variables of a `CoefficientRegressor` over a `MobileNetV1` of `factor` times its width.

    Every channel is there `factor` times, and what read it reads its copies with random positive
    shares of the weight, which add up to it. So the function stays (to rounding), and the copies,
    whose gradients differ, part.

    Args:
      params: of the trained regressor: ``backbone`` and ``head``.
      batch_stats: its running averages.
      factor: at least 1.
      seed: of the shares.

    Raises:
      ValueError: for a factor below 1, or parameters that are no MobileNet's.
    """
    if factor < 1:
        raise ValueError(f"factor is {factor}; expected 1 or more")
    if "stem_conv" not in params["backbone"] or "block1_depthwise_conv" not in params["backbone"]:
        raise ValueError(
            f"the network's layers are {', '.join(params['backbone'])}; expected a MobileNet's "
            "(stem_conv, block1_depthwise_conv and so on)"
        )
    generator = np.random.default_rng(seed)
    backbone: dict[str, Any] = {}
    for name, layer in params["backbone"].items():
        if not name.endswith("_conv"):
            backbone[name] = {key: _copied(value, factor) for key, value in layer.items()}
            continue
        kernel = _copied(layer["kernel"], factor)
        if name != "stem_conv" and not name.endswith("_depthwise_conv"):
            kernel = _shared_out(kernel, factor, generator, axis=_DEPTHWISE_AXIS)
        backbone[name] = {"kernel": kernel}
    head = params["head"]
    wide_head = {
        "kernel": _shared_out(head["kernel"], factor, generator, axis=0),
        "bias": np.asarray(head["bias"]),
    }
    averages = {
        name: {key: _copied(value, factor) for key, value in layer.items()}
        for name, layer in batch_stats["backbone"].items()
    }
    return {"backbone": backbone, "head": wide_head}, {"backbone": averages}


def _copied(values: Any, factor: int) -> np.ndarray:
    """The channels of the last axis, all of them `factor` times one after the other."""
    return np.concatenate([np.asarray(values)] * factor, axis=-1)


def _shared_out(
    kernel: np.ndarray, factor: int, generator: np.random.Generator, *, axis: int
) -> np.ndarray:
    """Weights for `factor` copies of the input channels along `axis`, adding up to the old ones."""
    shares = generator.uniform(0.5, 1.5, (factor, *np.shape(kernel)))
    shares /= shares.sum(axis=0)
    return np.concatenate(list(shares * kernel), axis=axis).astype(np.asarray(kernel).dtype)

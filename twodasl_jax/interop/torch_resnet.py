"""ResNet-50 from PyTorch weights: 2DASL's regressor, and torchvision's network for ImageNet.

Both have the names of torchvision's. What differs from the network here is taken into the first
convolution and the normalisation behind it, so that it is a property of the imported weights:

* 2DASL reads BGR: the kernel's input channels are swapped. Its last stage has stride 1 and it
  averages the 7 x 7 top-left of the last map: the backbone ``resnet50_released``.
* ImageNet's networks read ``(v/255 - mean)/std`` per channel, the network here ``(v - 127.5)/128``:
  ``a·x + b`` with ``a = 128/(255·std)`` and ``b = (0.5 - mean)/std``. ``a`` goes into the kernel;
  what ``b`` adds to each output, ``Σ kernel·b``, is taken from the normalisation's running mean.
  (In training mode a batch's own mean has it anyway.) That is exact wherever the kernel lies inside
  the picture. Beyond its edge both pad with zeros, which are ImageNet's mean colour there and the
  grey 127.5 here: the outermost two rows and columns of the first map see another border colour.
"""

import numpy as np

from twodasl_jax.coefficients import NUM_COEFFICIENTS
from twodasl_jax.interop.imported_network import ImportedNetwork, rgb_from_bgr
from twodasl_jax.interop.state_dict import StateDict

_STAGE_SIZES = (3, 4, 6, 3)
_WIDTH = 64
_NUM_FEATURES = 2048

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])
"""Of torchvision's networks: RGB in [0, 1]."""


def resnet50_from_2dasl(state: StateDict) -> ImportedNetwork:
    """Converts 2DASL's regressor: BGR and the landmark map in, 62 coefficients out.

    Raises:
      ValueError: where an array is missing, of another shape, or not finite; or one has no place.
    """
    params, statistics = _backbone(state, _input_channels(state, (4,)))
    params["stem_conv"]["kernel"] = rgb_from_bgr(params["stem_conv"]["kernel"])
    head = state.dense("fc", (_NUM_FEATURES, NUM_COEFFICIENTS))
    state.require_all_taken()
    return ImportedNetwork(
        "resnet50_released", True, {"backbone": params, "head": head}, {"backbone": statistics}
    )


def resnet50_from_imagenet(state: StateDict) -> ImportedNetwork:
    """Converts torchvision's ResNet-50, without its head of ImageNet's classes.

    A fourth input channel is taken as it is, for the landmark map.

    Raises:
      ValueError: as `resnet50_from_2dasl`.
    """
    channels = _input_channels(state, (3, 4))
    params, statistics = _backbone(state, channels)
    kernel, stem = params["stem_conv"]["kernel"], statistics["stem_norm"]
    colours, offset = kernel[:, :, :3].astype(np.float64), (0.5 - IMAGENET_MEAN) / IMAGENET_STD
    added = np.einsum("hwio,i->o", colours, offset)
    stem["mean"] = (stem["mean"] - added).astype(np.float32)
    kernel[:, :, :3] = colours * (128 / (255 * IMAGENET_STD))[:, None]
    state.require_all_taken(but="fc.")
    return ImportedNetwork(
        "resnet50", channels == 4, {"backbone": params}, {"backbone": statistics}
    )


def _input_channels(state: StateDict, expected: tuple[int, ...]) -> int:
    shape = state.shape_of("conv1.weight")
    if len(shape) != 4 or shape[1] not in expected:
        channels = " or ".join(map(str, expected))
        raise ValueError(
            f"{state.source}: conv1.weight is {shape}; expected {channels} input channels (the "
            "second number) of such a network as --kind names"
        )
    return shape[1]


def _backbone(state: StateDict, channels: int) -> tuple[dict, dict]:
    """Parameters and statistics of `models.resnet.ResNet` with bottlenecks."""
    params, statistics = {}, {}
    params["stem_conv"] = {"kernel": state.convolution("conv1", (7, 7, channels, _WIDTH))}
    params["stem_norm"], statistics["stem_norm"] = state.normalisation("bn1", _WIDTH)
    inputs = _WIDTH
    for stage, size in enumerate(_STAGE_SIZES, start=1):
        width = _WIDTH * 2 ** (stage - 1)
        for block in range(size):
            ours, theirs = f"stage{stage}_block{block + 1}", f"layer{stage}.{block}"
            params[ours], statistics[ours] = _bottleneck(
                state, theirs, inputs, width, shortcut=block == 0
            )
            inputs = 4 * width
    return params, statistics


def _bottleneck(
    state: StateDict, name: str, inputs: int, width: int, *, shortcut: bool
) -> tuple[dict, dict]:
    params, statistics = {}, {}
    layers = [
        ("conv1", "norm1", "conv1", "bn1", (1, 1, inputs, width)),
        ("conv2", "norm2", "conv2", "bn2", (3, 3, width, width)),
        ("conv3", "norm3", "conv3", "bn3", (1, 1, width, 4 * width)),
    ]
    if shortcut:
        shape = (1, 1, inputs, 4 * width)
        layers.append(("shortcut_conv", "shortcut_norm", "downsample.0", "downsample.1", shape))
    for our_conv, our_norm, conv, norm, shape in layers:
        params[our_conv] = {"kernel": state.convolution(f"{name}.{conv}", shape)}
        params[our_norm], statistics[our_norm] = state.normalisation(f"{name}.{norm}", shape[-1])
    return params, statistics

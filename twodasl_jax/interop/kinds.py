"""The networks of others that can be imported, by name."""

from collections.abc import Callable
from typing import NamedTuple

from twodasl_jax.interop.imported_network import ImportedNetwork
from twodasl_jax.interop.state_dict import StateDict
from twodasl_jax.interop.torch_mobilenet import mobilenet_from_3ddfa_v2
from twodasl_jax.interop.torch_resnet import resnet50_from_2dasl, resnet50_from_imagenet


class Kind(NamedTuple):
    """One kind of network.

    Attributes:
      convert: from a state dict to the network here.
      predicts: whether it predicts coefficients; else it is a start for training alone.
      needs_whitening: whether its outputs are whitened by statistics that no face model has.
      what: in words.
    """

    convert: Callable[[StateDict], ImportedNetwork]
    predicts: bool
    needs_whitening: bool
    what: str


KINDS: dict[str, Kind] = {
    "3ddfa_v2_mobilenet": Kind(mobilenet_from_3ddfa_v2, True, True, "3DDFA_V2's MobileNet-V1"),
    "2dasl": Kind(resnet50_from_2dasl, True, False, "2DASL's ResNet-50"),
    "resnet50_imagenet": Kind(
        resnet50_from_imagenet, False, False, "torchvision's ResNet-50 of ImageNet"
    ),
}
"""``--kind`` -> how it is imported."""

"""3DDFA_V2's MobileNet-V1 (Guo et al., ECCV 2020) from its PyTorch weights.

It reads BGR, as OpenCV does; the network here reads RGB. Swapping the input channels of the first
convolution is the same network, to the last bit.
"""

from twodasl_jax.coefficients import NUM_COEFFICIENTS
from twodasl_jax.interop.imported_network import ImportedNetwork, rgb_from_bgr
from twodasl_jax.interop.state_dict import StateDict
from twodasl_jax.models.mobilenet import BLOCKS

_BACKBONES = {32: "mobilenet_v1", 16: "mobilenet_v1_half"}
"""Channels of the first convolution -> key of `coefficient_regressor.BACKBONES`."""

_BLOCK_NAMES = (
    *("dw2_1", "dw2_2", "dw3_1", "dw3_2", "dw4_1", "dw4_2"),
    *("dw5_1", "dw5_2", "dw5_3", "dw5_4", "dw5_5", "dw5_6", "dw6"),
)
"""The thirteen blocks, in order."""


def mobilenet_from_3ddfa_v2(state: StateDict) -> ImportedNetwork:
    """Converts 3DDFA_V2's MobileNet-V1 of width 1 or 0.5.

    Its head is ``fc_param`` or, alone, ``fc``; a second head ``fc_lm`` (landmarks, for training)
    is left out.

    Raises:
      ValueError: where an array is missing, of another shape, or not finite; or one has no place.
    """
    channels = state.shape_of("conv1.weight")[0]
    if channels not in _BACKBONES:
        raise ValueError(
            f"{state.source}: the first convolution has {channels} channels; expected 32 or 16, of "
            "MobileNet-V1 at width 1 or 0.5"
        )
    params, statistics = {}, {}

    def put_norm(ours: str, theirs: str, features: int) -> None:
        params[ours], statistics[ours] = state.normalisation(theirs, features)

    params["stem_conv"] = {"kernel": rgb_from_bgr(state.convolution("conv1", (3, 3, 3, channels)))}
    put_norm("stem_norm", "bn1", channels)
    inputs, width = channels, channels / 32
    for number, (name, (full, _)) in enumerate(zip(_BLOCK_NAMES, BLOCKS, strict=True), start=1):
        features, block = int(full * width), f"block{number}"
        depthwise = state.convolution(f"{name}.conv_dw", (3, 3, 1, inputs))
        pointwise = state.convolution(f"{name}.conv_sep", (1, 1, inputs, features))
        params[f"{block}_depthwise_conv"] = {"kernel": depthwise}
        put_norm(f"{block}_depthwise_norm", f"{name}.bn_dw", inputs)
        params[f"{block}_pointwise_conv"] = {"kernel": pointwise}
        put_norm(f"{block}_pointwise_norm", f"{name}.bn_sep", features)
        inputs = features
    head_name = "fc_param" if "fc_param.weight" in state else "fc"
    head = state.dense(head_name, (inputs, NUM_COEFFICIENTS))
    state.require_all_taken(but="fc_lm.")
    return ImportedNetwork(
        _BACKBONES[channels], False, {"backbone": params, "head": head}, {"backbone": statistics}
    )

"""State dicts of other networks, or with something wrong in them, are refused by name."""

import numpy as np
import pytest
from absl import flags

from tests.interop.foreign_networks import mobilenet_state, resnet50_state
from twodasl_jax.interop.kinds import KINDS
from twodasl_jax.interop.state_dict import state_dict_of
from twodasl_jax.jobs.options import OPTIONS


def convert(kind, state):
    return KINDS[kind].convert(state_dict_of(state, source="x.pth"))


def without(state, *names):
    return {name: array for name, array in state.items() if name not in names}


@pytest.mark.parametrize(("width", "name"), [(0.5, "mobilenet_v1_half"), (1.0, "mobilenet_v1")])
def test_a_mobilenet_of_either_width(width, name):
    network = convert("3ddfa_v2_mobilenet", mobilenet_state(width))
    assert (network.backbone, network.landmark_map) == (name, False)


def test_the_head_may_have_its_earlier_name():
    state = mobilenet_state()
    renamed = {name.replace("fc_param", "fc"): array for name, array in state.items()}
    one, other = (convert("3ddfa_v2_mobilenet", each) for each in (state, renamed))
    np.testing.assert_array_equal(one.params["head"]["kernel"], other.params["head"]["kernel"])


def test_imagenets_network_may_have_a_channel_for_the_map():
    three, four = (convert("resnet50_imagenet", resnet50_state(c, 1000)) for c in (3, 4))
    assert (three.landmark_map, four.landmark_map) == (False, True)
    kernel = four.params["backbone"]["stem_conv"]["kernel"]
    np.testing.assert_array_equal(
        kernel[:, :, 3], resnet50_state(4, 1000)["conv1.weight"].transpose(2, 3, 1, 0)[:, :, 3]
    )
    assert "head" not in four.params


STATE = mobilenet_state()


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (without(STATE, "dw3_1.bn_sep.bias"), r"x\.pth has no dw3_1\.bn_sep\.bias among its"),
        ({**STATE, "dw2_1.relu.weight": np.ones(1)}, r"an array dw2_1\.relu\.weight that such a"),
        ({**STATE, "bn1.weight": np.ones(15)}, r"bn1\.weight is \(15,\); expected \(16,\)"),
        ({**STATE, "bn1.bias": np.full(16, np.nan)}, r"bn1\.bias holds numbers that are not fin"),
        ({**STATE, "bn1.running_var": -np.ones(16)}, r"bn1\.running_var is negative"),
        ({**STATE, "conv1.weight": np.ones((24, 3, 3, 3))}, "24 channels; expected 32 or 16"),
        (resnet50_state(3, 62), "64 channels; expected 32 or 16"),
    ],
)
def test_what_is_no_mobilenet(state, told):
    with pytest.raises(ValueError, match=told):
        convert("3ddfa_v2_mobilenet", state)


def test_a_network_of_another_kind():
    with pytest.raises(ValueError, match=r"conv1\.weight is \(64, 3, 7, 7\); expected 4 input"):
        convert("2dasl", resnet50_state(3, 62))
    with pytest.raises(ValueError, match=r"fc\.weight is \(1000, 2048\); expected \(62, 2048\)"):
        convert("2dasl", resnet50_state(4, 1000))
    with pytest.raises(ValueError, match=r"x\.pth has no layer1\.0\.conv1\.weight"):
        convert("resnet50_imagenet", {"conv1.weight": np.ones((64, 3, 7, 7))} | {
            f"bn1.{part}": np.ones(64) for part in ("weight", "bias", "running_mean", "running_var")
        })  # fmt: skip


@pytest.mark.parametrize("saved", [[1, 2], {"epoch": 3}, {"state_dict": {"epoch": 3}}, None])
def test_what_holds_no_state_dict(saved):
    with pytest.raises(ValueError, match=r"x\.pth holds .*; expected a state dict"):
        state_dict_of(saved, source="x.pth")


def test_the_kinds_are_those_of_the_flag():
    assert "kind" in [option.name for option in OPTIONS]
    assert list(flags.FLAGS["kind"].parser.enum_values) == list(KINDS)

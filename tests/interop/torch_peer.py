"""The published networks in plain PyTorch, and the goldens that they give.

    python tests/interop/torch_peer.py        writes goldens.npz, zip.pth and legacy.pth anew

PyTorch is in no extra of the project; the goldens are of version 2.14.1 on a CPU.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.interop.foreign_networks import (
    MOBILENET_BLOCKS,
    RESNET_STAGES,
    images,
    mobilenet_state,
    resnet50_state,
)

GREY = 127.5


class Network:
    """Layers by name over a state dict; in training mode the batch's own statistics count."""

    def __init__(self, state, *, train):
        self._state = {name: torch.from_numpy(array.copy()) for name, array in state.items()}
        self._train = train

    def conv(self, x, name, *, stride=1, padding=0, depthwise=False):
        groups = x.shape[1] if depthwise else 1
        kernel = self._state[f"{name}.weight"]
        return functional.conv2d(x, kernel, None, stride, padding, groups=groups)

    def norm(self, x, name):
        mean, var, scale, bias = (
            self._state[f"{name}.{part}"]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, var, scale, bias, self._train, 0.1, 1e-5)

    def dense(self, x, name):
        return functional.linear(x, self._state[f"{name}.weight"], self._state[f"{name}.bias"])

    def running(self, name):
        """Mean and variance after the passes so far."""
        return [self._state[f"{name}.running_{part}"].numpy() for part in ("mean", "var")]


def mobilenet(network, x):
    """3DDFA_V2's MobileNet-V1."""
    relu = functional.relu
    x = relu(network.norm(network.conv(x, "conv1", stride=2, padding=1), "bn1"))
    for name, (_, _, stride) in MOBILENET_BLOCKS.items():
        x = network.conv(x, f"{name}.conv_dw", stride=stride, padding=1, depthwise=True)
        x = relu(network.norm(x, f"{name}.bn_dw"))
        x = relu(network.norm(network.conv(x, f"{name}.conv_sep"), f"{name}.bn_sep"))
    return network.dense(functional.adaptive_avg_pool2d(x, 1).flatten(1), "fc_param")


def resnet50_features(network, x, *, padding, last_stride):
    """The last map of ResNet-50; padding is of the first convolution."""
    relu = functional.relu
    x = relu(network.norm(network.conv(x, "conv1", stride=2, padding=padding), "bn1"))
    x = functional.max_pool2d(x, 3, 2, 1)
    for stage, (_, blocks, stride) in enumerate(RESNET_STAGES, start=1):
        stride = last_stride if stage == len(RESNET_STAGES) else stride
        for block in range(blocks):
            name, by = f"layer{stage}.{block}", stride if block == 0 else 1
            y = relu(network.norm(network.conv(x, f"{name}.conv1"), f"{name}.bn1"))
            y = network.conv(y, f"{name}.conv2", stride=by, padding=1)
            y = network.norm(network.conv(relu(network.norm(y, f"{name}.bn2")), f"{name}.conv3"),
                             f"{name}.bn3")  # fmt: skip
            if block == 0:
                x = network.conv(x, f"{name}.downsample.0", stride=by)
                x = network.norm(x, f"{name}.downsample.1")
            x = relu(x + y)
    return x


def _nchw(array):
    return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)).astype(np.float32))


def output_3ddfa_v2(*, train):
    """62 outputs, and the first normalisation's running statistics after the pass."""
    network, (rgb, _) = Network(mobilenet_state(), train=train), images()
    bgr = (_nchw(rgb[..., ::-1]) - GREY) / 128
    return mobilenet(network, bgr).numpy(), network.running("bn1")


def output_2dasl(*, train):
    """BGR and map in, last stage of stride 1, the average pool of 7 x 7 with stride 2."""
    network, (rgb, maps) = Network(resnet50_state(4, 62), train=train), images()
    x = torch.cat([(_nchw(rgb[..., ::-1]) - GREY) / 128, _nchw(maps)], 1)
    x = resnet50_features(network, x, padding=3, last_stride=1)
    x = functional.avg_pool2d(x, 7, 2).flatten(1)
    return network.dense(x, "fc").numpy(), network.running("bn1")


def output_imagenet(*, train):
    """2,048 features of a picture on a grey ground, as the importer says its border is seen."""
    network, (rgb, _) = Network(resnet50_state(3, 1000), train=train), images()
    grey = functional.pad(_nchw(rgb), (3, 3, 3, 3), value=GREY) / 255
    mean, std = (
        torch.tensor(values).reshape(1, 3, 1, 1)
        for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    )
    x = resnet50_features(network, (grey - mean) / std, padding=0, last_stride=2)
    return functional.adaptive_avg_pool2d(x, 1).flatten(1).numpy(), network.running("bn1")


OUTPUTS = {"3ddfa_v2": output_3ddfa_v2, "2dasl": output_2dasl, "imagenet": output_imagenet}


def compute_goldens():
    """``{name: array}`` of `goldens.npz`."""
    goldens = {}
    with torch.no_grad():
        for name, output in OUTPUTS.items():
            goldens[f"{name}_eval"], _ = output(train=False)
            goldens[f"{name}_train"], running = output(train=True)
            goldens[f"{name}_running"] = np.stack(running)
    return goldens


def saved_objects():
    """What `zip.pth` and `legacy.pth` hold: every kind of tensor that a state dict may have."""
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    state = torch.nn.BatchNorm2d(3).state_dict()  # an OrderedDict with `_metadata`
    state["module.view"] = base[:, 1:].transpose(0, 2)
    state["module.shared"] = base.flatten()[3:9]
    state["half"], state["double"] = base.half(), base.double()
    state["bfloat16"], state["bool"] = base.bfloat16(), base > 5
    state["channels_last"] = base.reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)
    state["empty"], state["scalar"] = torch.zeros(0, 3), torch.tensor(2.5)
    state["parameter"] = torch.nn.Parameter(base[0])
    return {"epoch": 3, "lr": 0.5, "arch": "x", "sizes": [base.shape], "state_dict": state}


if __name__ == "__main__":
    here = Path(__file__).parent
    np.savez_compressed(here / "goldens.npz", **compute_goldens())
    torch.save(saved_objects(), here / "zip.pth")
    torch.save(saved_objects(), here / "legacy.pth", _use_new_zipfile_serialization=False)

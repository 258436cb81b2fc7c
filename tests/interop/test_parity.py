"""Imported networks against PyTorch: the same outputs, in evaluation and in training mode."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.interop.foreign_networks import images, mobilenet_state, resnet50_state
from twodasl_jax.interop.state_dict import state_dict_of
from twodasl_jax.interop.torch_mobilenet import mobilenet_from_3ddfa_v2
from twodasl_jax.interop.torch_resnet import resnet50_from_2dasl, resnet50_from_imagenet
from twodasl_jax.models.coefficient_regressor import make_regressor

HERE = Path(__file__).parent

GOLDENS = dict(np.load(HERE / "goldens.npz"))

RELATIVE = 1e-4
"""Of the largest output: float32 through 53 convolutions, summed in another order."""


def converted(name):
    if name == "3ddfa_v2":
        # As its file has it: saved out of DataParallel, among other things.
        state = {f"module.{key}": value for key, value in mobilenet_state().items()}
        return mobilenet_from_3ddfa_v2(state_dict_of({"state_dict": state}, source="x.pth"))
    if name == "2dasl":
        state = {f"module.{key}": value for key, value in resnet50_state(4, 62).items()}
        return resnet50_from_2dasl(state_dict_of({"res_state_dict": state}, source="x.pth"))
    return resnet50_from_imagenet(state_dict_of(resnet50_state(3, 1000), source="x.pth"))


def outputs(name, *, train):
    """Of the network here, and its first normalisation's statistics after the pass."""
    network, (rgb, maps) = converted(name), images()
    x = (rgb.astype(np.float32) - 127.5) / 128
    x = np.concatenate([x, maps], -1) if network.landmark_map else x
    regressor = make_regressor(network.backbone, convolution="native")
    params, statistics = network.params, network.batch_stats
    if "head" not in params:  # its features themselves
        regressor, params = regressor.backbone, params["backbone"]
        statistics = statistics["backbone"]

    @jax.jit
    def apply(params, statistics, x):
        variables = {"params": params, "batch_stats": statistics}
        return regressor.apply(variables, x, train=train, mutable=["batch_stats"])

    y, changed = apply(params, statistics, jnp.asarray(x))
    changed = changed["batch_stats"]
    return np.asarray(y), changed.get("backbone", changed)["stem_norm"]


@pytest.mark.parametrize("name", ["3ddfa_v2", "2dasl", "imagenet"])
def test_it_says_what_it_says_in_pytorch(name):
    wanted = GOLDENS[f"{name}_eval"]
    found, _ = outputs(name, train=False)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=RELATIVE * np.abs(wanted).max())


@pytest.mark.parametrize("name", ["3ddfa_v2", "2dasl", "imagenet"])
def test_it_says_the_same_in_training_mode(name):
    wanted = GOLDENS[f"{name}_train"]
    found, running = outputs(name, train=True)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=RELATIVE * np.abs(wanted).max())
    mean, var = GOLDENS[f"{name}_running"]
    if name == "imagenet":  # what the picture's other offset adds is in the mean, not in a batch's
        state = resnet50_state(3, 1000)
        offset = (0.5 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
        mean = mean - np.einsum("oihw,i->o", state["conv1.weight"], offset)
    np.testing.assert_allclose(running["mean"], mean, atol=1e-5)
    # PyTorch keeps the unbiased variance, n/(n - 1) of the batch's; n is 2·60·60 here.
    np.testing.assert_allclose(running["var"], var, rtol=2e-4)


def test_the_goldens_are_what_pytorch_computes():
    """The peer again, where PyTorch is installed; else the stored numbers stand for it."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("left out: PyTorch is not installed (it is in no extra of this project)")
    from tests.interop.torch_peer import compute_goldens

    computed = compute_goldens()
    assert set(computed) == set(GOLDENS)
    for name, array in computed.items():
        np.testing.assert_allclose(array, GOLDENS[name], rtol=1e-3, atol=1e-4)

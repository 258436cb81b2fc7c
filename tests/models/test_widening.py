"""A widened network computes what the narrow one does, and its copies do not stay alike."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.models.coefficient_regressor import make_regressor
from twodasl_jax.models.widening import widen_mobilenet


@pytest.fixture(scope="module")
def trained():
    """A network of random weights and statistics, none of them at its start."""
    network = make_regressor("mobilenet_v1_half", convolution="matmul_1x1")
    images = jnp.zeros((1, 120, 120, 3))
    variables = jax.jit(lambda key: network.init(key, images, train=False))(jax.random.key(0))
    generator = np.random.default_rng(0)
    moved = jax.tree.map(
        lambda leaf: np.asarray(leaf) * generator.uniform(0.8, 1.2, leaf.shape), variables
    )
    moved["params"]["head"]["kernel"] = moved["params"]["head"]["kernel"] * 1000
    return network, jax.tree.map(lambda leaf: np.float32(leaf), moved)


def test_the_function_stays(trained):
    network, narrow = trained
    wide_network = make_regressor("mobilenet_v1", convolution="matmul_1x1")
    params, batch_stats = widen_mobilenet(narrow["params"], narrow["batch_stats"], factor=2, seed=1)
    images = jax.random.normal(jax.random.key(1), (2, 120, 120, 3))
    wide = {"params": params, "batch_stats": batch_stats}
    chex.assert_trees_all_equal_shapes(
        wide, jax.eval_shape(lambda: wide_network.init(jax.random.key(0), images, train=False))
    )
    expected = network.apply(jax.tree.map(jnp.asarray, narrow), images, train=False)
    got = wide_network.apply(jax.tree.map(jnp.asarray, wide), images, train=False)
    assert float(jnp.abs(expected).max()) > 0.1
    chex.assert_trees_all_close(got, expected, rtol=1e-4, atol=1e-5)


def test_copies_are_read_with_different_weights(trained):
    _, narrow = trained
    params, _ = widen_mobilenet(narrow["params"], narrow["batch_stats"], factor=2, seed=1)
    first, second = np.split(params["backbone"]["block1_pointwise_conv"]["kernel"], 2, axis=2)
    assert np.abs(first - second).mean() > 0.05 * np.abs(first).mean()


def test_wrong_arguments_are_told(trained):
    _, narrow = trained
    with pytest.raises(ValueError, match="factor is 0; expected 1 or more"):
        widen_mobilenet(narrow["params"], narrow["batch_stats"], factor=0, seed=0)
    with pytest.raises(ValueError, match="layers are conv1; expected a MobileNet's"):
        widen_mobilenet({"backbone": {"conv1": {}}, "head": {}}, {}, factor=2, seed=0)

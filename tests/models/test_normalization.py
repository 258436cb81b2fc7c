"""`BatchNorm` against Flax's own: outputs, statistics, gradients, and over pmapped devices."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from twodasl_jax.models.normalization import BatchNorm


def make_case():
    x = 3.0 + 2.0 * jax.random.normal(jax.random.key(0), (8, 6, 6, 5))
    ours = BatchNorm(use_running_average=False)
    variables = ours.init(jax.random.key(1), x)
    params = jax.tree.map(
        lambda leaf: leaf + jax.random.uniform(jax.random.key(2), leaf.shape), variables["params"]
    )
    return x, {"params": params, "batch_stats": variables["batch_stats"]}


def test_has_the_parameters_of_flax():
    x, variables = make_case()
    theirs = nn.BatchNorm(use_running_average=False).init(jax.random.key(1), x)
    chex.assert_trees_all_equal_shapes_and_dtypes(variables, theirs)


@pytest.mark.parametrize("frozen", [False, True])
def test_equals_flax_in_value_statistics_and_gradient(frozen):
    x, variables = make_case()

    def outcome(module):
        def loss(params, x):
            y, updates = module.apply({**variables, "params": params}, x, mutable=["batch_stats"])
            return (y**3).sum(), (y, updates)

        return jax.grad(loss, argnums=(0, 1), has_aux=True)(variables["params"], x)

    ours = outcome(BatchNorm(use_running_average=frozen))
    theirs = outcome(nn.BatchNorm(use_running_average=frozen, momentum=0.9))
    # The same numbers added in another order: float32, gradients of some hundreds.
    chex.assert_trees_all_close(ours, theirs, rtol=1e-4, atol=2e-3)


def test_pmapped_statistics_are_those_of_the_whole_batch():
    x, variables = make_case()
    apply = BatchNorm(use_running_average=False, axis_name="devices").apply

    def one(x):
        return apply(variables, x, mutable=["batch_stats"])

    parts, updates = jax.pmap(one, axis_name="devices")(x[:, None])
    whole, expected = BatchNorm(use_running_average=False).apply(
        variables, x, mutable=["batch_stats"]
    )
    # Means of means against means: float32 rounding.
    chex.assert_trees_all_close(parts[:, 0], whole, atol=1e-5)
    chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[0], updates), expected, atol=1e-5)


def test_a_constant_channel_stays_finite():
    x = jnp.full((4, 2, 2, 3), 1000.1)
    module = BatchNorm(use_running_average=False)
    variables = module.init(jax.random.key(0), x)

    def loss(x):
        return module.apply(variables, x, mutable=["batch_stats"])[0].sum()

    chex.assert_tree_all_finite(jax.value_and_grad(loss)(x))

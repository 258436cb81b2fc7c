"""1 device = 8 devices = literal pmap, for a network with BatchNorm.

Compared are the parameters after two updates, not the loss: the loss of the first step
would agree even where gradients are wrong by a factor.
"""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from twodasl_jax.training import parallel
from twodasl_jax.training.optimizer import OptimizerOptions, make_optimizer
from twodasl_jax.training.state import apply_gradients, create_state

# Sums over the batch are taken in another order; two updates with momentum of values near 1.
FLOAT32_SUMS = 2e-5


class Network(nn.Module):
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(4, (3, 3))(x)
        x = nn.BatchNorm(use_running_average=False, axis_name=self.axis_name)(x)
        return nn.Dense(2)(nn.relu(x).mean((1, 2)))


OPTIMIZER = make_optimizer(
    {"regressor": OptimizerOptions(name="sgd", learning_rate=0.1, weight_decay=5e-4)}
)


def make_step(axis_name=None, *, batch_norm_axis="as the step"):
    if batch_norm_axis == "as the step":
        batch_norm_axis = axis_name
    network = Network(axis_name=batch_norm_axis)

    def step(state, batch, constants):
        def loss(params):
            predicted, changed = network.apply(
                {"params": params["regressor"], "batch_stats": state.batch_stats["regressor"]},
                batch["image"],
                mutable=["batch_stats"],
            )
            value = jnp.mean((predicted - constants * batch["target"]) ** 2)
            return value, (value, changed["batch_stats"])

        gradients, (value, batch_stats) = jax.grad(loss, has_aux=True)(state.params)
        gradients, value = parallel.mean_over((gradients, value), axis_name)
        new = apply_gradients(state, gradients, OPTIMIZER, batch_stats={"regressor": batch_stats})
        return new, {"loss": value}

    return step


def make_state():
    variables = Network().init(jax.random.key(0), jnp.zeros((1, 6, 6, 1)))
    return create_state(
        {"regressor": variables["params"]}, {"regressor": variables["batch_stats"]}, OPTIMIZER
    )


def make_batch(size=16):
    random = np.random.default_rng(1)
    # Examples of very different brightness, so that a BatchNorm per device would show.
    scale = np.linspace(0.1, 3.0, size)[:, None, None, None]
    images = (random.normal(size=(size, 6, 6, 1)) * scale + scale).astype(np.float32)
    return {"image": images, "target": random.normal(size=(size, 2)).astype(np.float32)}


def train_on_mesh(num_devices):
    mesh = parallel.make_mesh(num_devices=num_devices)
    compiled = parallel.compile_step(make_step(), mesh)
    state = parallel.replicate(make_state(), mesh)
    constants = parallel.replicate(jnp.asarray(2.0), mesh)
    batch = parallel.shard_batch(make_batch(), mesh)
    for _ in range(2):
        state, metrics = compiled(state, batch, constants)
    assert compiled._cache_size() == 1
    return jax.device_get(state), jax.device_get(metrics)


def train_by_pmap(step):
    mapped, state = parallel.pmap_step(step), make_state()
    for _ in range(2):
        state, metrics = mapped(state, make_batch(), jnp.asarray(2.0))
    return jax.device_get(state), jax.device_get(metrics)


@pytest.fixture(scope="module")
def one_device():
    return train_on_mesh(1)


def test_eight_devices_train_as_one(one_device):
    assert len(jax.devices()) == 8
    chex.assert_trees_all_close(train_on_mesh(8), one_device, atol=FLOAT32_SUMS)


def test_literal_pmap_trains_as_one_device(one_device):
    by_pmap = train_by_pmap(make_step(parallel.AXIS))
    chex.assert_trees_all_close(by_pmap, one_device, atol=FLOAT32_SUMS)


def test_the_comparison_sees_a_batch_norm_per_device(one_device):
    per_device = train_by_pmap(make_step(parallel.AXIS, batch_norm_axis=None))
    difference = optax.tree.max(
        jax.tree.map(lambda a, b: np.abs(a - b).max(), per_device[0].params, one_device[0].params)
    )
    assert difference > 100 * FLOAT32_SUMS


def test_the_step_takes_the_state_and_leaves_the_callers_arrays():
    mesh = parallel.make_mesh(num_devices=1)
    own = make_state()
    state = parallel.replicate(own, mesh)
    batch = parallel.shard_batch(make_batch(), mesh)
    parallel.compile_step(make_step(), mesh)(
        state, batch, parallel.replicate(jnp.asarray(2.0), mesh)
    )
    assert state.params["regressor"]["Dense_0"]["kernel"].is_deleted()
    chex.assert_tree_all_finite(own.params)


def test_a_batch_the_devices_cannot_share_is_refused():
    mesh = parallel.make_mesh()
    with pytest.raises(ValueError, match=r"\['image'\].*\(12, 6, 6, 1\).*multiple of the 8"):
        parallel.shard_batch(make_batch(12), mesh)
    with pytest.raises(ValueError, match=r"shape \(\)"):
        parallel.shard_batch({"step": np.float32(1)}, mesh)
    with pytest.raises(ValueError, match="multiple of the 8"):
        parallel.pmap_step(make_step(parallel.AXIS))(make_state(), make_batch(12), 2.0)


def test_more_devices_than_there_are_is_refused():
    with pytest.raises(ValueError, match="asked for 9 devices, but this run sees 8"):
        parallel.make_mesh(num_devices=9)


def test_compilation_cache_is_filled(tmp_path):
    names = (
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
    )
    before = {name: getattr(jax.config, name) for name in names}
    try:
        parallel.enable_compilation_cache(tmp_path / "cache")
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "cache")
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


@pytest.mark.parametrize("size", [1, 3, 8, 11, 16])
def test_examples_go_over_all_local_devices_and_come_back_in_order(size):
    shares = []

    def function(shared, numbers, empty):
        shares.append(numbers.shape[0])
        return {"sum": numbers + shared, "empty": empty}

    numbers = np.arange(size, dtype=np.float32)
    run = parallel.over_local_devices(function, num_shared=1)
    outputs = run(jnp.float32(2), numbers, np.zeros((size, 0), np.float32))
    np.testing.assert_array_equal(outputs["sum"], numbers + 2)
    chex.assert_shape(outputs["empty"], (size, 0))
    assert shares == [-(-size // min(size, jax.local_device_count()))]

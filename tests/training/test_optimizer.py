import chex
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from twodasl_jax.training.optimizer import OptimizerOptions, make_optimizer, make_schedule

SGD = OptimizerOptions(
    name="sgd",
    learning_rate=0.1,
    schedule="exponential_decay",
    decay_steps=2,
    decay_rate=0.5,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
)
ADAM = OptimizerOptions(name="adam", learning_rate=1e-2)


def sgd_in_numpy(w, gradients):
    """PyTorch's SGD: d = g + wd·w; v = 0.9·v + d; w −= lr·(d + 0.9·v), lr = 0.1·0.5^(t/2)."""
    velocity = np.zeros_like(w)
    for t, g in enumerate(gradients):
        d = g + 5e-4 * w
        velocity = 0.9 * velocity + d
        w = w - 0.1 * 0.5 ** (t / 2) * (d + 0.9 * velocity)
    return w


def adam_in_numpy(w, gradients):
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gradients, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        w = w - 1e-2 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


def test_each_network_follows_its_own_rule():
    random = np.random.default_rng(0)
    start = {name: random.normal(size=(3, 4)) for name in ("regressor", "critic")}
    gradients = {name: random.normal(size=(3, 3, 4)) for name in start}
    optimizer = make_optimizer({"regressor": SGD, "critic": ADAM})
    params = {name: {"kernel": jnp.asarray(w, jnp.float32)} for name, w in start.items()}
    opt_state = optimizer.init(params)
    for t in range(3):
        at_t = {name: {"kernel": jnp.asarray(g[t], jnp.float32)} for name, g in gradients.items()}
        updates, opt_state = optimizer.update(at_t, opt_state, params)
        params = optax.apply_updates(params, updates)
    expected = {
        "regressor": {"kernel": sgd_in_numpy(start["regressor"], gradients["regressor"])},
        "critic": {"kernel": adam_in_numpy(start["critic"], gradients["critic"])},
    }
    # float32 rounding of three updates of values near 1.
    chex.assert_trees_all_close(params, expected, atol=2e-6)


def test_clip_norm_is_per_network_and_before_weight_decay():
    plain = OptimizerOptions(
        name="sgd", learning_rate=1.0, momentum=0.0, nesterov=False, clip_norm=1.0
    )
    optimizer = make_optimizer({"a": plain, "b": plain})
    params = {"a": jnp.zeros(2), "b": jnp.zeros(2)}
    gradients = {"a": jnp.array([3.0, 4.0]), "b": jnp.array([0.3, 0.4])}
    updates, _ = optimizer.update(gradients, optimizer.init(params), params)
    # Exact but for the rounding of one division in float32.
    np.testing.assert_allclose(updates["a"], [-0.6, -0.8], atol=1e-6)
    np.testing.assert_allclose(updates["b"], [-0.3, -0.4], atol=1e-6)


def test_adamw_decays_kernels_only():
    options = OptimizerOptions(name="adamw", learning_rate=0.1, weight_decay=0.5)
    optimizer = make_optimizer({"a": options})
    params = {"a": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}}
    zero = {"a": {"kernel": jnp.zeros((2, 2)), "bias": jnp.zeros(2)}}
    updates, _ = optimizer.update(zero, optimizer.init(params), params)
    np.testing.assert_allclose(updates["a"]["kernel"], np.full((2, 2), -0.05), atol=1e-7)
    np.testing.assert_array_equal(updates["a"]["bias"], np.zeros(2))


def test_warmup_then_cosine_reaches_peak_and_zero():
    schedule = make_schedule(
        OptimizerOptions(
            name="sgd", learning_rate=2.0, schedule="cosine", warmup_steps=4, total_steps=14
        )
    )
    values = [float(schedule(jnp.asarray(step))) for step in range(15)]
    # float32 rounding of a cosine.
    np.testing.assert_allclose(values[:5], [0.5, 1.0, 1.5, 2.0, 2.0], atol=1e-6)
    np.testing.assert_allclose(values[9], 1.0, atol=1e-6)
    np.testing.assert_allclose(values[14], 0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "lion"}, r"'lion' for network 'a'.*'adam', 'adamw', 'sgd'"),
        ({"schedule": "step"}, r"'step'.*'constant', 'cosine', 'exponential_decay'"),
        ({"schedule": "exponential_decay"}, "needs decay_steps and decay_rate"),
        ({"schedule": "cosine", "total_steps": 5, "warmup_steps": 5}, "needs total_steps"),
    ],
)
def test_wrong_options_are_refused_with_the_choices(changes, message):
    with pytest.raises(ValueError, match=message):
        make_optimizer({"a": OptimizerOptions(**{"name": "sgd", "learning_rate": 0.1} | changes)})


def test_network_without_options_is_refused():
    with pytest.raises(ValueError, match=r"no optimizer options for network\(s\) \['b'\]"):
        make_optimizer({"a": SGD}).init({"a": jnp.zeros(2), "b": jnp.zeros(2)})

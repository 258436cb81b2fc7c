import jax.numpy as jnp
import numpy as np

from twodasl_jax.training.optimizer import OptimizerOptions, make_optimizer
from twodasl_jax.training.state import (
    apply_gradients,
    create_state,
    non_finite_parts,
)

OPTIMIZER = make_optimizer(
    {"regressor": OptimizerOptions(name="sgd", learning_rate=0.5, momentum=0.0, nesterov=False)}
)


def make_state():
    return create_state(
        {"regressor": {"kernel": np.ones((2, 3), np.float32)}},
        {"regressor": {"mean": np.zeros(3, np.float32)}},
        OPTIMIZER,
    )


def test_one_update_moves_everything_once():
    state = make_state()
    new = apply_gradients(
        state,
        {"regressor": {"kernel": jnp.full((2, 3), 2.0)}},
        OPTIMIZER,
        batch_stats={"regressor": {"mean": jnp.ones(3)}},
    )
    assert int(new.step) == 1
    np.testing.assert_array_equal(new.params["regressor"]["kernel"], np.zeros((2, 3)))
    np.testing.assert_array_equal(new.batch_stats["regressor"]["mean"], np.ones(3))


def test_non_finite_arrays_are_named():
    state = make_state()
    assert non_finite_parts(state) == []
    poisoned = state.replace(
        params={"regressor": {"kernel": state.params["regressor"]["kernel"].at[1, 2].set(jnp.nan)}}
    )
    assert non_finite_parts(poisoned) == ["params/regressor/kernel"]

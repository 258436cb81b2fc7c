"""Each term's share of the weighted sum, as a step reports it."""

import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.methods.twodasl import weighted_shares
from twodasl_jax.methods.twodasl_settings import TwoDASL

WEIGHTS = {"coefficient": 2.0, "cycle": 0.5, "self_critic": 0.01}
MEANS = {"coefficient": 3.0, "cycle": 40.0, "self_critic": 5.0, "critic_real": 9.0, "loss": 1.0}


def shares(step=100, **means):
    method = TwoDASL(None, None, None, WEIGHTS, ramp_steps={"cycle": 10})
    given = {name: jnp.asarray(value) for name, value in (MEANS | means).items()}
    found = weighted_shares(method, given, jnp.asarray(step))
    return {name: float(value) for name, value in found.items()}


def test_they_are_weight_times_mean_over_the_sum_without_the_critics_own():
    found = shares()
    assert list(found) == ["share/coefficient", "share/cycle", "share/self_critic"]
    # Float32.
    np.testing.assert_allclose(list(found.values()), np.array([6.0, 20.0, 0.05]) / 26.05, rtol=1e-6)
    assert sum(found.values()) == pytest.approx(1.0, abs=1e-6)


def test_the_ramp_counts():
    assert shares(step=0)["share/cycle"] == 0.0
    assert shares(step=5)["share/cycle"] == pytest.approx(10 / 16.05, rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_no_share_is_the_first_number_to_be_non_finite(bad):
    """The loop then names the term that is, and not every share beside it."""
    assert set(shares(cycle=bad).values()) == {0.0}


def test_a_sum_of_zero_has_no_shares():
    assert set(shares(step=0, coefficient=0.0, self_critic=0.0).values()) == {0.0}

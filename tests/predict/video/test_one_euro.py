"""The One-Euro filter against its algorithm written out, and by what it promises."""

import math

import chex
import numpy as np
import pytest

from twodasl_jax.predict.video.one_euro import OneEuroFilter


def literal(values, times, min_cutoff, beta, speed_cutoff):
    """Algorithm 1 and 2 of the paper for one number at a time."""
    filtered, speed, results = None, 0.0, []
    for index, x in enumerate(values):
        if filtered is None:
            filtered = x
        else:
            rate = 1.0 / (times[index] - times[index - 1])

            def alpha(cutoff, rate=rate):
                tau = 1.0 / (2 * math.pi * cutoff)
                return 1.0 / (1.0 + tau * rate)

            dx = (x - filtered) * rate
            a = alpha(speed_cutoff)
            speed = a * dx + (1 - a) * speed
            a = alpha(min_cutoff + beta * abs(speed))
            filtered = a * x + (1 - a) * filtered
        results.append(filtered)
    return results


def run(one_euro, values, times, **options):
    return np.array(
        [one_euro(value, time, **options) for value, time in zip(values, times, strict=True)]
    )


@pytest.fixture
def times():
    """Unequal steps around 30 per second."""
    return np.cumsum(np.random.default_rng(0).uniform(0.01, 0.06, 50))


def test_each_element_is_filtered_as_the_paper_says(times):
    values = np.random.default_rng(1).normal(size=(50, 2, 3)).cumsum(axis=0)
    got = run(OneEuroFilter(min_cutoff=1.3, beta=0.4, speed_cutoff=0.9), values, times)
    for row in range(2):
        for column in range(3):
            expected = literal(values[:, row, column], times, 1.3, 0.4, 0.9)
            # The same float64 operations in another order.
            chex.assert_trees_all_close(got[:, row, column], np.array(expected), rtol=1e-12)


def test_what_stays_stays(times):
    values = np.full((50, 4), [0.1, -3.0, 0.0, 1e5])
    got = run(OneEuroFilter(min_cutoff=0.5, beta=2.0), values, times)
    chex.assert_trees_all_equal(got, values)


def test_jitter_becomes_less(times):
    values = np.random.default_rng(2).normal(size=(50, 20))
    got = run(OneEuroFilter(min_cutoff=0.5, beta=0.0), values, times)
    # 0.5 Hz at 29 frames per second: α = 0.1, whose steady state keeps √(α/(2-α)) = 23 %.
    assert got[20:].std() < 0.4 * values.std()


def test_fast_motion_lags_for_a_shorter_time():
    times = np.arange(90) / 30.0
    delays = []
    for speed in (0.1, 1.0, 10.0):
        ramp = speed * times[:, None]
        got = run(OneEuroFilter(min_cutoff=1.0, beta=1.0), ramp, times)
        delays.append((ramp - got)[-1, 0] / speed)
    assert delays[0] > 1.5 * delays[1] > 3 * delays[2] > 0


def test_a_unit_makes_large_and_small_alike(times):
    values = np.random.default_rng(3).normal(size=(50, 3)).cumsum(axis=0)
    small = run(OneEuroFilter(min_cutoff=1.0, beta=0.5), values, times)
    large = run(OneEuroFilter(min_cutoff=1.0, beta=0.5), 8 * values, times, unit=8.0)
    # A power of two: the same mantissas.
    chex.assert_trees_all_close(large, 8 * small, rtol=1e-14)


def test_joint_filtering_turns_with_the_axes(times):
    values = np.random.default_rng(4).normal(size=(50, 2)).cumsum(axis=0)
    cosine, sine = np.cos(0.7), np.sin(0.7)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    options = {"min_cutoff": 1.0, "beta": 0.5, "joint": True}
    straight = run(OneEuroFilter(**options), values, times)
    turned = run(OneEuroFilter(**options), values @ turn.T, times)
    # float64 rounding of the turn, 50 steps long.
    chex.assert_trees_all_close(turned, straight @ turn.T, atol=1e-10)


def test_a_long_pause_forgets():
    one_euro = OneEuroFilter(min_cutoff=1.0, beta=0.0)
    one_euro(np.zeros(1), 0.0)
    assert one_euro(np.ones(1), 1000.0)[0] > 0.999


def test_the_caller_keeps_its_arrays():
    one_euro = OneEuroFilter(min_cutoff=1.0, beta=0.0)
    given = np.zeros(2)
    first = one_euro(given, 0.0)
    given[:], first[:] = 7.0, 7.0
    chex.assert_trees_all_equal(one_euro(np.zeros(2), 0.1), np.zeros(2))


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match=r"min_cutoff 0\.0.*expected positive cutoffs"):
        OneEuroFilter(min_cutoff=0.0, beta=1.0)
    one_euro = OneEuroFilter(min_cutoff=1.0, beta=1.0)
    one_euro(np.zeros(2), 1.0)
    with pytest.raises(ValueError, match="expected the same shape, and a later time"):
        one_euro(np.zeros(2), 1.0)
    with pytest.raises(ValueError, match="expected the same shape, and a later time"):
        one_euro(np.zeros(3), 2.0)
    with pytest.raises(ValueError, match="not finite"):
        one_euro(np.full(2, np.nan), 2.0)

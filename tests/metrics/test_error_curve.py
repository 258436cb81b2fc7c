"""`metrics/error_curve.py` against counting and a sampled integral."""

import numpy as np
import pytest

from twodasl_jax.metrics.error_curve import (
    area_under_curve,
    cumulative_error_curve,
    without_largest,
)

ERRORS = np.array([0.02, 0.05, 0.05, 0.2])


def test_the_curve_counts_errors_at_or_below_each_threshold():
    curve = cumulative_error_curve(ERRORS, [0.0, 0.02, 0.049, 0.05, 0.1, 0.2, 1.0])
    np.testing.assert_array_equal(curve, [0, 0.25, 0.25, 0.75, 0.75, 1, 1])


def test_the_area_equals_a_finely_sampled_integral():
    errors = np.random.default_rng(0).exponential(0.05, 500)
    limit = 0.1
    thresholds = np.linspace(0, limit, 20001)
    sampled = np.trapezoid(cumulative_error_curve(errors, thresholds), thresholds) / limit
    # The trapezoids cut each of the staircase's corners by under half a sampling step.
    assert area_under_curve(errors, limit) == pytest.approx(sampled, abs=1e-4)


def test_the_area_is_one_for_perfect_and_zero_for_hopeless_faces():
    assert area_under_curve(np.zeros(3), 0.1) == 1.0
    assert area_under_curve(np.full(3, 0.5), 0.1) == 0.0


@pytest.mark.parametrize("errors", [[], [0.1, np.nan], [[0.1]]])
def test_unusable_errors_are_refused(errors):
    with pytest.raises(ValueError, match="finite numbers"):
        area_under_curve(errors, 0.1)


def test_a_limit_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="positive"):
        area_under_curve(ERRORS, 0.0)


def test_the_largest_are_left_out_in_the_order_of_the_rest():
    errors = [0.2, 0.05, 0.05, 0.02]
    np.testing.assert_array_equal(without_largest(errors, 0), errors)
    np.testing.assert_array_equal(without_largest(errors, 1), [0.05, 0.05, 0.02])
    # Of equal ones the later goes.
    np.testing.assert_array_equal(without_largest(errors, 2), [0.05, 0.02])


@pytest.mark.parametrize("count", [-1, 4, 20])
def test_leaving_out_all_is_refused(count):
    with pytest.raises(ValueError, match=f"the {count} largest of 4 errors .* expected 0 to 3"):
        without_largest(ERRORS, count)

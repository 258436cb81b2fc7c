"""`data/balanced_faces.py`: how often a face of a yaw comes."""

import numpy as np
import pytest

from twodasl_jax.data.balanced_faces import rows_by_yaw

YAW = np.array([0.0, -29, 30, 31, -60, 59, 61, -90])
"""Three up to 30 degrees, three up to 60, two beyond."""


@pytest.mark.parametrize(
    ("weights", "rows"),
    [
        ((1, 1, 1), [0, 1, 2, 3, 4, 5, 6, 7]),
        ((1, 1.5, 2), [0, 1, 2, 3, 4, 4, 5, 6, 6, 7, 7]),
        ((0, 0, 1.5), [6, 7, 7]),
        ((0.5, 0, 0), [1]),
    ],
)
def test_rarer_faces_come_more_often(weights, rows):
    np.testing.assert_array_equal(rows_by_yaw(YAW, weights), rows)


def test_a_share_is_met_by_many_faces():
    yaw = np.random.default_rng(0).uniform(-90, 90, 3000)
    chosen = np.abs(yaw[rows_by_yaw(yaw, (0.3, 1.7, 2.4))])
    for low, high, weight in ((0, 30, 0.3), (30, 60, 1.7), (60, 90, 2.4)):
        there = ((np.abs(yaw) > low) & (np.abs(yaw) <= high)).sum()
        assert ((chosen > low) & (chosen <= high)).sum() == pytest.approx(weight * there, abs=1)


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ((1, 2), r"yaw_weights are \(1, 2\); expected 3 numbers of at least 0"),
        ((1, -1, 2), "expected 3 numbers of at least 0"),
        ((1, float("nan"), 2), "expected 3 numbers of at least 0"),
        ((0, 0, 0), "leave none of 8 faces"),
    ],
)
def test_other_weights_are_refused(weights, told):
    with pytest.raises(ValueError, match=told):
        rows_by_yaw(YAW, weights)

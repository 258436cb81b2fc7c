"""Which faces are turned, and how far."""

import numpy as np
import pytest

from twodasl_jax.experiment.annotation.turns import (
    LARGEST_YAW,
    LARGEST_YAW_BEFORE,
    LEAST_TURN,
    LEAST_YAW,
    MOST_TURN,
    choose_turns,
)

YAW = np.random.default_rng(0).uniform(-90, 90, 200)
GOOD = np.random.default_rng(1).random(200) < 0.7


def chosen(num_faces, *, seed=0):
    generator = np.random.default_rng(seed)
    return choose_turns(YAW, GOOD, num_faces=num_faces, generator=generator)


def test_each_good_face_that_is_no_profile_is_turned_away_once():
    rows, turns = chosen(None)
    assert rows.tolist() == np.flatnonzero(GOOD & (np.abs(YAW) < LARGEST_YAW_BEFORE)).tolist()
    before, after = np.abs(YAW[rows]), np.abs(YAW[rows] + turns)
    assert (np.sign(turns) == np.sign(YAW[rows])).all()
    np.testing.assert_allclose(after - before, np.abs(turns))
    assert np.abs(turns).min() >= LEAST_TURN
    assert np.abs(turns).max() <= MOST_TURN
    assert after.min() >= LEAST_YAW
    assert after.max() <= LARGEST_YAW


def test_fewer_are_a_part_and_the_same_every_time():
    rows, turns = chosen(20)
    assert len(np.unique(rows)) == len(rows) == 20
    again, same = chosen(20)
    assert rows.tolist() == again.tolist()
    assert turns.tolist() == same.tolist()
    assert rows.tolist() != chosen(20, seed=1)[0].tolist()


def test_more_turn_each_face_to_yaws_that_lie_apart():
    once = len(chosen(None)[0])
    rows, turns = chosen(3 * once)
    assert (np.bincount(rows)[np.unique(rows)] == 3).all()
    for row in np.unique(rows):
        yaw = np.sort(np.abs(YAW[row] + turns[rows == row]))
        lowest = max(abs(YAW[row]) + LEAST_TURN, LEAST_YAW)
        third = (min(abs(YAW[row]) + MOST_TURN, LARGEST_YAW) - lowest) / 3
        assert np.floor((yaw - lowest) / third).tolist() == [0, 1, 2]


@pytest.mark.parametrize("yaw", [np.full(5, 75.0), np.zeros(0)])
def test_where_none_can_be_turned_one_sentence_says_why(yaw):
    with pytest.raises(ValueError, match=r"none of . faces can be turned.*under 60 degrees"):
        choose_turns(yaw, np.ones(len(yaw), bool), num_faces=3, generator=np.random.default_rng(0))

"""The landmark sets' tables agree with each other."""

import numpy as np

from twodasl_jax.landmark_tables import (
    LANDMARK_IMPORTANCE_18,
    LANDMARKS_18_FROM_21,
    LANDMARKS_18_FROM_68,
    LANDMARKS_21_FROM_68,
    MIRROR_18,
    MIRROR_68,
)


def test_mirrors_are_involutions_that_leave_the_middle_alone():
    np.testing.assert_array_equal(MIRROR_68[MIRROR_68], np.arange(68))
    np.testing.assert_array_equal(MIRROR_18[MIRROR_18], np.arange(18))
    middle = np.flatnonzero(np.arange(68) == MIRROR_68)
    # Chin, nose ridge and tip, the lips' middles.
    assert middle.tolist() == [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]


def test_the_mirror_of_the_18_is_that_of_their_points():
    pairs = {tuple(sorted(pair)): index for index, pair in enumerate(LANDMARKS_18_FROM_68)}
    mirrored = [pairs.get(tuple(sorted(MIRROR_68[pair]))) for pair in LANDMARKS_18_FROM_68]
    # The published eye centres (37 + 40)/2 and (43 + 46)/2 are no exact mirror images.
    assert [i for i, found in enumerate(mirrored) if found is None] == [7, 10]
    assert all(found in (None, MIRROR_18[i]) for i, found in enumerate(mirrored))


def test_the_21_are_the_18_with_ears_and_chin():
    assert set(range(21)) - set(LANDMARKS_18_FROM_21.tolist()) == {12, 16, 20}
    for row, pair in zip(LANDMARKS_18_FROM_21, LANDMARKS_18_FROM_68, strict=True):
        own = LANDMARKS_21_FROM_68[row]
        # One point is the same one; a centre's pair is among the points of its mean.
        assert set(pair.tolist()) <= set(own)
        assert (len(own) == 1) == (pair[0] == pair[1])


def test_importance_is_the_paper_s_and_the_same_on_both_sides():
    np.testing.assert_array_equal(LANDMARK_IMPORTANCE_18, LANDMARK_IMPORTANCE_18[MIRROR_18])
    assert sorted(LANDMARK_IMPORTANCE_18.tolist()) == [1] * 12 + [2] * 4 + [4] * 2

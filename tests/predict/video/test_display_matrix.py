"""Display matrices against their definition, position by position."""

import chex
import numpy as np
import pytest

from twodasl_jax.predict.video.display_matrix import as_displayed, fitted, odd_turn

ONE = 1 << 16
SIGNED_PERMUTATIONS = [
    (a, b, c, d)
    for a, b, c, d in np.ndindex(3, 3, 3, 3)
    if abs((a - 1) * (d - 1) - (b - 1) * (c - 1)) == 1 and abs(a - 1) + abs(b - 1) == 1
    if abs(c - 1) + abs(d - 1) == 1
]


def matrix(a, b, c, d, scale=ONE):
    return np.array([[a * scale, b * scale, 0], [c * scale, d * scale, 0], [0, 0, 1 << 30]])


@pytest.mark.parametrize("shifted", SIGNED_PERMUTATIONS)
@pytest.mark.parametrize("scale", [ONE, 3 * ONE])
def test_each_pixel_goes_where_the_matrix_says(shifted, scale):
    a, b, c, d = (int(value) - 1 for value in shifted)
    image = np.arange(3 * 5 * 3).reshape(3, 5, 3)
    rows, columns = np.indices((3, 5))
    # Centres about the picture's own centre, so that the shift plays no part.
    p, q = columns - 2.0, rows - 1.0
    x, y = a * p + c * q, b * p + d * q
    shape = (5, 3, 3) if b else (3, 5, 3)
    expected = np.empty(shape, image.dtype)
    expected[(y - y.min()).astype(int), (x - x.min()).astype(int)] = image
    assert len(SIGNED_PERMUTATIONS) == 8
    chex.assert_trees_all_equal(as_displayed(image, matrix(a, b, c, d, scale)), expected)
    assert odd_turn(matrix(a, b, c, d, scale)) is None


@pytest.mark.parametrize(("degrees", "quarters"), [(10, 0), (44, 0), (46, 1), (100, 1), (-80, -1)])
def test_other_turns_are_told_and_the_nearest_quarter_taken(degrees, quarters):
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    odd = matrix(cosine, sine, -sine, cosine)
    image = np.arange(3 * 5 * 3).reshape(3, 5, 3)
    chex.assert_trees_all_equal(as_displayed(image, odd), np.rot90(image, -quarters))
    told = f"it asks to be turned by {degrees}°: the nearest quarter turn was taken"
    assert odd_turn(odd) == told


def test_no_matrix_and_no_direction_turn_nothing():
    image = np.arange(3 * 5 * 3).reshape(3, 5, 3)
    for nothing in (None, np.zeros((3, 3), np.int32)):
        chex.assert_trees_all_equal(as_displayed(image, nothing), image)
        assert odd_turn(nothing) is None


def test_a_picture_is_fitted_with_its_proportions():
    framed = fitted(np.full((8, 4, 3), 200, np.uint8), height=4, width=8)
    chex.assert_shape(framed, (4, 8, 3))
    assert (framed[:, 3:5] == 200).all()
    assert not framed[:, :3].any()
    assert not framed[:, 5:].any()

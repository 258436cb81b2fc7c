"""What hides what, on two sheets one behind the other."""

import numpy as np
import pytest

from twodasl_jax.predict.pictures.visibility import depth_buffer, in_picture

# A large sheet at depth 0 and a small one 50 before it; z grows towards the viewer.
SHEETS = np.array(
    [
        [0, 100, 0, 100, 40, 60, 40, 60],
        [0, 0, 100, 100, 40, 40, 60, 60],
        [0, 0, 0, 0, 50, 50, 50, 50],
    ],
    np.float32,
)
TRIANGLES = np.array([[0, 2, 1], [1, 2, 3], [4, 6, 5], [5, 6, 7]])


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (30, -4000), (0.1, 900)])
def test_what_lies_behind_is_hidden_whatever_the_size_and_place(scale, shift):
    vertices = (SHEETS * scale + np.float32([[shift], [shift], [0]])).astype(np.float32)
    buffer = depth_buffer(vertices, TRIANGLES)
    points = np.array([[50, 50, 20, 20], [50, 50, 20, 20], [50, 0, 0, 50]], np.float32)
    points = points * scale + np.float32([[shift], [shift], [0]])
    # Upon the small sheet; behind it; upon the large one beside it; before that.
    assert buffer.sees(points).tolist() == [True, False, True, True]


def test_a_point_a_little_below_the_surface_still_counts():
    buffer = depth_buffer(SHEETS, TRIANGLES)
    below = np.array([[20, 20], [20, 20], [-1, -3]], np.float32)  # 2 % of 100 may be missing
    assert buffer.sees(below).tolist() == [True, False]


def test_points_keep_their_shape():
    points = np.zeros((3, 2, 5), np.float32)
    assert depth_buffer(SHEETS, TRIANGLES).sees(points).shape == (2, 5)


def test_a_picture_spans_its_border():
    points = np.array([[0, 200, -0.1, 200.1, 5, 5], [0, 100, 5, 5, -0.1, 100.1]])
    assert in_picture(points, height=100, width=200).tolist() == [True, True] + [False] * 4

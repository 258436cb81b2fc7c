"""Strokes: where their ink lands."""

import numpy as np
import pytest

from twodasl_jax.predict.pictures.strokes import (
    draw_arrow,
    draw_dot,
    draw_line,
    fixed_point,
    rgb_copy,
)

GREY = np.full((40, 60, 3), 128, np.uint8)
RED = (255, 0, 0)


def ink(image):
    return (image != GREY).any(-1)


def test_the_picture_is_copied_and_checked():
    copy = rgb_copy(GREY)
    copy[:] = 0
    assert (GREY == 128).all()
    for wrong in (GREY[..., 0], GREY.astype(float), np.zeros((4, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match=r"expected \(height, width, 3\) uint8 RGB"):
            rgb_copy(wrong)


def test_the_middle_of_a_pixel_is_opencvs_whole_number():
    assert fixed_point(np.array([7.5, 3.5])) == (7 * 16, 3 * 16)
    assert fixed_point(np.array([1e30, -1e30])) == (2**24, -(2**24))


def test_a_dot_is_round_and_its_outline_a_pixel_wider():
    widths = []
    for outline in (False, True):
        image = rgb_copy(GREY)
        draw_dot(image, np.array([30.5, 20.5]), RED, 5, outline=outline)
        rows, columns = np.nonzero(ink(image))
        assert (rows.mean(), columns.mean()) == (20, 30)
        widths.append(np.ptp(columns) + 1)
        assert image[20, 30].tolist() == ([16, 20, 28] if outline else list(RED))
    assert widths[1] == widths[0] + 2
    assert abs(widths[0] - 11) <= 2  # anti-aliased


def test_a_line_reaches_both_ends():
    image = rgb_copy(GREY)
    draw_line(image, np.array([5.5, 10.5]), np.array([50.5, 10.5]), RED, 3, outline=False)
    assert (image[10, 5:51] == RED).all()
    # Half the thickness and a smoothed edge beyond its end.
    assert not ink(image)[:, :2].any()
    assert not ink(image)[20:].any()


def test_an_arrow_has_barbs_at_its_tip_alone():
    image = rgb_copy(GREY)
    draw_arrow(image, np.array([5.5, 20.5]), np.array([50.5, 20.5]), RED, 2, outline=False)
    height = ink(image).sum(axis=0)
    assert height[44:47].min() > height[10:35].max()


def test_an_arrow_at_the_viewer_is_a_dot():
    image = rgb_copy(GREY)
    draw_arrow(image, np.array([30.5, 20.5]), np.array([31.5, 20.5]), RED, 2, outline=False)
    rows, columns = np.nonzero(ink(image))
    assert abs(np.ptp(rows) - np.ptp(columns)) <= 1  # smoothed edges
    assert np.ptp(rows) >= 4

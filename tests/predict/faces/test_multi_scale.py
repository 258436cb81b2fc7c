"""Several copies of a picture: which are looked at, and that each face comes out once."""

import numpy as np
import pytest

from twodasl_jax.predict.faces.centerface import Detections, join
from twodasl_jax.predict.faces.multi_scale import LEVELS, QUICK_LEVELS, find_at_all_scales


class Squares:
    """Sees bright squares of 24 to 250 pixels, as sure as they are bright; notes what it saw."""

    def __init__(self):
        self.shapes = []

    def __call__(self, picture, *, least_score):
        self.shapes.append(picture.shape[:2])
        found = []
        lit = picture[..., 0] > 20
        while lit.any():
            top, left = np.argwhere(lit)[0]
            right = left + int(np.argmin(np.append(lit[top, left:], False)))
            bottom = top + int(np.argmin(np.append(lit[top:, left], False)))
            lit[top:bottom, left:right] = False
            score = float(picture[(top + bottom) // 2, (left + right) // 2, 0]) / 255
            sees = min(right - left, bottom - top) >= 24 and right - left <= 250
            if sees and score >= least_score:
                box = np.array([[left, top, right, bottom]], float)
                found.append(Detections(box, np.array([score]), np.zeros((1, 5, 2))))
        return join(found)


def picture_with(shape, *squares):
    picture = np.zeros((*shape, 3), np.uint8)
    for left, top, side, level in squares:
        picture[top : top + side, left : left + side] = level
    return picture


def rounded(found):
    return sorted(np.round(found.boxes / 8).astype(int).tolist())


def test_a_large_sure_face_costs_one_small_copy():
    see = Squares()
    found = find_at_all_scales(see, picture_with((960, 1280), (400, 200, 480, 250)))
    assert see.shapes == [(168, 224)]
    np.testing.assert_allclose(found.boxes, [[400, 200, 880, 680]], atol=6)


def test_a_small_face_is_looked_for_in_larger_copies_and_comes_out_once():
    # 60 of 1280 pixels: 10 of the first copy (unseen), 30 of the second, 96 of the third.
    see = Squares()
    found = find_at_all_scales(see, picture_with((960, 1280), (640, 320, 60, 250)))
    assert see.shapes[:2] == [(168, 224), (480, 640)]
    assert rounded(found) == [[80, 40, 88, 48]]


def test_a_hint_of_a_small_face_beside_a_large_one_asks_for_a_closer_look():
    large, small = (200, 200, 500, 250), (1100, 800, 160, 60)
    see = Squares()
    alone = find_at_all_scales(see, picture_with((960, 1280), large))
    assert len(see.shapes) == 1
    both = find_at_all_scales(see, picture_with((960, 1280), large, small))
    assert (480, 640) in see.shapes
    # The dim one, 0.24, is too unsure to be a face: it was looked at, and left out.
    assert rounded(both) == rounded(alone)


@pytest.mark.parametrize("place", [(0, 0), (1580, 40), (780, 780), (1950, 1950)])
def test_tiles_cover_the_picture(place):
    see = Squares()
    found = find_at_all_scales(see, picture_with((2048, 2048), (*place, 40, 250)))
    assert rounded(found) == rounded(found.where(np.array([0])))
    np.testing.assert_allclose(found.boxes[0, :2], place, atol=2)
    assert max(max(shape) for shape in see.shapes) == 640


@pytest.mark.parametrize("shape", [(6000, 9000), (20, 8000), (1, 1), (1, 3000)])
def test_what_is_looked_at_stays_bounded(shape):
    see = Squares()
    find_at_all_scales(see, np.zeros((*shape, 3), np.uint8))
    assert max(max(shape) for shape in see.shapes) <= 640
    assert len(see.shapes) <= 2 + 16


def test_a_quick_look_leaves_the_largest_copy_out():
    see = Squares()
    image = picture_with((2048, 2048), (640, 320, 40, 250))
    assert len(find_at_all_scales(see, image, levels=QUICK_LEVELS).boxes) == 0
    assert see.shapes == [(224, 224), (640, 640)]
    assert len(find_at_all_scales(see, image, levels=LEVELS).boxes) == 1


def test_closer_looks_at_every_copy():
    see = Squares()
    image = picture_with((960, 1280), (400, 200, 480, 250))
    found = find_at_all_scales(see, image, closer=True)
    assert len(see.shapes) > 2
    assert len(found.boxes) == 1


def test_a_small_picture_is_not_shown_twice_at_one_size():
    see = Squares()
    find_at_all_scales(see, np.zeros((60, 50, 3), np.uint8))
    assert see.shapes == [(120, 100)]

"""When a predicted face is believed, and which face is which."""

import contextlib
import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from twodasl_jax.data.face_crop import crop_image, roi_box_from_landmarks
from twodasl_jax.predict.video.frame_matching import is_plausible, match_faces, overlap

SHAPE = (300, 500, 3)


@pytest.fixture
def face_at(reconstruct) -> Callable:
    """The dome with a crop's middle and side; its landmarks are 100 of the crop's 120 wide."""

    def made(x, y, side):
        coefficients = np.zeros(62, np.float32)
        coefficients[[0, 5, 10]] = 120 / 141.42
        coefficients[[3, 7]] = 60, 61
        return reconstruct(
            coefficients, np.array([x, y, x, y]) + np.array([-1, -1, 1, 1]) * side / 2
        )

    return made


def test_plausible_faces(face_at):
    face = face_at(250, 150, 100)
    box = roi_box_from_landmarks(face.landmarks_px)
    assert is_plausible(face, None, SHAPE)
    assert is_plausible(face, box + 20, SHAPE)
    assert not is_plausible(face, box + 60, SHAPE)
    assert not is_plausible(face, np.array([200, 100, 400, 300]), SHAPE)
    assert not is_plausible(face_at(10, 10, 100), None, SHAPE)
    assert not is_plausible(face_at(250, 150, 12), None, SHAPE)


@pytest.mark.parametrize(("side", "can_be_cut"), [(3400, True), (3600, False), (3900, False)])
def test_what_is_plausible_can_be_cut(face_at, side, can_be_cut):
    """In a frame of 2000 x 500 pixels a crop may have 12 million, 3464 a side."""
    frame = np.zeros((500, 2000, 3), np.uint8)
    face = face_at(1000, 250, 300)
    landmarks = face.landmarks.copy()
    landmarks[[0, 16], 0] = 1000 + np.array([-1, 1]) * side / np.sqrt(8)  # as a crop's rule is
    face = dataclasses.replace(face, landmarks=landmarks)
    assert is_plausible(face, None, frame.shape) is can_be_cut
    with contextlib.nullcontext() if can_be_cut else pytest.raises(ValueError, match="12 times"):
        crop_image(frame, roi_box_from_landmarks(face.landmarks_px))


def test_overlap_is_intersection_over_union():
    box = np.array([0.0, 0.0, 2.0, 2.0])
    assert overlap(box, box) == 1.0
    assert overlap(box, box + 1) == pytest.approx(1 / 7)
    assert overlap(box, box + 5) == 0.0


def test_each_face_finds_its_own(face_at):
    ada, bob = face_at(100, 150, 90), face_at(300, 150, 90)
    moved = [face_at(305, 150, 95), face_at(95, 148, 90), face_at(420, 60, 90)]
    assert match_faces([ada, bob], moved) == {0: 1, 1: 0}
    assert match_faces([], moved) == {}

"""Pictures decide between two readings of labels by darker eyes."""

import cv2
import numpy as np
import pytest

from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.data.labelled_faces import read_labelled_faces
from twodasl_jax.data.shown_faces import eye_contrast, pictures_prefer

SQUARE = np.full((18, 2), np.nan)
SQUARE[[7, 10, 1, 4, 15, 17]] = [(40, 50), (80, 50), (40, 40), (80, 40), (45, 90), (75, 90)]


def test_dark_eyes_and_brows_give_contrast():
    picture = np.full((120, 120, 3), 200, np.uint8)
    for eye in (7, 10, 1, 4):
        cv2.circle(picture, [int(value) for value in SQUARE[eye]], 6, (50, 50, 50), -1)
    assert eye_contrast(picture, SQUARE) == pytest.approx(150, abs=1)
    assert eye_contrast(picture, SQUARE + 30) < 20
    assert eye_contrast(255 - picture, SQUARE) < -140
    half = SQUARE.copy()
    half[[7, 1]] = np.nan
    assert eye_contrast(picture, half) == pytest.approx(150, abs=1)


def test_nothing_is_known_beside_the_picture_or_of_one_colour():
    grey = np.full((120, 120, 3), 60, np.uint8)
    assert eye_contrast(grey, SQUARE + 500) == 0
    assert eye_contrast(grey, SQUARE) == 0
    assert not pictures_prefer(np.zeros(9), np.zeros(9))
    assert pictures_prefer(np.ones(9), np.zeros(9))
    assert not pictures_prefer(np.array([1, 1, 1, 0, 0]), np.full(5, 0.5))  # chance


@pytest.mark.shared_data
def test_real_pictures_prefer_right_labels(shared_data):
    faces = read_labelled_faces(shared_data / "aflw_validation", None)
    rows = np.arange(0, len(faces.names), 40)
    from twodasl_jax.data.face_selection import pictures_show

    given = faces.labels_px[rows]
    for other in (CROP_SIZE - given, 0.6 * given, given + np.array([0.0, 25.0])):
        assert pictures_show(given, other, lambda row: faces.read_picture(int(rows[row])))
        assert not pictures_show(other, given, lambda row: faces.read_picture(int(rows[row])))

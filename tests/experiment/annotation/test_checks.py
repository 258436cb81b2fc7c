"""Which fits are believed."""

import dataclasses
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from twodasl_jax.data.labelled_faces import LabelledFaces
from twodasl_jax.experiment.annotation.checks import RESIDUAL, none_left, objections
from twodasl_jax.face_model.model import FaceModel

FRONT, BEHIND, DOWN = np.eye(3), np.diag([1.0, -1, -1]), np.diag([-1.0, -1, 1])
EYES = [(40, 45), (80, 45), (40, 35), (80, 35), (45, 90), (75, 90)]


def labels(count):
    points = np.random.default_rng(0).uniform(20, 100, (count, 18, 2))
    points[:, [7, 10, 1, 4, 15, 17]] = EYES
    return points.astype(np.float32)


def faces_of(count, picture=None):
    return LabelledFaces(
        names=np.array([f"p{index}.png" for index in range(count)]),
        landmark_set=18,
        landmarks=labels(count),
        weights=np.ones((count, 18), np.float32),
        roi_box=None,
        visibility=None,
        landmarks21=None,
        read_encoded=lambda index, box: (b"", ".png"),
        read_picture=lambda index: picture,
        picture_size=np.full((count, 2), 120.0),
        left_out=(),
    )


def judge(rotations, residual, faces=None):
    coefficients = np.zeros((len(rotations), 62))
    coefficients[:, :12] = np.pad(np.stack(rotations), [(0, 0), (0, 0), (0, 1)]).reshape(-1, 12)
    model = cast(FaceModel, SimpleNamespace(whitening=None))
    return objections(
        model,
        faces or faces_of(len(rotations)),
        coefficients,
        np.asarray(residual, float),
        limit=4.0,
        refit=lambda some: pytest.fail("these faces are usual"),
    )


def test_faces_are_rejected_one_by_one():
    reasons = judge([FRONT, FRONT, FRONT, BEHIND], [1, 5, np.nan, 1])
    assert reasons.keys() == {1, 2, 3}
    assert reasons[1] == reasons[2] == RESIDUAL
    assert "seen from behind" in reasons[3]


def test_a_set_from_behind_is_refused_though_it_fits_badly():
    with pytest.raises(ValueError, match=r"3 of 4 .* y points up .*first face is p0\.png"):
        judge([BEHIND] * 3 + [FRONT], [6] * 4)
    # Labels in another order fit nowhere, and from anywhere.
    assert set(judge([BEHIND] * 3 + [FRONT], [46] * 4).values()) == {RESIDUAL}


def test_a_set_upside_down_is_right_where_the_pictures_are():
    with pytest.raises(ValueError, match="9 of 9 fitted heads are upside down"):
        judge([DOWN] * 9, [1] * 9)
    picture = np.full((120, 120, 3), 200, np.uint8)
    for x, y in EYES[:4]:
        picture[y - 4 : y + 5, x - 4 : x + 5] = 40
    assert judge([DOWN] * 9, [1] * 9, faces_of(9, picture)) == {}
    with pytest.raises(ValueError, match="upside down"):
        judge([DOWN] * 9, [1] * 9, faces_of(9, picture[::-1, ::-1].copy()))


@pytest.mark.parametrize(
    ("turn", "name"),
    [
        (lambda picture: picture[:, ::-1], "mirrored"),
        (lambda picture: picture[::-1, ::-1], "turned by 180 degrees"),
        (lambda picture: np.rot90(picture, -1), "turned by 90 degrees clockwise"),
        (lambda picture: np.rot90(picture), "turned by 90 degrees anticlockwise"),
    ],
)
def test_pictures_overrule_labels_that_were_not_turned_with_them(turn, name):
    picture = np.full((120, 120, 3), 200, np.uint8)
    for x, y in EYES[:4]:
        picture[y - 4 : y + 5, x - 28 : x - 19] = 40  # left of the middle
    shifted = faces_of(16, turn(picture).copy())
    shifted = dataclasses.replace(shifted, landmarks=shifted.landmarks - np.float32([24, 0]))
    with pytest.raises(ValueError, match=rf"if they were {name}; labels are expected"):
        judge([FRONT] * 16, [1] * 16, shifted)
    right = dataclasses.replace(shifted, read_picture=lambda index: picture)
    assert judge([FRONT] * 16, [1] * 16, right) == {}
    few = dataclasses.replace(faces_of(15, turn(picture).copy()), landmarks=shifted.landmarks[:15])
    assert judge([FRONT] * 15, [1] * 15, few) == {}


def test_the_last_sentence_names_the_best_fit_or_the_first_reason():
    faces = faces_of(2)
    assert "best has 7.00 %" in none_left(faces, dict.fromkeys((0, 1), RESIDUAL), 7.0, 4.0)
    sentence = none_left(faces, {0: RESIDUAL, 1: "p1.png is black"}, 1.0, 4.0)
    assert sentence == "none of 2 faces can be used; the first, p1.png is black"

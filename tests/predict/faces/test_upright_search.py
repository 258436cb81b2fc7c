"""Heads on their side and on their head are found and fitted; sure ones cost nothing more."""

import dataclasses

import chex
import numpy as np
import pytest

from twodasl_jax.predict.faces.face_detectors import FaceBox
from twodasl_jax.predict.faces.fit_confidence import UNSURE
from twodasl_jax.predict.faces.upright_search import (
    find_in_turned,
    reconstruct_any_way_up,
    reconstruct_detected_landmarks,
    surest_first,
    turned_picture,
    unturned_points,
)

BOX = np.array([75.0, 45.0, 165.0, 145.0])


class FlagDetector:
    """Sees the disc of `flag_photo` where it is within 45 degrees of upright."""

    def __init__(self):
        self.shapes = []

    def __call__(self, image, /, *, quick=False):
        self.shapes.append(image.shape[:2])
        level = image[..., 0]
        rows, columns = np.indices(level.shape) + 0.5
        white, black = level > 200, level < 60
        upper, lower = (np.array([columns[m].mean(), rows[m].mean()]) for m in (white, black))
        x, y = lower - upper
        if abs(np.degrees(np.arctan2(x, y))) > 46:
            return []
        middle = (upper + lower) / 2
        return [FaceBox(np.concatenate([middle - 45, middle + 45]), 0.99)]


def reconstruct(photo, network, found, detect=None):
    return reconstruct_any_way_up(
        photo, found, network, network.face_model, num_refinements=2, detect=detect
    )


def roll_of(face):
    """Counterclockwise, of the head in the photograph."""
    x, y = face.camera.rotation[:2, 1]
    return np.degrees(np.arctan2(-x, y))


@pytest.mark.parametrize("roll", [-150.0, -90.0, -60.0, 0.0, 60.0, 90.0, 120.0, 180.0])
def test_a_box_alone_is_tried_every_way_up(flag_photo, flag_network, roll):
    (face,) = reconstruct(flag_photo(roll), flag_network, [FaceBox(BOX)])
    # Crops are cut at whole pixels, the disc's halves found to a fraction of a degree.
    assert abs((roll_of(face) - roll + 180) % 360 - 180) < 2.0
    assert (face.fit_confidence or 0.0) > 0.7
    chex.assert_trees_all_close(face.landmarks_px.mean(0), np.array([120.0, 100.0]), atol=12)
    chex.assert_trees_all_equal(face.box, BOX.astype(np.float32))


@pytest.mark.parametrize("roll", [-110.0, 90.0, 180.0])
def test_what_the_detector_misses_is_found_in_the_turned_picture(flag_photo, flag_network, roll):
    photo, detect = flag_photo(roll), FlagDetector()
    faces = reconstruct(photo, flag_network, detect(photo), detect)
    (face,) = surest_first(faces)
    assert abs((roll_of(face) - roll + 180) % 360 - 180) < 2.0
    assert face.score == 0.99
    # The photograph as it is, then by 90, 180 and 270 degrees.
    assert detect.shapes == [(200, 240), (240, 200), (200, 240), (240, 200)]


def test_a_sure_face_costs_nothing_more(flag_photo, flag_network):
    photo, detect = flag_photo(5.0), FlagDetector()
    (face,) = reconstruct(photo, flag_network, detect(photo), detect)
    assert face.turn_degrees == 0.0
    assert len(detect.shapes) == 1
    assert flag_network.calls == 4  # the crop, two refinements, the second view


@pytest.mark.parametrize(("roll", "searched"), [(90.0, True), (5.0, False)])
def test_where_one_head_lies_others_are_looked_for(flag_photo, flag_network, roll, searched):
    photo, detect = flag_photo(roll), FlagDetector()
    (alone,) = reconstruct(photo, flag_network, [FaceBox(BOX)])
    marks = alone.landmarks_px
    points = np.stack([marks[36:42].mean(0), marks[42:48].mean(0), marks[30], marks[48], marks[54]])
    found = [FaceBox(BOX, 0.99, alone.turn_degrees, points)]
    faces = reconstruct(photo, flag_network, found, detect)
    assert abs(roll_of(faces[0]) - roll) < 2.0
    assert (faces[0].fit_confidence or 0.0) > 0.7
    assert bool(detect.shapes) == searched
    assert len(surest_first(faces)) == 1


def test_a_wrong_fit_gives_way_to_a_right_one(flag_photo, flag_network):
    """A detector that frames a head on its side with its usual score near 1."""
    photo, detect = flag_photo(90.0), FlagDetector()
    points = np.array([[100.0, 80], [140, 80], [120, 100], [105, 125], [135, 125]])
    framed = [FaceBox(BOX, 0.999, 0.0, points)]
    wrong, right = reconstruct(photo, flag_network, framed, detect)
    assert (wrong.fit_confidence or 0.0) < UNSURE < (right.fit_confidence or 0.0)
    assert surest_first([wrong, right]) == [right]


def test_a_turned_face_must_be_seen_clearly(flag_photo, flag_network):
    photo = flag_photo(180.0)

    def hesitant(image, **_):
        return [dataclasses.replace(face, is_clear=False) for face in FlagDetector()(image)]

    assert reconstruct(photo, flag_network, [], hesitant) == []


def test_without_any_face_none_is_made_up(flag_network):
    grey = np.full((200, 240, 3), 128, np.uint8)
    assert reconstruct(grey, flag_network, [], lambda image, **_: []) == []
    # A detector that sees a face in every turned picture, where there is none.
    assert reconstruct(grey, flag_network, [], lambda image, **_: [FaceBox(BOX, 0.99)]) == []


@pytest.mark.parametrize("size", [(20, 30), (400, 1600)])
@pytest.mark.parametrize("turn", [45.0, 90.0, 180.0, 270.0, 315.0])
def test_points_go_back_through_a_turned_picture(turn, size):
    image = np.zeros((*size, 3), np.uint8)
    side = size[1] // 10
    image[side : 2 * side, 7 * side : 8 * side] = 255
    picture, warp = turned_picture(image, turn)
    level = picture[..., 0].astype(float)
    rows, columns = np.indices(level.shape) + 0.5
    middle = np.array([[(columns * level).sum(), (rows * level).sum()]]) / level.sum()
    # The centre of mass of a sampled square; the large picture is made three times smaller.
    chex.assert_trees_all_close(
        unturned_points(middle, warp), np.array([[7.5, 1.5]]) * side, atol=0.3
    )


@pytest.mark.parametrize(("turn", "quarters"), [(90.0, 1), (180.0, 2), (270.0, 3)])
def test_a_quarter_moves_no_pixel_between_others(photo, turn, quarters):
    chex.assert_trees_all_equal(turned_picture(photo, turn)[0], np.rot90(photo, quarters))


def test_large_pictures_are_searched_smaller_and_boxes_come_back(flag_photo):
    large = np.kron(flag_photo(180.0), np.ones((8, 8, 1), np.uint8))
    detect = FlagDetector()
    (face,) = find_in_turned(large, detect, [90.0, 180.0])
    assert max(max(shape) for shape in detect.shapes) == 512
    middle = (face.box[:2] + face.box[2:]) / 2
    chex.assert_trees_all_close(middle, np.array([960.0, 800.0], np.float32), atol=16)
    assert abs(face.turn_degrees) == 180.0


def test_landmark_detectors_look_at_the_turned_picture_too(flag_photo, flag_network):
    (upright,) = reconstruct(flag_photo(0.0), flag_network, [FaceBox(BOX)])

    def detect(image):
        if not FlagDetector()(image):
            return np.zeros((0, 68, 2))
        offset = np.array([image.shape[1], image.shape[0]]) / 2 - (120, 100)
        return (upright.landmarks_px + offset)[None]

    (face,) = reconstruct_detected_landmarks(
        flag_photo(180.0), detect, flag_network, flag_network.face_model
    )
    assert abs(roll_of(face)) > 175
    (face,) = reconstruct_detected_landmarks(
        flag_photo(0.0), detect, flag_network, flag_network.face_model
    )
    assert abs(roll_of(face)) < 5


def test_among_sure_fits_the_detectors_score_decides(frontal):
    first = dataclasses.replace(frontal, fit_confidence=0.8, score=0.9)
    second = dataclasses.replace(frontal, fit_confidence=0.7, score=0.95)
    doubted = dataclasses.replace(frontal, fit_confidence=0.2, score=0.99)
    assert surest_first([doubted, first, second]) == [second]


@pytest.mark.parametrize(
    ("upright", "turned", "wins"),
    [(0.23, 0.39, False), (0.23, 0.55, True), (0.4, 0.55, False), (0.0, 0.49, False)],
)
def test_an_upright_fit_gives_way_to_a_clearly_surer_one_alone(
    flag_photo, flag_network, monkeypatch, upright, turned, wins
):
    """Of eight ways up of a network that fits none well, one is the surest by chance."""

    def rated(image, faces, *_, **__):
        return (
            [
                dataclasses.replace(face, fit_confidence=turned if index == 3 else 0.0)
                for index, face in enumerate(faces)
            ]
            if len(faces) > 1
            else [dataclasses.replace(faces[0], fit_confidence=upright)]
        )

    monkeypatch.setattr("twodasl_jax.predict.faces.recrop.rate_fits", rated)
    (face,) = reconstruct(flag_photo(0.0), flag_network, [FaceBox(BOX)])
    assert face.fit_confidence == (turned if wins else upright)

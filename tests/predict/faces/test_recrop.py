"""Crop, predict, crop anew: with a made-up network that sees the same face in every crop."""

import chex
import numpy as np
import pytest

from tests.predict.linear_faces import decode_crops, reconstruct_detected
from twodasl_jax.data.face_crop import roi_box_from_detection, roi_box_from_landmarks
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_68
from twodasl_jax.predict.faces.face_detectors import FaceBox
from twodasl_jax.predict.faces.recrop import reconstruct_at, reconstruct_from_landmarks

BOX = np.array([60.0, 30.0, 140.0, 120.0])


class FixedFace:
    """A network that gives the same coefficients for every crop, or those of each call in turn."""

    crop_size = 120

    def __init__(self, face_model, *calls):
        self.face_model, self.calls = face_model, calls
        self.crops, self.landmarks = [], []

    def __call__(self, crops, landmarks):
        chex.assert_shape(crops, (None, 120, 120, 3))
        chex.assert_shape(landmarks, (len(crops), 18, 2))
        assert crops.dtype == np.uint8
        self.crops.append(crops)
        self.landmarks.append(landmarks)
        given = np.asarray(self.calls[min(len(self.crops), len(self.calls)) - 1])
        coefficients = np.broadcast_to(given, (len(crops), 62))
        return decode_crops(self.face_model, coefficients)


@pytest.fixture
def network(dome_face, frontal_coefficients):
    return FixedFace(dome_face, frontal_coefficients)


@pytest.fixture
def run_away(frontal_coefficients):
    away = frontal_coefficients.copy()
    away[3] = 5000.0
    return away


def test_all_faces_are_cropped_anew_together_as_often_as_asked(dome_face, photo, network):
    found = [FaceBox(BOX, 0.9), FaceBox(BOX + 20.0, 0.8)]
    faces = reconstruct_detected(photo, found, network, dome_face, num_refinements=3)
    # The first crops, three refinements, and the second view that rates the fits.
    assert [len(crops) for crops in network.crops] == [2, 2, 2, 2, 2]
    for index, (face, start) in enumerate(zip(faces, found, strict=True)):
        chex.assert_trees_all_equal(face.box, start.box.astype(np.float32))
        assert face.score == start.score
        chex.assert_trees_all_equal(face.crop, network.crops[-2][index])
        assert 0 <= face.fit_confidence <= 1
    assert all(np.isnan(given).all() for given in network.landmarks)


def test_without_refinement_the_first_crop_is_kept(dome_face, photo, network):
    (face,) = reconstruct_detected(photo, [FaceBox(BOX)], network, dome_face, num_refinements=0)
    chex.assert_trees_all_equal(face.roi_box, roi_box_from_detection(BOX).round())


def test_refinement_crops_around_the_predicted_landmarks(dome_face, photo, network):
    (first,) = reconstruct_detected(photo, [FaceBox(BOX)], network, dome_face, num_refinements=0)
    (second,) = reconstruct_detected(photo, [FaceBox(BOX)], network, dome_face, num_refinements=1)
    chex.assert_trees_all_equal(second.roi_box, roi_box_from_landmarks(first.landmarks_px))


def test_a_given_face_that_runs_away_is_an_error(dome_face, photo, run_away):
    with pytest.raises(ValueError, match=r"no face can be in a .* image; frame the face more"):
        reconstruct_detected(
            photo, [FaceBox(BOX)], FixedFace(dome_face, run_away), dome_face, num_refinements=1
        )


def test_a_detected_face_that_runs_away_is_left_out(dome_face, photo, run_away):
    network = FixedFace(dome_face, run_away)
    assert not reconstruct_detected(
        photo, [FaceBox(BOX, 0.7)], network, dome_face, num_refinements=2
    )
    assert len(network.crops) == 1


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_a_face_cannot_shrink_to_nothing_nor_grow_beyond_bounds(
    dome_face, photo, frontal_coefficients, factor
):
    wrong = frontal_coefficients.copy()
    wrong[[0, 5, 10]] *= factor
    assert not reconstruct_detected(
        photo, [FaceBox(BOX, 0.7)], FixedFace(dome_face, wrong), dome_face, num_refinements=1
    )


def test_a_face_cut_by_the_border_keeps_its_place(dome_face, photo, network):
    corner = FaceBox(np.array([-40.0, -40.0, 40.0, 40.0]), 0.9)
    (face,) = reconstruct_detected(photo, [corner], network, dome_face, num_refinements=1)
    assert (face.roi_box[:2] < 0).all()
    outside = round(-float(face.roi_box[0]) * 120 / float(face.roi_box[2] - face.roi_box[0]))
    assert (face.crop[:, : outside - 1] == 0).all()


def test_points_come_back_through_the_box_that_was_cut(dome_face, photo, network):
    """Crops are cut at whole pixels: what was cut at 8 must not be carried back from 8.39."""
    (face,) = reconstruct_at(photo, [np.array([6.2, 8.39, 27.4, 29.39])], network, dome_face)
    chex.assert_trees_all_equal(face.roi_box, np.array([6, 8, 27, 29], np.float32))
    (whole,) = reconstruct_at(photo, [np.array([6, 8, 27, 29])], network, dome_face)
    chex.assert_trees_all_equal(face.landmarks, whole.landmarks)


def test_a_face_beside_the_picture_is_left_out_and_the_others_stay(dome_face, photo, network):
    beside = FaceBox(np.array([205.0, 40.0, 260.0, 100.0]), 0.8)
    (face,) = reconstruct_detected(
        photo, [beside, FaceBox(BOX, 0.9)], network, dome_face, num_refinements=1
    )
    assert face.score == 0.9


def test_no_faces_need_no_network(dome_face, photo, network):
    assert reconstruct_detected(photo, [], network, dome_face, num_refinements=2) == []
    assert network.crops == []


def test_landmarks_give_the_crop_and_the_map(dome_face, photo, network, frontal):
    points = np.stack([frontal.landmarks_px, frontal.landmarks_px + 10.0])
    points[:, 8] = points[:, 27] + (0, 5)  # the dome's own chin lies above its nose
    faces = reconstruct_from_landmarks(photo, points, network, dome_face)
    assert len(network.crops) == 2  # the second rates the fits
    for index, face in enumerate(faces):
        chex.assert_trees_all_equal(face.roi_box, roi_box_from_landmarks(points[index]))
        middle = points[index][LANDMARKS_18_FROM_68].mean(axis=1)
        side = face.roi_box[2] - face.roi_box[0]
        # float32 map of coordinates up to 120: 1e-4 is a few units in the last place.
        chex.assert_trees_all_close(
            network.landmarks[0][index],
            ((middle - face.roi_box[:2]) * 120 / side).astype(np.float32),
            atol=1e-4,
        )


@pytest.mark.parametrize(
    ("image", "box", "message"),
    [
        (np.zeros((9, 9), np.uint8), BOX, r"expected \(height, width, 3\) uint8"),
        (np.zeros((9, 9, 3), np.float32), BOX, r"expected \(height, width, 3\) uint8"),
        (np.zeros((0, 9, 3), np.uint8), BOX, r"expected \(height, width, 3\) uint8"),
        (np.zeros((9, 9, 3), np.uint8), np.array([5.0, 5, 5, 9]), "the box is"),
        (np.zeros((9, 9, 3), np.uint8), np.array([0, 0, np.nan, 9]), "the box is"),
    ],
)
def test_bad_input_is_refused(dome_face, network, image, box, message):
    with pytest.raises(ValueError, match=message):
        reconstruct_detected(image, [FaceBox(box)], network, dome_face, num_refinements=1)
    with pytest.raises(ValueError, match=message):
        reconstruct_at(image, [box], network, dome_face)


def test_landmarks_of_another_shape_are_refused(dome_face, photo, network):
    with pytest.raises(ValueError, match=r"are \(68, 2\); expected \(faces, 68, 2\)"):
        reconstruct_from_landmarks(photo, np.zeros((68, 2)), network, dome_face)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda points: points + 1e5, "0 % of the labels lie in the picture of 200 x 160"),
        (lambda points: points - [150, 0], "of the labels lie in the picture"),
        (lambda points: points / 200, "labels span"),
        (lambda points: points * 0 + 90, "labels span 0 x 0 px"),
        (lambda points: points * [1, 0] + [0, 75], "lie on a line"),
        (lambda points: points * 1e30, r"landmark 0 \(and 67 more\) is at"),
        (lambda points: np.where(np.arange(68)[:, None] == 9, np.nan, points), "landmark 9 is NaN"),
        (lambda points: np.where(np.arange(68)[:, None] == 9, np.inf, points), "landmark 9 is at"),
        (lambda points: (points - [100, 75]) * 30 + [100, 75], "lie in the picture"),
    ],
)
def test_landmarks_that_are_no_face_of_the_image_are_refused(
    dome_face, photo, network, frontal, change, reason
):
    points = np.stack([frontal.landmarks_px, change(frontal.landmarks_px)])
    with pytest.raises(ValueError, match=rf"landmarks of face 1 are no face's .*{reason}"):
        reconstruct_from_landmarks(photo, points, network, dome_face)
    assert network.crops == []


def test_landmarks_on_a_black_image_are_refused(dome_face, photo, network, frontal):
    points = frontal.landmarks_px[None]
    with pytest.raises(ValueError, match="the image of face 0 is black where the face should be"):
        reconstruct_from_landmarks(np.zeros_like(photo), points, network, dome_face)
    grey = np.full_like(photo, 60)
    assert len(reconstruct_from_landmarks(grey, points, network, dome_face)) == 1


def test_broken_weights_are_named(dome_face, photo, frontal_coefficients):
    broken = FixedFace(dome_face, np.full_like(frontal_coefficients, np.nan))
    with pytest.raises(ValueError, match="not all finite; the network's weights are broken"):
        reconstruct_at(photo, [BOX], broken, dome_face)

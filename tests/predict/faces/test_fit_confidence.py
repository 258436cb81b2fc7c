"""The fit's confidence: falls with every sign against a fit, and sees through a wrong one."""

import dataclasses

import numpy as np
import pytest

from tests.predict.linear_faces import reconstruct_detected
from twodasl_jax.predict.faces.face_detectors import FaceBox
from twodasl_jax.predict.faces.fit_confidence import (
    UNSURE,
    FitSigns,
    fit_confidence,
    fit_signs,
    rate_fits,
    shape_deviation,
    unsure_warning,
)
from twodasl_jax.predict.faces.recrop import reconstruct_at, reconstruct_from_landmarks

BOX = np.array([75.0, 45.0, 165.0, 145.0])


@pytest.mark.parametrize("miss", [None, 5.0])
def test_it_falls_with_disagreement(miss):
    said = [fit_confidence(FitSigns(d, miss, 1.0)) for d in (0.0, 1.0, 3.0, 8.0, 20.0, 1e9)]
    assert said == sorted(said, reverse=True)
    assert said[0] > 0.95
    assert said[-1] < 0.01


def test_it_falls_with_the_miss_of_the_detectors_points():
    said = [fit_confidence(FitSigns(3.0, miss, 1.0)) for miss in (1.0, 5.0, 15.0, 50.0)]
    assert said == sorted(said, reverse=True)
    assert said[0] > 0.9 > UNSURE > said[-1]


def test_what_is_not_plausible_is_not_trusted():
    assert fit_confidence(FitSigns(0.0, None, 0.0)) == 0.0
    assert fit_confidence(FitSigns(0.0, None, 0.5)) < 0.5


@pytest.mark.parametrize(
    "signs", [FitSigns(np.nan, None, 1.0), FitSigns(1.0, np.inf, 1.0), FitSigns(1.0, 1.0, np.nan)]
)
def test_numbers_that_are_none_give_zero(signs):
    assert fit_confidence(signs) == 0.0


def test_a_right_fit_agrees_with_itself_in_the_second_view(
    flag_photo, flag_network, symmetric_face
):
    photo = flag_photo(10.0)
    found = [FaceBox(BOX, 0.9)]
    (face,) = reconstruct_detected(photo, found, flag_network, symmetric_face, num_refinements=1)
    (signs,) = fit_signs(photo, [face], flag_network, symmetric_face)
    # The disc's halves are found to a fraction of a degree.
    assert signs.disagreement < 2.5
    assert signs.plausible == 1.0
    assert signs.miss is None
    assert face.fit_confidence == fit_confidence(signs) > 0.8


def test_a_wrong_fit_follows_the_crop_and_is_seen_through(flag_photo, flag_network, symmetric_face):
    (face,) = reconstruct_at(
        flag_photo(90.0), [np.array([60, 40, 180, 160])], flag_network, symmetric_face
    )
    assert abs(face.head_pose.roll) < 1.0  # an upright face on a head that lies on its side
    assert (face.fit_confidence or 0.0) < UNSURE


def test_the_detectors_points_count(flag_photo, flag_network, symmetric_face):
    photo = flag_photo(0.0)
    (face,) = reconstruct_at(photo, [np.array([60, 40, 180, 160])], flag_network, symmetric_face)
    marks = face.landmarks_px
    points = np.stack([marks[36:42].mean(0), marks[42:48].mean(0), *marks[[30, 48, 54]]])
    network = flag_network, symmetric_face
    (right,) = fit_signs(photo, [face], *network, points_px=[points])
    assert right.miss == pytest.approx(0.0, abs=1e-4)  # float32 means
    (wrong,) = rate_fits(photo, [face], *network, points_px=[points[::-1] + 30.0])
    (sure,) = rate_fits(photo, [face], *network, points_px=[points])
    assert (wrong.fit_confidence or 0.0) < UNSURE < (sure.fit_confidence or 0.0)


def test_a_fit_far_from_given_landmarks_is_doubted(flag_photo, flag_network, symmetric_face):
    photo = flag_photo(0.0)
    (face,) = reconstruct_at(photo, [np.array([60, 40, 180, 160])], flag_network, symmetric_face)
    network = flag_network, symmetric_face
    given = face.landmarks_px[None]
    size = np.ptp(given[0], axis=0).max()
    (near,) = fit_signs(photo, [face], *network, given_px=given + 0.02 * size)
    (far,) = fit_signs(photo, [face], *network, given_px=given + 0.5 * size)
    assert near.plausible == 1.0
    assert far.plausible == 0.0


def test_given_landmarks_turn_the_crop(flag_photo, flag_network, symmetric_face):
    network = flag_network, symmetric_face
    (face,) = reconstruct_at(flag_photo(0.0), [np.array([60, 40, 180, 160])], *network)
    middle = np.array([120.0, 100.0])
    quarter = (face.landmarks_px - middle) @ np.array([[0, -1], [1, 0]]) + middle
    (turned,) = reconstruct_from_landmarks(flag_photo(90.0), quarter[None], *network)
    assert turned.turn_degrees == pytest.approx(-90.0, abs=0.5)
    np.testing.assert_allclose(turned.landmarks_px, quarter, atol=3.0)  # boxes are rounded
    assert (turned.fit_confidence or 0.0) > 0.8


def test_no_human_face_and_none_from_behind(flag_photo, flag_network, symmetric_face):
    photo = flag_photo(0.0)
    (face,) = reconstruct_at(photo, [np.array([60, 40, 180, 160])], flag_network, symmetric_face)
    assert shape_deviation(face, symmetric_face) == 0.0
    noise = np.random.default_rng(0).normal(size=face.points.shape)
    monster = dataclasses.replace(face, points=face.points + 100.0 * noise.astype(np.float32))
    behind = dataclasses.replace(
        face, camera=face.camera._replace(rotation=np.diag([-1.0, 1.0, -1.0]))
    )
    elsewhere = dataclasses.replace(face, box=np.array([0.0, 0.0, 30.0, 30.0]))
    for wrong in (monster, behind, elsewhere):
        (signs,) = fit_signs(photo, [wrong], flag_network, symmetric_face)
        assert signs.plausible == 0.0


def test_all_faces_are_seen_again_in_one_call(flag_photo, flag_network, symmetric_face):
    photo = flag_photo(0.0)
    boxes = [np.array([60, 40, 180, 160]), np.array([50, 30, 190, 170])]
    reconstruct_at(photo, boxes, flag_network, symmetric_face)
    assert flag_network.calls == 2
    assert rate_fits(photo, [], flag_network, symmetric_face) == []
    assert flag_network.calls == 2


def test_the_warning_helps_and_comes_only_below_its_level(frontal):
    assert unsure_warning(frontal) is None  # made up here, not rated
    assert unsure_warning(dataclasses.replace(frontal, fit_confidence=UNSURE)) is None
    warning = unsure_warning(dataclasses.replace(frontal, fit_confidence=0.123))
    assert warning == (
        "the fit is unsure (0.12): the head may be turned in the picture's plane, partly hidden, "
        "blurred or no face"
    )

"""Turned crops: where points lie in them, and the way back to the photograph."""

import chex
import numpy as np
import pytest

from tests.predict.linear_faces import reconstruction_from_coefficients
from twodasl_jax.crop_frame import image_to_crop
from twodasl_jax.data.face_crop import crop_image, roi_box_from_detection, roi_box_from_landmarks
from twodasl_jax.predict.faces.upright import (
    LEAST_TURN_DEGREES,
    carry_back,
    cut_upright,
    image_to_upright,
    roi_box_around,
    roi_box_from_turned_detection,
    turn_about_centre,
    turn_of_rotation,
    upright_to_image,
    upright_turn,
)

ROI_BOX = np.array([30.0, 10.0, 150.0, 130.0])


def rotated(points, degrees):
    """Counterclockwise on the screen, y down."""
    angle = np.radians(degrees)
    return points @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize("degrees", [-170, -90, -45, 30, 90, 135])
def test_the_turn_undoes_the_heads(degrees):
    upright = np.zeros((68, 2))
    upright[8, 1] = 50.0  # the chin, below the nasion
    chex.assert_trees_all_close(upright_turn(rotated(upright, degrees)), -float(degrees))
    angle = np.radians(degrees)  # y up: counterclockwise is the usual sense
    rotation = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    chex.assert_trees_all_close(turn_of_rotation(rotation), -float(degrees))


def test_heads_that_are_nearly_upright_are_left_as_they_are():
    upright = np.zeros((68, 2))
    upright[8, 1] = 50.0
    assert upright_turn(rotated(upright, 0.9 * LEAST_TURN_DEGREES)) == 0.0
    assert upright_turn(rotated(upright, 1.1 * LEAST_TURN_DEGREES)) != 0.0


def test_without_a_turn_all_is_as_before(photo):
    chex.assert_trees_all_equal(cut_upright(photo, ROI_BOX, 0.0), crop_image(photo, ROI_BOX))
    points = np.random.default_rng(0).uniform(0, 100, (68, 2))
    chex.assert_trees_all_equal(roi_box_around(points, 0.0), roi_box_from_landmarks(points))
    chex.assert_trees_all_equal(
        roi_box_from_turned_detection(ROI_BOX, 0.0), roi_box_from_detection(ROI_BOX)
    )
    chex.assert_trees_all_equal(
        image_to_upright(points, ROI_BOX, 0.0), image_to_crop(points, ROI_BOX)
    )


@pytest.mark.parametrize("scale", [1.0, 0.37, 4.3])
@pytest.mark.parametrize("turn", [35.0, 90.0, -140.0])
def test_a_spot_is_where_its_point_is(turn, scale):
    """At all resolutions: beyond twice the crop's the picture is made smaller first."""
    size = round(170 * scale)
    image = np.zeros((size, size, 3), np.uint8)
    spot = np.array([100.0, 60.0]) * scale
    rows, columns = np.indices((size, size)) + 0.5
    near = np.hypot(columns - spot[0], rows - spot[1])
    image[near < 6 * scale] = 255
    crop = cut_upright(image, ROI_BOX * scale, turn)[..., 0].astype(float)
    rows, columns = np.indices(crop.shape) + 0.5
    found = np.array([(columns * crop).sum(), (rows * crop).sum()]) / crop.sum()
    wanted = image_to_upright(spot[None], ROI_BOX * scale, turn)[0]
    # A disc of six pixels, sampled: its centre of mass is good to a fifth of a pixel.
    chex.assert_trees_all_close(found, wanted, atol=0.2)
    chex.assert_trees_all_close(
        upright_to_image(wanted[None], ROI_BOX * scale, turn)[0], spot, atol=1e-9
    )


def test_a_quarter_is_exact(photo):
    box = np.array([20.0, 5.0, 140.0, 125.0])
    # Pixels lie on pixels: cv2's fixed-point coordinates may round by one grey level.
    chex.assert_trees_all_close(
        cut_upright(photo, box, 90.0).astype(int),
        np.rot90(crop_image(photo, box)).astype(int),
        atol=1,
    )


def test_a_box_beside_the_photograph_is_black(photo):
    assert not cut_upright(photo, np.array([900.0, 900.0, 1000.0, 1000.0]), 40.0).any()


@pytest.mark.parametrize("turn", [50.0, 180.0, -110.0])
def test_carried_back_coefficients_lie_on_the_photograph(
    turn, dome_face, frontal_coefficients, photo
):
    fit = frontal_coefficients.copy()
    fit[[3, 7]] += (4, -7)
    seen = reconstruction_from_coefficients(dome_face, fit, np.array([0, 0, 120.0, 120.0]))
    back = fit.copy()
    back[:12] = carry_back(fit[:12].reshape(3, 4), turn).ravel()
    face = reconstruction_from_coefficients(dome_face, back, ROI_BOX, turn_degrees=turn)
    wanted = upright_to_image(seen.landmarks_px.astype(np.float64), ROI_BOX, turn)
    # float32 positions up to 160 px.
    chex.assert_trees_all_close(face.landmarks_px.astype(np.float64), wanted, atol=1e-4)
    chex.assert_trees_all_close(face.landmarks[:, 2], seen.landmarks[:, 2], atol=1e-4)
    chex.assert_trees_all_close(face.camera.scale, seen.camera.scale, rtol=1e-5)
    # The head was turned by -turn; float32 rotations.
    assert abs((turn_of_rotation(np.asarray(face.camera.rotation)) - turn + 180) % 360 - 180) < 1e-3


def test_the_box_around_a_turned_head_is_the_upright_heads(dome_face):
    points = np.random.default_rng(1).uniform(20, 140, (68, 2))
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    turned = rotated(points - middle, 70.0) + middle
    box, wanted = roi_box_around(turned, -70.0), roi_box_from_landmarks(points)
    chex.assert_trees_all_close(box, wanted, atol=1.0)  # both are rounded
    # In the crop they lie as the upright ones in theirs; a pixel of the box is one of the crop.
    chex.assert_trees_all_close(
        image_to_upright(turned, box, -70.0), image_to_crop(points, wanted), atol=1.5
    )
    below = roi_box_from_turned_detection(np.array([0.0, 0.0, 100.0, 100.0]), 90.0)
    straight = roi_box_from_detection(np.array([0.0, 0.0, 100.0, 100.0]))
    # The chin lies to the left before a turn of 90 counterclockwise.
    assert (below[0] + below[2]) / 2 == pytest.approx(50 - ((straight[1] + straight[3]) / 2 - 50))
    chex.assert_shape(turn_about_centre(10.0), (2, 3))

"""Photographs in, reconstructions out."""

import chex
import numpy as np
import pytest

from twodasl_jax.predict.faces import reconstruct as decoding


def test_the_nose_lies_where_camera_and_crop_put_it(frontal, dome_face):
    # The origin projects to (60, 121 - 61) = the crop's middle; the nose is 50 mm in front.
    chex.assert_trees_all_close(frontal.landmarks[30], np.array([100.0, 80.0, 50.0]), atol=1e-4)
    chex.assert_shape(frontal.landmarks_px, (68, 2))
    chex.assert_shape(frontal.vertices, (3, dome_face.num_vertices))
    assert np.argmax(frontal.vertices[2]) == int(dome_face.landmark_vertices[30])


def test_y_of_the_image_runs_down(frontal, dome_face):
    top = int(np.argmax(np.asarray(dome_face.linear.mean)[1]))
    assert frontal.vertices[1, top] == frontal.vertices[1].min()


def test_a_larger_box_scales_points_and_depth_alike(
    dome_face, frontal_coefficients, frontal, reconstruct
):
    doubled = reconstruct(frontal_coefficients, np.array([40.0, 20.0, 280.0, 260.0]))
    # float32 of coordinates up to 300 px: 1e-4 is a few units in the last place.
    chex.assert_trees_all_close(
        np.ptp(doubled.vertices, axis=1), 2 * np.ptp(frontal.vertices, axis=1), atol=1e-4
    )


def test_projection_is_compiled_once(frontal_coefficients, roi_box, reconstruct):
    reconstruct(frontal_coefficients, roi_box)
    before = decoding._project._cache_size()
    reconstruct(2 * frontal_coefficients, roi_box + 1)
    assert decoding._project._cache_size() == before > 0


@pytest.mark.parametrize("yaw", [-40.0, 0.0, 25.0])
def test_head_pose_is_in_degrees(dome_face, frontal_coefficients, roi_box, yaw, reconstruct):
    turned = frontal_coefficients.copy()
    cosine, sine = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    turned[[0, 2, 8, 10]] = cosine, -sine, sine, cosine
    pose = reconstruct(turned, roi_box).head_pose
    # float32 trigonometry and an SVD: 1e-3 degrees is far above their error.
    chex.assert_trees_all_close(
        np.array([pose.pitch, pose.yaw, pose.roll]), np.array([0.0, yaw, 0.0]), atol=1e-3
    )


@pytest.mark.parametrize(
    ("coefficients", "box", "message"),
    [
        (np.full(62, np.nan), [0, 0, 9, 9], "not all finite"),
        (np.zeros(62), [5, 0, 5, 9], "the box is .* expected four finite"),
        (np.zeros(62), [0, 0, np.inf, 9], "expected four finite"),
    ],
)
def test_bad_input_is_refused(dome_face, coefficients, box, message, reconstruct):
    with pytest.raises(ValueError, match=message):
        reconstruct(coefficients, np.array(box, float))

"""Smoothed faces: still faces, calmer, and not late."""

import chex
import numpy as np
import pytest

from tests.predict.linear_faces import decoder
from twodasl_jax.coefficient_layout import CODE_LAYOUT
from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.predict.video.smoothing import FaceSmoother

RATE = 30.0


def turned(coefficients, yaw_degrees, scale=1.0):
    changed = coefficients.copy()
    cosine, sine = np.cos(np.radians(yaw_degrees)), np.sin(np.radians(yaw_degrees))
    camera = changed[:12].reshape(3, 4)
    camera[:, :3] = scale * np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
    return changed


def smoothed(dome_face, faces):
    smoother = FaceSmoother(dome_face, decoder(dome_face), CODE_LAYOUT)
    return [smoother(face, index / RATE) for index, face in enumerate(faces)]


def test_a_face_at_rest_stays_as_it_is(dome_face, frontal_coefficients, roi_box, reconstruct):
    given = turned(frontal_coefficients, 20.0, 1.2)
    given[12:] = np.random.default_rng(0).normal(size=50)
    face = reconstruct(given, roi_box)
    last = smoothed(dome_face, [face] * 5)[-1]
    # float32 coefficients and coordinates up to 200 px, through logarithm and exponential.
    chex.assert_trees_all_close(last.landmarks, face.landmarks, atol=2e-3)
    chex.assert_trees_all_close(last.coefficients, face.coefficients, atol=1e-3)


def test_the_crop_may_move_under_a_face_at_rest(
    dome_face, frontal_coefficients, roi_box, reconstruct
):
    faces = []
    for index in range(8):
        box = roi_box + np.float32([3, -2, 3, -2]) * index + np.float32([0, 0, index, index])
        side = box[2] - box[0]
        given = frontal_coefficients.copy()
        camera = given[:12].reshape(3, 4)
        camera[:, :3] *= CROP_SIZE / side
        # The face's own place (100, 80) in the picture, in this crop.
        camera[0, 3] = (100 - box[0]) * CROP_SIZE / side
        camera[1, 3] = 121 - (80 - box[1]) * CROP_SIZE / side
        faces.append(reconstruct(given, box))
    for face, original in zip(smoothed(dome_face, faces), faces, strict=True):
        # In float32 the boxes' arithmetic is good to 1e-3 px.
        chex.assert_trees_all_close(face.landmarks_px, faces[0].landmarks_px, atol=5e-3)
        chex.assert_trees_all_equal(face.roi_box, original.roi_box)


def test_the_camera_stays_a_camera(dome_face, frontal_coefficients, roi_box, reconstruct):
    generator = np.random.default_rng(1)
    faces = [
        reconstruct(turned(frontal_coefficients, yaw, generator.uniform(0.8, 1.2)), roi_box)
        for yaw in generator.uniform(-60, 60, 12)
    ]
    for face in smoothed(dome_face, faces):
        matrix = face.coefficients[:12].reshape(3, 4)[:, :3].astype(np.float64)
        gram = matrix @ matrix.T
        # float32 coefficients.
        chex.assert_trees_all_close(gram / gram[0, 0], np.eye(3), atol=1e-5)
        assert np.linalg.det(matrix) > 0


def test_a_matrix_that_is_no_similarity_stays_what_it_is(
    dome_face, frontal_coefficients, roi_box, reconstruct
):
    given = turned(frontal_coefficients, 30.0)
    given[:12].reshape(3, 4)[:, :3] *= np.array([[1.1], [0.95], [0.7]], np.float32)
    face = reconstruct(given, roi_box)
    last = smoothed(dome_face, [face] * 3)[-1]
    # float32 coefficients and coordinates up to 200 px.
    chex.assert_trees_all_close(last.landmarks, face.landmarks, atol=2e-3)
    assert last.head_pose.yaw == pytest.approx(face.head_pose.yaw, abs=1e-3)


def test_jitter_becomes_less(dome_face, frontal_coefficients, roi_box, reconstruct):
    generator = np.random.default_rng(2)
    faces = []
    for _ in range(60):
        given = turned(frontal_coefficients, generator.normal(0, 1.5), generator.normal(1, 0.01))
        given[[3, 7]] += generator.normal(0, 0.7, 2)
        given[12:] += generator.normal(0, 0.3, 50)
        faces.append(reconstruct(given, roi_box))

    def jitter(found):
        points = np.stack([face.landmarks_px for face in found[20:]])
        return np.abs(np.diff(points, axis=0)).mean()

    assert jitter(smoothed(dome_face, faces)) < 0.5 * jitter(faces)


def test_a_turning_head_is_not_left_behind(dome_face, frontal_coefficients, roi_box, reconstruct):
    yaw = np.linspace(-45, 45, 31)  # 90 degrees in a second
    faces = [reconstruct(turned(frontal_coefficients, angle), roi_box) for angle in yaw]
    shown = np.array([face.head_pose.yaw for face in smoothed(dome_face, faces)])
    lag_frames = (yaw - shown)[15:] / (yaw[1] - yaw[0])
    assert lag_frames.min() > 0
    assert lag_frames.max() < 2.0


def test_an_oblong_crop_is_refused(dome_face, frontal_coefficients, reconstruct):
    face = reconstruct(frontal_coefficients, np.array([0.0, 0.0, 100.0, 120.0]))
    with pytest.raises(ValueError, match=r"100\.0 x 120\.0 pixels; expected a square"):
        FaceSmoother(dome_face, decoder(dome_face), CODE_LAYOUT)(face, 0.0)

"""Offsets of landmarks are found where they were put, and the mean moves no more than it must."""

import jax.numpy as jnp
import numpy as np
import pytest

from tools.open_face.photo_mean import (
    flipped_triangles,
    landmark_offsets,
    symmetric,
    warped_mean,
    without_what_faces_do,
)
from twodasl_jax.experiment.sources.rendered_data import sample_model_faces
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.model import (
    PHOTO_FACE_FILE,
    load_face_model,
)
from twodasl_jax.landmark_tables import MIRROR_68


@pytest.fixture(scope="module")
def open_face():
    return load_face_model()


def moves(seed):
    """Mirror-symmetric, of some millimetres."""
    drawn = np.random.default_rng(seed).normal(size=(68, 3)) * 3
    return 0.5 * (drawn + drawn[MIRROR_68] * [-1, 1, 1])


def test_a_constant_offset_is_found_from_pictures(open_face):
    """2D points of faces whose landmarks were moved by known millimetres."""
    coefficients = np.float32(
        sample_model_faces(open_face, np.random.default_rng(0), 40).coefficients
    )
    model, wanted = landmark_model(open_face), moves(1)
    moved = model._replace(mean=model.mean + jnp.asarray(wanted.T, jnp.float32))
    points = landmarks_from_coefficients(moved, jnp.asarray(coefficients))
    found = landmark_offsets(open_face, coefficients, np.asarray(points, np.float64)[..., :2])
    # Float32 pixels of ±1e-5 over some 40 faces.
    np.testing.assert_allclose(found.millimetres, wanted, atol=2e-3)
    assert found.percent > 1
    assert found.unmoved_percent < 1e-3


def test_the_symmetric_part_is_kept_and_is_symmetric():
    np.testing.assert_allclose(symmetric(moves(2)), moves(2), atol=1e-12)
    drawn = np.random.default_rng(3).normal(size=(68, 3))
    found = symmetric(drawn)
    np.testing.assert_allclose(found[MIRROR_68] * [-1, 1, 1], found, atol=1e-12)
    assert not np.allclose(found, drawn)


def test_what_a_camera_does_is_no_offset(open_face):
    points = np.asarray(landmark_model(open_face).mean, np.float64).T
    points = points / open_face.units_per_millimetre
    for move in (
        np.broadcast_to([3.0, -2.0, 1.0], points.shape),
        np.cross([0.0, 0.02, 0.01], points),
        0.03 * (points - points.mean(axis=0)),
    ):
        assert np.abs(without_what_faces_do(move, open_face)).max() < 1e-9
    # What the strongest direction of the bases does at a low price mostly goes to it.
    cheap = np.asarray(open_face.linear.shape_basis[0], np.float64)[
        :, open_face.landmark_vertices
    ].T
    left = without_what_faces_do(cheap / open_face.units_per_millimetre, open_face)
    assert np.linalg.norm(left) < 0.3 * np.linalg.norm(cheap / open_face.units_per_millimetre)


def test_the_mean_goes_through_its_landmarks_and_stays_symmetric(open_face):
    marks = np.asarray(open_face.landmark_vertices)
    before = np.asarray(open_face.linear.mean, np.float64)
    wanted = before.T[marks] + moves(4) * open_face.units_per_millimetre
    mean = warped_mean(open_face, wanted)
    np.testing.assert_allclose(mean.T[marks], wanted, atol=0.02)
    moved = mean - before
    mirrored = moved[:, np.asarray(open_face.mirror_vertices)] * [[-1], [1], [1]]
    np.testing.assert_allclose(mirrored, moved, atol=0.02)
    assert flipped_triangles(open_face, before) == 0
    assert flipped_triangles(open_face, before * [[-1.0], [1.0], [1.0]]) > 2000


def test_the_package_s_file_is_the_open_face_with_another_mean(open_face):
    photo = load_face_model(PHOTO_FACE_FILE)
    for name in ("triangles", "landmark_vertices", "mirror_vertices", "uv"):
        np.testing.assert_array_equal(getattr(photo, name), getattr(open_face, name))
    for name in ("shape_basis", "expression_basis"):
        np.testing.assert_array_equal(getattr(photo.linear, name), getattr(open_face.linear, name))
    mean, other = np.asarray(photo.linear.mean), np.asarray(open_face.linear.mean)
    assert 1 < np.linalg.norm(mean - other, axis=0).mean() / photo.units_per_millimetre < 6
    assert flipped_triangles(open_face, mean) < 0.01 * len(open_face.triangles)

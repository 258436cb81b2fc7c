"""Faces as cameras and codes: what they decode to, in whatever batches and crops."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.evaluation import coded_faces
from twodasl_jax.evaluation.coded_faces import (
    FACES_PER_BATCH,
    faces_from_coefficients,
    landmarks_from_face_model,
)
from twodasl_jax.face_model.linear import vertices_from_coefficients


@pytest.fixture
def faces(small_face_model, small_frontal_coefficients):
    random = np.random.default_rng(0)
    coefficients = np.tile(small_frontal_coefficients, (FACES_PER_BATCH + 3, 1))
    coefficients = coefficients + 0.01 * random.normal(size=coefficients.shape)
    boxes = random.uniform(0, 50, (len(coefficients), 4)) + np.array([0, 0, 100, 200])
    return faces_from_coefficients(small_face_model, coefficients, boxes)


def literal_vertices(faces, row):
    """In float64, by the formulas."""
    parts = split_coefficients(jnp.asarray(faces.coefficients[row], jnp.float32))
    linear = faces.face_model.linear
    points = np.asarray(vertices_from_coefficients(linear, parts.shape, parts.expression))
    view = faces.camera[row][:, :3] @ points.astype(float) + faces.camera[row][:, 3:]
    start, sides = faces.roi_box[row, :2], faces.roi_box[row, 2:] - faces.roi_box[row, :2]
    size = faces.crop_size
    crop = np.stack([view[0], size + 1 - view[1]], axis=1)
    return np.column_stack([crop * sides / size + start, view[2] * sides.mean() / size])


@pytest.mark.parametrize("crop_size", [120, 96])
def test_vertices_equal_the_literal_definition_in_every_batch(faces, crop_size):
    faces = dataclasses.replace(faces, crop_size=crop_size)
    rows = np.arange(len(faces.code))[::-1]
    found = list(faces.vertices(rows))
    assert [len(batch) for batch, _ in found] == [FACES_PER_BATCH, 3]
    np.testing.assert_array_equal(np.concatenate([batch for batch, _ in found]), rows)
    vertices = np.concatenate([points for _, points in found])
    for row, points in zip(rows, vertices, strict=True):
        # Float32 pixels of some hundred.
        np.testing.assert_allclose(points, literal_vertices(faces, row), rtol=1e-4, atol=1e-2)


def test_chosen_vertices_are_those_of_the_whole(faces):
    rows, table = np.arange(4), np.array([5, 0, 120])
    ((_, whole),) = faces.vertices(rows)
    ((_, chosen),) = faces.vertices(rows, table)
    np.testing.assert_allclose(chosen, whole[:, table], rtol=1e-6)


def test_landmarks_are_the_landmark_vertices(faces):
    marks = np.asarray(faces.face_model.landmark_vertices)
    landmarks = landmarks_from_face_model(faces)
    assert landmarks.dtype == np.float64
    vertices = np.concatenate([points for _, points in faces.vertices(np.arange(len(landmarks)))])
    # Float32 pixels of some hundred.
    np.testing.assert_allclose(landmarks, vertices[:, marks], rtol=1e-5, atol=1e-3)


def test_only_a_face_models_own_code_is_coefficients(faces):
    assert faces.coefficients.shape == (len(faces.code), 62)
    other = dataclasses.replace(faces, code_layout={"shape": slice(0, 50)})
    assert other.coefficients is None
    with pytest.raises(ValueError, match=r"the coefficients are \(2, 61\); expected \(n, 62\)"):
        faces_from_coefficients(faces.face_model, np.zeros((2, 61)), np.zeros((2, 4)))


def test_all_faces_of_a_system_go_through_one_program(faces):
    before = coded_faces._compiled.cache_info().misses
    for _ in range(3):
        list(faces.vertices(np.arange(2)))
        landmarks_from_face_model(faces)
    assert coded_faces._compiled.cache_info().misses <= before + 1

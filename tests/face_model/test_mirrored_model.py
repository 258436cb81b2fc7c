import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.data.mirrored_faces import CoefficientMirror, mirror_coefficients, mirror_points
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.linear import LinearModel
from twodasl_jax.face_model.mirrored_model import LARGEST_RESIDUAL_PX, fit_mirror
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.landmark_tables import MIRROR_68
from twodasl_jax.rendering.face_renderer import render_faces
from twodasl_jax.rendering.rasterizer import default_capacity
from twodasl_jax.rendering.shading import directional_lighting
from twodasl_jax.rendering.synthetic_faces import sample_faces


@pytest.fixture(scope="module")
def open_face():
    return load_face_model()


def mirror_of(fit):
    return CoefficientMirror(fit.matrix, fit.offset, fit.plane_x)


def random_coefficients(face_model, count=20):
    landmarks = landmark_model(face_model)
    return sample_faces(np.random.default_rng(0), count, landmarks, num_albedo=0).coefficients


def landmark_errors(face_model, coefficients, mirror):
    """``(n, 68)`` px: mirrored landmarks against the landmarks of mirrored coefficients."""
    landmarks = landmark_model(face_model)
    mirrored = np.stack([mirror_coefficients(row, mirror) for row in coefficients])
    before, after = (
        np.asarray(landmarks_from_coefficients(landmarks, jnp.asarray(rows)))[..., :2]
        for rows in (coefficients, mirrored)
    )
    return np.linalg.norm(mirror_points(before)[:, MIRROR_68] - after, axis=2)


def symmetrized(face_model):
    """The model with symmetric and antisymmetric directions only."""
    partner = np.asarray(face_model.mirror_vertices)
    sides = np.array([[-1.0], [1.0], [1.0]])

    def made(basis, signs):
        basis = np.asarray(basis, np.float64)
        return jnp.asarray(
            (basis + signs[:, None, None] * sides * basis[..., partner]) / 2, jnp.float32
        )

    linear = face_model.linear
    return dataclasses.replace(
        face_model,
        linear=LinearModel(
            linear.mean,
            made(linear.shape_basis, np.repeat([1.0, -1.0], 20)),
            made(linear.expression_basis, np.repeat([1.0, -1.0], 5)),
        ),
    )


def test_a_symmetric_model_is_mirrored_exactly(open_face):
    model = symmetrized(open_face)
    fit = fit_mirror(model)
    # Float32 bases: some 1e-6 px.
    assert fit.residual_px < 1e-4
    assert fit.relative_residual < 1e-5
    errors = landmark_errors(model, random_coefficients(model), mirror_of(fit))
    # Float32 coefficients of a crop of 120 pixels.
    assert errors.max() < 1e-3


def test_the_open_face_model_is_mirrored_faithfully(open_face):
    fit = fit_mirror(open_face)
    assert fit.is_faithful
    # Golden: what the embedded model and this fit gave when they were made.
    assert fit.residual_px == pytest.approx(0.2157, abs=2e-3)
    assert fit.relative_residual == pytest.approx(0.0601, abs=1e-3)
    coefficients = random_coefficients(open_face)
    errors = landmark_errors(open_face, coefficients, mirror_of(fit))
    # The landmarks lie where faces vary most; measured 0.2 in the mean, 1.0 at the worst.
    assert np.sqrt(np.square(errors).mean()) < LARGEST_RESIDUAL_PX
    kept = CoefficientMirror(np.eye(50), np.zeros(50), fit.plane_x)
    assert errors.mean() < 0.25 * landmark_errors(open_face, coefficients, kept).mean()


def test_the_residual_is_that_of_sampled_faces(open_face):
    """The closed form against its definition."""
    fit = fit_mirror(open_face)
    weights = np.random.default_rng(3).normal(size=(400, 50))
    linear = open_face.linear
    basis = np.concatenate([linear.shape_basis, linear.expression_basis]).astype(np.float64)
    offsets = np.tensordot(weights, basis, axes=1)
    partner = np.asarray(open_face.mirror_vertices)
    mirrored = np.array([[-1.0], [1.0], [1.0]]) * offsets[..., partner]
    left = mirrored - np.tensordot(weights @ fit.matrix + fit.offset, basis, axes=1)
    relative = np.sqrt(np.square(left).sum() / np.square(offsets).sum())
    # 400 faces of 50 numbers: 1 % of sampling error.
    assert relative == pytest.approx(fit.relative_residual, rel=0.03)


def test_a_model_without_mirrored_directions_is_not_faithful(small_face_model):
    fit = fit_mirror(small_face_model)
    # Random directions have nothing to be mirrored by: about sqrt(1 - 50/363) of them is left.
    assert fit.relative_residual > 0.8
    assert not fit.is_faithful


def render(face_model, coefficients):
    """Head-on light, plain skin; the crop frame's pixel centres lie half a pixel on."""
    coefficients = np.array(coefficients)
    coefficients[:, 3] -= 0.5
    coefficients[:, 7] += 0.5
    count = len(coefficients)
    lighting = directional_lighting(
        jnp.tile(jnp.array([[0.0, 0.0, 1.0]]), (count, 1)),
        ambient=jnp.full((count, 3), 0.2),
        directional=jnp.full((count, 3), 0.7),
    )
    plain = dataclasses.replace(
        face_model,
        albedo_mean=jnp.full((3, face_model.num_vertices), 0.8),
        albedo_basis=jnp.zeros((1, 3, face_model.num_vertices)),
    )
    render = render_faces(
        plain,
        jnp.asarray(coefficients),
        jnp.zeros((count, 1)),
        lighting,
        jnp.zeros((count, 120, 120, 3)),
        capacity=2 * default_capacity(240, 240, len(face_model.triangles)),
        supersample=2,
    )
    assert not np.asarray(render.overflow).any()
    return np.asarray(render.image)


def test_the_render_of_mirrored_coefficients_is_the_mirrored_render(open_face):
    mirror = mirror_of(fit_mirror(open_face))
    coefficients = random_coefficients(open_face, 4)
    symmetric = coefficients.copy()
    symmetric[:, 12:] = 0
    for given, most in ((symmetric, SYMMETRIC_DIFFERENCE), (coefficients, FITTED_DIFFERENCE)):
        mirrored = np.stack([mirror_coefficients(row, mirror) for row in given])
        expected = render(open_face, given)[:, :, ::-1]
        difference = np.abs(render(open_face, mirrored) - expected).mean()
        assert difference < most
        # Half a pixel of another convention would be seen.
        shifted = mirrored.copy()
        shifted[:, 3] += 0.5
        assert np.abs(render(open_face, shifted) - expected).mean() > 2 * difference


SYMMETRIC_DIFFERENCE = 2e-4
"""Of the mean face: quads are cut into triangles along other diagonals on the other side."""

FITTED_DIFFERENCE = 4e-3
"""Of random faces: the fit's 0.2 px at the outlines, where a pixel changes by 0.7."""


@pytest.mark.shared_data
def test_bfm_is_mirrored_faithfully(shared_data):
    fit = fit_mirror(face_model_from_file(shared_data / "bfm" / "bfm2009_53215.npz"))
    # Golden: measured on these files.
    assert fit.residual_px == pytest.approx(0.287, abs=5e-3)
    assert fit.relative_residual == pytest.approx(0.108, abs=2e-3)
    assert fit.is_faithful

"""Faces of one model as faces of another: exact where both are the same, else near."""

import dataclasses

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.coefficients import Whitening
from twodasl_jax.experiment.sources.rendered_data import sample_model_faces
from twodasl_jax.face_model.correspondence import correspondence
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.linear import LinearModel, select_points
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.fitting import retarget as module
from twodasl_jax.fitting.retarget import make_retarget_model, retarget
from twodasl_jax.geometry.rotation import rotation_from_euler
from twodasl_jax.metrics.nme import normalised_mean_error

COUNT = 5


@pytest.fixture(scope="module")
def open_face():
    return load_face_model()


@pytest.fixture(scope="module")
def faces(open_face):
    found = sample_model_faces(open_face, np.random.default_rng(0), COUNT).coefficients
    return jnp.asarray(found, jnp.float32).at[:, 11].set(0.0)


def points_of(face_model, *, scale=1.0):
    """Every fifth vertex, then the landmarks, in millimetres."""
    rows = np.concatenate([np.arange(0, 2300, 5), np.asarray(face_model.landmark_vertices)])
    return LinearModel(*(scale * a for a in select_points(face_model.linear, jnp.asarray(rows))))


def other_frame(linear, units):
    """The same faces, told in a frame that is turned, shifted and of other units."""
    turn = rotation_from_euler(*(jnp.float32(angle) for angle in (0.3, -0.2, 0.5)))
    shift = jnp.asarray([[20.0], [-30.0], [50.0]])
    return LinearModel(
        units * (turn @ linear.mean + shift),
        units * jnp.einsum("ij,kjn->kin", turn, linear.shape_basis),
        units * jnp.einsum("ij,kjn->kin", turn, linear.expression_basis),
    )


def landmarks(face_model, coefficients):
    points = landmarks_from_coefficients(landmark_model(face_model), coefficients)
    return np.asarray(points)[..., :2]


@pytest.mark.parametrize("whitened", [False, True])
def test_the_same_model_in_another_frame_and_unit_gives_the_same_faces(
    open_face, faces, monkeypatch, whitened
):
    monkeypatch.setattr(module, "PRIOR", 1e-4)
    statistics = jnp.linspace(-0.5, 0.5, 62), jnp.linspace(0.5, 2.0, 62)
    elsewhere = other_frame(open_face.linear, 1000.0)
    target = dataclasses.replace(open_face, linear=elsewhere, units_per_millimetre=1000.0)
    model = make_retarget_model(
        points_of(open_face),
        points_of(target, scale=1e-3),
        units=(1.0, 1000.0),
        whitening=Whitening(*statistics) if whitened else None,
    )
    found = retarget(model, faces)
    # A weak prior is left, and the slow end of the alternation: of 85 px and of some 150 mm.
    np.testing.assert_allclose(
        landmarks(target, found.coefficients), landmarks(open_face, faces), atol=0.5
    )
    assert found.surface_mm.max() < 0.3
    assert jnp.abs(found.coefficients[:, 12:] - faces[:, 12:]).mean() < 0.1
    assert (found.coefficients[:, 11] == 0).all()


def test_surface_distance_is_that_of_the_points_in_millimetres(open_face, faces):
    """A model that knows no shape leaves the distance from the aligned mean face."""
    linear = points_of(open_face)
    flat = LinearModel(linear.mean, 0 * linear.shape_basis, 0 * linear.expression_basis)
    model = make_retarget_model(linear, flat, units=(1.0, 1.0), whitening=None)
    found = retarget(model, faces)
    raw = np.asarray(faces, np.float64)
    basis = np.concatenate([linear.shape_basis, linear.expression_basis])
    scale = np.cbrt(np.linalg.det(raw[:, :12].reshape(-1, 3, 4)[:, :, :3]))
    weights = np.asarray(model.weights, np.float64)
    for row in range(COUNT):
        mine = (np.asarray(linear.mean) + np.tensordot(raw[row, 12:], basis, 1)).T
        mean, mine = np.asarray(linear.mean).T, np.asarray(mine)
        a, b = (points - weights @ points for points in (mean, mine))
        left, sizes, right = np.linalg.svd((b * weights[:, None]).T @ a)
        size = sizes.sum() / (weights @ (a**2).sum(1))
        distance = np.linalg.norm(size * a @ (left @ right).T - b, axis=1)[:-68].mean()
        assert found.surface_mm[row] == pytest.approx(distance, rel=1e-3)
        camera = np.asarray(found.coefficients[row, :12]).reshape(3, 4)[:, :3]
        assert np.cbrt(np.linalg.det(camera)) == pytest.approx(scale[row] * size, rel=1e-3)


def test_landmarks_count_as_much_as_they_are_told_to(open_face):
    model = make_retarget_model(
        points_of(open_face), points_of(open_face), units=(1.0, 1.0), whitening=None
    )
    assert model.weights.sum() == pytest.approx(1.0, abs=1e-5)
    assert model.weights[-68:].sum() == pytest.approx(module.LANDMARK_SHARE, abs=1e-5)


@pytest.mark.shared_data
def test_between_bfm_and_the_open_face_model_faces_stay_alike(shared_data, open_face, faces):
    path = shared_data / "bfm" / "bfm2009_53215.npz"
    bfm = face_model_from_file(path)
    common = correspondence(open_face, bfm, given=path)
    here = landmarks(open_face, faces)
    there = make_retarget_model(
        common.open_face, common.bfm, units=(1.0, 1000.0), whitening=bfm.whitening
    )
    back = make_retarget_model(
        common.bfm, common.open_face, units=(1000.0, 1.0), whitening=open_face.whitening
    )
    moved = retarget(there, faces)
    chex.assert_tree_all_finite(moved)
    again = retarget(back, moved.coefficients)
    errors = [
        100 * normalised_mean_error(points, here, here).mean()
        for points in (landmarks(bfm, moved.coefficients), landmarks(open_face, again.coefficients))
    ]
    # Two models of different people, 50 directions each: some 3 % apart. The way back is nearer.
    assert errors[0] < 5.0
    assert errors[1] < errors[0]
    assert moved.surface_mm.mean() < 6.0

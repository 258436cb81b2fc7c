"""Fits near a prior: minima of their objective, that stay or go by what labels and prior say."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.experiment.sources.rendered_data import sample_model_faces
from twodasl_jax.face_model.landmarks import (
    landmark_model,
    landmarks18_from_68,
    landmarks_from_coefficients,
)
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.fitting.fit_model import make_fit_model
from twodasl_jax.fitting.posed_face import PosedFace, camera_of, moved
from twodasl_jax.fitting.prior_fit import Prior, fit_near_prior
from twodasl_jax.geometry.camera import camera_parts

COUNT = 6
CAMERA_STD = np.array([[0.05] * 3 + [4.0], [0.05] * 3 + [4.0], [0.05] * 3 + [40.0]], np.float32)


@pytest.fixture(scope="module")
def open_face():
    return load_face_model()


@pytest.fixture(scope="module")
def faces(open_face):
    return sample_model_faces(open_face, np.random.default_rng(0), COUNT)


@pytest.fixture(scope="module")
def labels(faces):
    return jnp.asarray(faces.landmarks, jnp.float32)


@pytest.fixture(scope="module")
def statistics():
    generator = np.random.default_rng(3)
    return np.float32(generator.normal(size=50) * 0.3), np.float32(generator.uniform(0.4, 1.2, 50))


def model_of(open_face, statistics, landmark_set=68):
    return make_fit_model(
        open_face, landmark_set=landmark_set, marching=False, statistics=statistics
    )


@pytest.fixture(scope="module")
def model(open_face, statistics):
    return model_of(open_face, statistics)


@pytest.fixture(scope="module")
def prior(faces):
    """What a network might see: the true faces, some degrees, pixels and shapes off."""
    generator = np.random.default_rng(1)
    raw = jnp.asarray(faces.coefficients, jnp.float32)
    camera = camera_parts(split_coefficients(raw).camera)
    starts = PosedFace(camera.scale, camera.rotation, camera.translation[:, :2], raw[:, 12:])
    spread = np.array([0.1, 0.1, 0.1, 0.05, 2.0, 2.0] + [0.5] * 50)
    moves = jnp.asarray(generator.normal(size=(COUNT, 56)) * spread, jnp.float32)
    off = jax.vmap(moved)(starts, moves)
    cameras = jax.vmap(camera_of)(off).at[:, 2, 3].set(33.0)
    return Prior(jnp.concatenate([cameras.reshape(COUNT, 12), off.z], axis=1), CAMERA_STD)


def distances(points, labels):
    return np.linalg.norm(points - labels, axis=-1)


def fit(model, labels, weights, prior, strength):
    return fit_near_prior(model, labels, weights, prior, jnp.float32(strength))


def objective(open_face, statistics, labels, weights, prior, strength):
    """The docstring's formula, in the words of the face model."""
    at_landmarks, std = landmark_model(open_face), statistics[1]

    def cost(coefficients):
        points = landmarks_from_coefficients(at_landmarks, coefficients[None])[0, :, :2]
        data = (weights * jnp.sqrt(((points - labels) ** 2).sum(-1) + 1)).sum() / weights.sum()
        away = (coefficients - prior) / jnp.concatenate([CAMERA_STD.ravel(), std])
        return data + strength * (away.at[11].set(0.0) ** 2).sum()

    return cost


def test_a_fit_is_a_minimum_of_its_objective(open_face, model, statistics, labels, prior):
    weights = jnp.asarray(np.random.default_rng(2).uniform(0.1, 1, (COUNT, 68)), jnp.float32)
    found = fit(model, labels, weights, prior, 0.7)
    for row in (0, 3):
        cost = objective(
            open_face, statistics, labels[row], weights[row], prior.coefficients[row], 0.7
        )
        camera = camera_parts(split_coefficients(found.coefficients[row : row + 1]).camera)
        at = PosedFace(
            camera.scale[0],
            camera.rotation[0],
            camera.translation[0, :2],
            found.coefficients[row, 12:],
        )

        def of_move(move, at=at, cost=cost):
            there = moved(at, move)
            return cost(jnp.concatenate([camera_of(there).ravel(), there.z]))

        slope = jax.grad(of_move)(jnp.zeros(56))
        start = jax.grad(lambda raw, cost=cost: cost(raw))(prior.coefficients[row])
        # Turns move points by some 50 px, and float32 sums of a cost near 2 leave 1e-3 of that.
        assert jnp.abs(slope).max() < 0.1
        assert jnp.abs(start[12:]).max() > 10 * jnp.abs(slope[6:]).max()
        assert cost(found.coefficients[row]) < cost(prior.coefficients[row])


def test_without_a_label_a_face_is_its_prior(model, labels, prior):
    found = fit(model, labels, jnp.zeros((COUNT, 68)), prior, 1.0)
    kept = np.delete(np.arange(62), 11)
    chex.assert_trees_all_close(
        found.coefficients[:, kept], prior.coefficients[:, kept], atol=1e-3, rtol=1e-4
    )


def test_the_prior_holds_as_strongly_as_it_is_told_to(model, labels, prior):
    far = {
        strength: distances(found.points, labels).mean()
        for strength in (1e-4, 1.0, 1e4)
        for found in [fit(model, labels, jnp.ones((COUNT, 68)), prior, strength)]
    }
    found = fit(model, labels, jnp.ones((COUNT, 68)), prior, 1e4)
    before = distances(found.prior_points, labels).mean()
    assert before > 2.0
    # The labels are the model's own points: a weak prior lets fits reach them, float32 permitting.
    assert far[1e-4] < 0.1
    assert far[1e-4] < 0.5 * far[1.0] < 0.5 * before
    assert far[1e4] == pytest.approx(before, rel=0.02)


def test_hidden_points_follow_the_prior_rather_than_the_mean_face(model, labels, prior, faces):
    """Half of the face is labelled; the prior knows of the shape of the rest."""
    weights = jnp.ones((COUNT, 68)).at[:, ::2].set(0.0)
    truth = jnp.asarray(faces.coefficients, jnp.float32)
    knowing = Prior(truth, prior.camera_std)
    mean = Prior(truth.at[:, 12:].set(model.coefficient_mean), prior.camera_std)
    spoilt = jnp.where(weights[..., None] > 0, labels, 0.0)
    hidden = [
        distances(fit(model, spoilt, weights, each, 0.1).points, labels)[:, ::2].mean()
        for each in (knowing, mean)
    ]
    assert hidden[0] < 0.05
    assert hidden[1] > 5 * hidden[0]


def test_a_wrong_label_pulls_no_harder_the_farther_it_is(model, labels, prior):
    moves = []
    for far in (40.0, 400.0):
        spoilt = labels.at[:, 30, 0].add(far)
        found = fit(model, spoilt, jnp.ones((COUNT, 68)), prior, 0.1)
        moves.append(distances(found.points, labels).mean())
    assert moves[1] < 1.5 * moves[0]
    assert moves[1] < 2.0


@pytest.mark.parametrize("half", ["68", "18"])
def test_a_face_may_have_either_set(open_face, statistics, labels, prior, half):
    eighteen = landmarks18_from_68(labels)
    own = labels if half == "68" else eighteen
    weights = jnp.zeros((COUNT, 86))
    weights = weights.at[:, :68].set(1.0) if half == "68" else weights.at[:, 68:].set(1.0)
    both = jnp.where(weights[..., None] > 0, jnp.concatenate([labels, eighteen], axis=1), 0.0)
    single = model_of(open_face, statistics, int(half))
    one = fit(single, own, jnp.ones(own.shape[:2]), prior, 0.3)
    either = fit(model_of(open_face, statistics, 86), both, weights, prior, 0.3)
    # The same minima by sums of other lengths: a tenth of a pixel of points 100 px apart.
    chosen = either.points[:, :68] if half == "68" else either.points[:, 68:]
    chex.assert_trees_all_close(chosen, one.points, atol=0.1)
    assert distances(one.points, own).mean() < 0.7 * distances(one.prior_points, own).mean()


def test_depth_of_the_camera_is_zero_and_never_counts(model, labels, prior):
    other = prior._replace(coefficients=prior.coefficients.at[:, 11].add(500.0))
    first, second = (
        fit(model, labels, jnp.ones((COUNT, 68)), each, 1.0) for each in (prior, other)
    )
    chex.assert_trees_all_equal(first, second)
    assert (first.coefficients[:, 11] == 0).all()

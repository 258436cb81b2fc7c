"""The loss of the authors' early public code, term by term, against a literal one in numpy."""

import jax.numpy as jnp
import numpy as np
import pytest

from configs import ablations
from twodasl_jax.array_types import AnnotatedBatch, InTheWildBatch
from twodasl_jax.coefficients import TRANSLATION_Z, Whitening
from twodasl_jax.face_model.landmarks import landmark_model
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_68
from twodasl_jax.methods.twodasl_losses import LOSS_FORMULAS, LOSSES, RELEASED_WEIGHTS
from twodasl_jax.methods.twodasl_passes import Constants, LossInputs, Prediction

BATCH = 3


@pytest.fixture(scope="module")
def constants(small_face_model):
    mean = jnp.zeros(62).at[jnp.array([0, 5, 10])].set(0.6).at[jnp.array([3, 7])].set(60.0)
    std = jnp.linspace(0.05, 0.15, 62)
    return Constants(landmark_model(small_face_model), jnp.zeros((154, 154)), Whitening(mean, std))


def whitened(seed):
    return np.random.default_rng(seed).normal(size=(BATCH, 62)).astype(np.float32)


def raw(constants, p):
    mean, std = (np.asarray(values, np.float64) for values in constants.whitening)
    return mean + std * np.float64(p)


def project(constants, q):
    """(68, 3) of one face: crop x, y down, depth."""
    model = constants.landmark_model
    bases = np.concatenate([model.shape_basis, model.expression_basis]).astype(np.float64)
    points = np.asarray(model.mean, np.float64) + np.tensordot(q[12:], bases, axes=1)
    camera = q[:12].reshape(3, 4)
    x, y, z = camera[:, :3] @ points + camera[:, 3:]
    return np.stack([x, 121 - y, z], axis=1)


def literal_wpdc(constants, p, p_star):
    """Replace each number alone, weigh by how far the points go, the farthest 1; mean of 62."""
    cost = []
    for row, row_star in zip(p, p_star, strict=True):
        q, q_star = raw(constants, row), raw(constants, row_star)
        moved = np.zeros(62)
        for i in set(range(62)) - {TRANSLATION_Z}:
            replaced = q_star.copy()
            replaced[i] = q[i]
            moved[i] = np.linalg.norm(project(constants, replaced) - project(constants, q_star))
        cost.append(np.mean(moved / moved.max() * (np.float64(row) - row_star) ** 2))
    return np.array(cost)


def literal_landmark_loss(constants, p, x, visible):
    """Mean over (2, 18) of (v (y - x))² / 18, v = 2, 1, 0.5 by what a point is."""
    v = np.full(18, 0.5)
    v[[7, 10, 15, 17]] = 1  # eye centres, mouth corners
    v[[13, 16]] = 2  # tip of the nose, centre of the mouth
    cost = []
    for row, given, seen in zip(p, x, visible, strict=True):
        points = project(constants, raw(constants, row))[:, :2]
        y = points[LANDMARKS_18_FROM_68].mean(axis=1)
        cost.append(np.mean((((v * seen)[:, None] * (y - given)) ** 2).T / 18))
    return np.array(cost)


def test_every_term_is_the_released_one(constants):
    generator = np.random.default_rng(5)
    p, p_star, cycled = whitened(0), whitened(1), whitened(2)
    x = generator.uniform(20, 100, (BATCH, 18, 2)).astype(np.float32)
    visible = generator.integers(0, 2, (BATCH, 18)).astype(np.float32)
    annotated = AnnotatedBatch(None, jnp.asarray(raw(constants, p_star), jnp.float32), None)
    wild = InTheWildBatch(None, None, None, jnp.asarray(x), jnp.asarray(visible), None)
    first, second = (Prediction(jnp.asarray(values), constants) for values in (p, cycled))
    rest = (constants, LOSS_FORMULAS["released"], True)
    halves = {
        "annotated": LossInputs(annotated, first, None, None, *rest),
        "in_the_wild": LossInputs(wild, first, second, None, *rest),
    }
    names = set(RELEASED_WEIGHTS) - {"self_critic"}
    terms = {name: LOSSES[name].function(halves[LOSSES[name].half]) for name in names}
    expected = {
        "coefficient": literal_wpdc(constants, p, p_star),
        "landmark_2d": literal_landmark_loss(constants, p, x, visible),
        "cycle": literal_landmark_loss(constants, cycled, x, visible),
    }
    assert set(terms) == set(expected)
    for name, values in expected.items():
        # Float32 against float64, over sums of 68 points some hundred pixels from the origin.
        np.testing.assert_allclose(terms[name], values, rtol=2e-4, err_msg=name)


def test_the_config_asks_for_it():
    stage = ablations.get_config("released").stages[0]
    assert stage.loss_formula == "released"
    assert stage.loss_weights.to_dict() == {
        "coefficient": 10.0,
        "landmark_2d": 0.005,
        "cycle": 0.005,
        "self_critic": 0.05,
    }

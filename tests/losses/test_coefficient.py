"""`losses/coefficient.py` against the literal definition: 62 replacements, 62 decodes."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from twodasl_jax.coefficients import TRANSLATION_Z
from twodasl_jax.face_model.linear import LinearModel
from twodasl_jax.losses.coefficient import (
    coefficient_weights,
    released_coefficient_cost,
    released_coefficient_weights,
    weighted_coefficient_cost,
)


def make_landmark_model(seed: int, num_points: int = 68) -> LinearModel:
    """Random points of a face's size in BFM units (micrometres)."""
    random = np.random.default_rng(seed)
    return LinearModel(
        jnp.asarray(random.normal(size=(3, num_points)) * 6e4, jnp.float32),
        jnp.asarray(random.normal(size=(40, 3, num_points)) * 2e-2, jnp.float32),
        jnp.asarray(random.normal(size=(10, 3, num_points)) * 2e3, jnp.float32),
    )


def make_coefficients(seed: int, batch: int) -> np.ndarray:
    """Cameras near a rotation at BFM's scale, shapes and expressions of its order."""
    random = np.random.default_rng(seed)
    camera = np.concatenate(
        [5e-4 * np.linalg.qr(random.normal(size=(batch, 3, 3)))[0], np.full((batch, 3, 1), 60.0)],
        axis=-1,
    )
    camera[..., 3] += random.normal(size=(batch, 3)) * 5
    shape = random.normal(size=(batch, 40)) * 3e5
    expression = random.normal(size=(batch, 10))
    return np.concatenate([camera.reshape(batch, 12), shape, expression], axis=-1)


def project(model: LinearModel, q: np.ndarray) -> np.ndarray:
    """H(q) of one face, literally: (68, 3), crop frame."""
    camera = q[:12].reshape(3, 4)
    shape_basis = np.asarray(model.shape_basis, np.float64)
    expression_basis = np.asarray(model.expression_basis, np.float64)
    points = np.asarray(model.mean, np.float64)
    points = points + np.einsum("k,kcn->cn", q[12:52], shape_basis)
    points = points + np.einsum("k,kcn->cn", q[52:], expression_basis)
    view = camera[:, :3] @ points + camera[:, 3:]
    return np.stack([view[0], 121 - view[1], view[2]], axis=-1)


def literal_weights(model: LinearModel, predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """``w_i = ‖H(q*; i-th replaced) - H(q*)‖ / Σ_j``, one decode per coefficient."""
    weights = np.zeros_like(target)
    for example, (q, q_star) in enumerate(zip(predicted, target, strict=True)):
        for i in range(62):
            if i == TRANSLATION_Z:
                continue
            replaced = q_star.copy()
            replaced[i] = q[i]
            weights[example, i] = np.linalg.norm(project(model, replaced) - project(model, q_star))
        weights[example] /= weights[example].sum()
    return weights


class CoefficientWeightsTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.parameters(0, 1, 2)
    def test_closed_form_equals_62_literal_replacements(self, seed):
        model = make_landmark_model(seed)
        target, predicted = make_coefficients(seed + 10, 3), make_coefficients(seed + 20, 3)
        # The oracle sees the same float32 numbers as the closed form.
        target, predicted = np.float32(target), np.float32(predicted)
        expected = literal_weights(model, np.float64(predicted), np.float64(target))
        weights = self.variant(coefficient_weights)(
            model, jnp.asarray(predicted), jnp.asarray(target)
        )
        # Weights are at most 1; 1e-5 is some tens of float32 roundings in sums over 68 points.
        chex.assert_trees_all_close(np.asarray(weights), expected, atol=1e-5, rtol=1e-4)
        np.testing.assert_array_equal(weights[:, TRANSLATION_Z], 0.0)

    def test_the_released_weights_are_these_with_the_largest_1(self):
        model = make_landmark_model(7)
        target, predicted = (
            jnp.asarray(make_coefficients(seed, 3), jnp.float32) for seed in (8, 9)
        )
        paper = coefficient_weights(model, predicted, target)
        released = released_coefficient_weights(model, predicted, target)
        # A float32 division; the other side has one more.
        chex.assert_trees_all_close(released.max(axis=1), jnp.ones(3), rtol=1e-6)
        chex.assert_trees_all_close(released, paper / paper.max(axis=1, keepdims=True), rtol=1e-5)
        np.testing.assert_array_equal(released_coefficient_weights(model, target, target), 0.0)

    def test_a_perfect_prediction_has_zero_weights_and_zero_cost(self):
        target = jnp.asarray(make_coefficients(3, 2), jnp.float32)
        weights = coefficient_weights(make_landmark_model(3), target, target)
        np.testing.assert_array_equal(weights, 0.0)
        np.testing.assert_array_equal(weighted_coefficient_cost(target, target, weights), 0.0)

    def test_only_the_depth_translation_wrong_weighs_nothing(self):
        target = jnp.asarray(make_coefficients(3, 2), jnp.float32)
        weights = coefficient_weights(
            make_landmark_model(3), target.at[:, TRANSLATION_Z].add(9.0), target
        )
        np.testing.assert_array_equal(weights, 0.0)

    def test_no_gradient_flows_through_the_weights(self):
        model = make_landmark_model(4)
        predicted = jnp.asarray(make_coefficients(4, 2), jnp.float32)
        target = jnp.asarray(make_coefficients(5, 2), jnp.float32)
        gradient = jax.grad(lambda q: (coefficient_weights(model, q, target) ** 2).sum())(predicted)
        np.testing.assert_array_equal(gradient, 0.0)


class WeightedCoefficientCostTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_equals_the_literal_sum(self):
        random = np.random.default_rng(0)
        predicted, target, weights = np.float32(random.normal(size=(3, 4, 62)))
        expected = [
            sum(w * (p - t) ** 2 for w, p, t in zip(*rows, strict=True))
            for rows in zip(weights, predicted, target, strict=True)
        ]
        cost = self.variant(weighted_coefficient_cost)(
            jnp.asarray(predicted), jnp.asarray(target), jnp.asarray(weights)
        )
        # Sums of 62 terms of order 1: a few float32 roundings, absolutely 1e-4.
        chex.assert_trees_all_close(np.asarray(cost), np.array(expected), atol=1e-4)

    def test_the_released_cost_is_the_mean_of_the_62(self):
        predicted, target, weights = np.float32(np.random.default_rng(1).normal(size=(3, 4, 62)))
        cost = released_coefficient_cost(*map(jnp.asarray, (predicted, target, weights)))
        # Sums of 62 terms of order 1, divided: a few float32 roundings.
        expected = np.mean(weights * (predicted - target) ** 2, axis=1)
        chex.assert_trees_all_close(np.asarray(cost), expected, atol=1e-5)

    def test_gradient_is_finite_where_the_prediction_is_exact(self):
        target = jnp.asarray(make_coefficients(6, 2), jnp.float32)
        model = make_landmark_model(6)

        def cost(q):
            return weighted_coefficient_cost(q, target, coefficient_weights(model, q, target)).sum()

        np.testing.assert_array_equal(jax.grad(cost)(target), 0.0)

    def test_unequal_shapes_are_refused(self):
        # The run-time type check refuses first; without it chex does.
        with pytest.raises(Exception, match=r"[Ss]hape|Type-check"):
            weighted_coefficient_cost(jnp.zeros((2, 62)), jnp.zeros((1, 62)), jnp.zeros((2, 62)))


def test_weights_of_a_nearly_right_prediction_still_sum_to_one():
    """Landmarks that move by far less than a pixel together: the divisor is below 1."""
    model = make_landmark_model(0)
    target = np.float32(make_coefficients(1, 2))
    predicted = target.copy()
    predicted[:, [3, 7]] += 1e-3  # pixels
    weights = coefficient_weights(model, jnp.asarray(predicted), jnp.asarray(target))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-5)
    released = released_coefficient_weights(model, jnp.asarray(predicted), jnp.asarray(target))
    np.testing.assert_allclose(released.max(axis=1), 1.0, rtol=1e-6)

"""`losses/landmark.py` against literal loops, and at coincident points."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from twodasl_jax.losses.landmark import (
    RELEASED_IMPORTANCE_18,
    landmark_consistency_2d,
    landmark_consistency_3d,
    released_landmark_loss,
    robust_landmark_distance,
    safe_norm,
)


def make_landmarks(seed: int, *shape: int) -> jnp.ndarray:
    return jnp.asarray(np.random.default_rng(seed).uniform(0, 120, shape), jnp.float32)


class LandmarkConsistency2dTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_equals_the_literal_sum(self):
        given, predicted = make_landmarks(0, 3, 18, 2), make_landmarks(1, 3, 18, 2)
        weights = make_landmarks(2, 3, 18)
        expected = np.zeros(3)
        for example in range(3):
            for i in range(18):
                x, y = np.float64(given[example, i]), np.float64(predicted[example, i])
                expected[example] += float(weights[example, i]) * np.hypot(*(x - y))
        cost = self.variant(landmark_consistency_2d)(given, predicted, weights)
        # Float32 sums of 18 positive terms: relative error under 18 roundings.
        chex.assert_trees_all_close(np.asarray(cost), expected, rtol=1e-5)

    def test_gradient_is_zero_at_coincident_points_and_finite_elsewhere(self):
        given = make_landmarks(0, 1, 18, 2)
        predicted = given.at[0, 0].add(3.0)
        gradient = jax.grad(lambda y: landmark_consistency_2d(given, y, jnp.ones((1, 18))).sum())(
            predicted
        )
        np.testing.assert_array_equal(gradient[0, 1:], 0.0)
        # A unit vector along (3, 3), to float32 rounding of coordinates near 100.
        chex.assert_trees_all_close(gradient[0, 0], jnp.full(2, 0.5**0.5), atol=1e-4)

    def test_weight_zero_leaves_a_landmark_out(self):
        given, predicted = make_landmarks(0, 1, 18, 2), make_landmarks(1, 1, 18, 2)
        weights = jnp.ones((1, 18)).at[0, 4].set(0.0)
        moved = predicted.at[0, 4].add(50.0)
        np.testing.assert_array_equal(
            landmark_consistency_2d(given, predicted, weights),
            landmark_consistency_2d(given, moved, weights),
        )


class LandmarkConsistency3dTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_equals_the_literal_sum(self):
        first, second = make_landmarks(0, 2, 68, 3), make_landmarks(1, 2, 68, 3)
        expected = []
        for pair in zip(first, second, strict=True):
            x, x_hat = (np.array(points, np.float64) for points in pair)
            x[:, 2] -= x[:, 2].mean()
            x_hat[:, 2] -= x_hat[:, 2].mean()
            expected.append(sum(np.linalg.norm(a - b) for a, b in zip(x, x_hat, strict=True)))
        cost = self.variant(landmark_consistency_3d)(first, second)
        # Float32 sums of 68 positive terms.
        chex.assert_trees_all_close(np.asarray(cost), np.array(expected), rtol=1e-5)

    def test_depth_translation_does_not_count_but_depth_does(self):
        points, other = make_landmarks(0, 2, 68, 3), make_landmarks(1, 2, 68, 3)
        before = landmark_consistency_3d(points, other)
        deeper = landmark_consistency_3d(points.at[..., 2].add(40.0), other)
        # Float32 rounding of the shifted depths.
        chex.assert_trees_all_close(before, deeper, rtol=1e-5)
        assert (landmark_consistency_3d(points.at[..., 2].multiply(1.5), other) != before).all()

    def test_gradient_is_zero_at_coincident_points(self):
        points = make_landmarks(0, 2, 68, 3)
        gradient = jax.grad(lambda x: landmark_consistency_3d(x, points).sum())(points)
        np.testing.assert_array_equal(gradient, 0.0)


class ReleasedLandmarkLossTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_equals_the_literal_formula(self):
        given, predicted = make_landmarks(0, 2, 18, 2), make_landmarks(1, 2, 18, 2)
        weights = np.tile(RELEASED_IMPORTANCE_18, (2, 1))
        expected = np.zeros(2)
        for example in range(2):
            for i in range(18):
                for c in range(2):
                    x, y = float(given[example, i, c]), float(predicted[example, i, c])
                    expected[example] += (weights[example, i] * (y - x)) ** 2
        expected /= 36 * 18
        cost = self.variant(released_landmark_loss)(given, predicted, jnp.asarray(weights))
        # Float32 sums of 36 positive terms.
        chex.assert_trees_all_close(np.asarray(cost), expected, rtol=1e-5)

    def test_the_released_weights_are_2_1_and_a_half(self):
        assert sorted(set(RELEASED_IMPORTANCE_18.tolist())) == [0.5, 1.0, 2.0]


def test_safe_norm_of_zero_is_zero_with_zero_gradient():
    value, gradient = jax.value_and_grad(lambda v: safe_norm(v))(jnp.zeros(3))
    assert value == 0.0
    np.testing.assert_array_equal(gradient, 0.0)


class RobustLandmarkDistanceTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_equals_the_literal_sum(self):
        given, predicted = make_landmarks(0, 2, 68, 2), make_landmarks(1, 2, 68, 2)
        weights = make_landmarks(2, 2, 68) / 120
        squares = ((np.float64(given) - np.float64(predicted)) ** 2).sum(-1)
        expected = (np.float64(weights) * (np.sqrt(squares + 1) - 1)).sum(-1) / 68
        cost = self.variant(robust_landmark_distance)(given, predicted, weights)
        chex.assert_trees_all_close(np.asarray(cost), expected, rtol=1e-5)

    def test_pulls_are_bounded_and_vanish_at_the_label(self):
        given = jnp.zeros((1, 3, 2))
        predicted = jnp.array([[[0.0, 0.0], [0.1, 0.0], [300.0, 400.0]]])
        gradient = jax.grad(lambda y: robust_landmark_distance(given, y, jnp.ones((1, 3))).sum())(
            predicted
        )
        pull = 3 * np.linalg.norm(np.asarray(gradient)[0], axis=-1)
        chex.assert_trees_all_close(pull, np.array([0.0, 0.1 / 1.01**0.5, 1.0]), atol=1e-5)

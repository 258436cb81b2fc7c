"""`losses/regularization.py`: literal values, invariance to scale, degenerate cameras."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from twodasl_jax.coefficients import Whitening
from twodasl_jax.losses.regularization import camera_orthogonality, coefficient_prior


def coefficients_with_block(blocks: np.ndarray) -> jnp.ndarray:
    q = np.zeros((len(blocks), 62))
    for example, block in enumerate(blocks):
        q[example, :12] = np.concatenate([block, [[60.0], [60.0], [0.0]]], axis=1).ravel()
    return jnp.asarray(q, jnp.float32)


class CameraOrthogonalityTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_equals_the_literal_formula(self):
        blocks = 5e-4 * np.random.default_rng(0).normal(size=(4, 3, 3))
        expected = []
        for block in blocks:
            gram = block @ block.T
            expected.append(((gram / (np.trace(gram) / 3) - np.eye(3)) ** 2).sum())
        value = self.variant(camera_orthogonality)(coefficients_with_block(blocks))
        # Float32 rounding of entries of order 1.
        chex.assert_trees_all_close(np.asarray(value), np.array(expected), rtol=1e-4)

    def test_is_zero_for_a_scaled_rotation_and_blind_to_scale(self):
        random = np.random.default_rng(1)
        rotation = np.linalg.qr(random.normal(size=(3, 3)))[0]
        bent = rotation + 0.2 * random.normal(size=(3, 3))
        values = camera_orthogonality(
            coefficients_with_block(np.stack([5e-4 * rotation, 7.0 * rotation, bent, 1e-3 * bent]))
        )
        # Squares of float32 roundings.
        chex.assert_trees_all_close(values[:2], jnp.zeros(2), atol=1e-9)
        # The same block but for rounding.
        chex.assert_trees_all_close(values[2], values[3], rtol=1e-4)

    def test_gradient_is_finite_for_an_all_zero_camera(self):
        value, gradient = jax.value_and_grad(lambda q: camera_orthogonality(q).sum())(
            jnp.zeros((2, 62))
        )
        assert value == 0.0
        np.testing.assert_array_equal(gradient, 0.0)


class CoefficientPriorTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_equals_the_literal_mean_of_squares(self):
        random = np.random.default_rng(2)
        q, mean, std = random.normal(size=(3, 62)), random.normal(size=62), random.uniform(1, 2, 62)
        expected = [
            np.mean([((row[i] - mean[i]) / std[i]) ** 2 for i in range(12, 62)]) for row in q
        ]
        whitening = Whitening(jnp.asarray(mean, jnp.float32), jnp.asarray(std, jnp.float32))
        value = self.variant(coefficient_prior)(jnp.asarray(q, jnp.float32), whitening)
        # Float32 mean of 50 positive terms.
        chex.assert_trees_all_close(np.asarray(value), np.array(expected), rtol=1e-5)

    def test_the_camera_does_not_count(self):
        whitening = Whitening(jnp.zeros(62), jnp.ones(62))
        q = jnp.zeros((1, 62)).at[:, :12].set(9.0)
        np.testing.assert_array_equal(coefficient_prior(q, whitening), 0.0)

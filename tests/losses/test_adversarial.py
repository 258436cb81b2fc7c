"""`losses/adversarial.py` against literal cross-entropies."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from twodasl_jax.losses.adversarial import critic_loss, regressor_adversarial_loss

REAL = np.array([-3.0, 0.0, 2.5], np.float32)
FAKE = np.array([1.0, -4.0, 0.5], np.float32)


def literal_cross_entropy(logits: np.ndarray, label: int) -> np.ndarray:
    probability = 1.0 / (1.0 + np.exp(-np.float64(logits)))
    return -np.log(probability if label == 1 else 1.0 - probability)


class AdversarialTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_critic_loss_equals_the_literal_cross_entropies(self):
        expected = 0.5 * (literal_cross_entropy(REAL, 1) + literal_cross_entropy(FAKE, 0))
        loss = self.variant(critic_loss)(jnp.asarray(REAL), jnp.asarray(FAKE))
        # Float32 rounding of values near 1.
        chex.assert_trees_all_close(np.asarray(loss), expected, rtol=1e-5)

    @chex.variants(with_jit=True, without_jit=True)
    def test_regressor_loss_equals_the_literal_cross_entropy(self):
        loss = self.variant(regressor_adversarial_loss)(jnp.asarray(FAKE))
        # Float32 rounding of values near 1.
        chex.assert_trees_all_close(np.asarray(loss), literal_cross_entropy(FAKE, 1), rtol=1e-5)

    def test_values_and_gradients_are_finite_for_a_critic_that_is_certain(self):
        certain = jnp.array([-1e4, 1e4])
        for loss in (
            lambda logits: critic_loss(logits, logits).sum(),
            lambda logits: regressor_adversarial_loss(logits).sum(),
        ):
            chex.assert_tree_all_finite(jax.value_and_grad(loss)(certain))

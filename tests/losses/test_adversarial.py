"""`losses/adversarial.py` against literal cross-entropies."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from twodasl_jax.losses.adversarial import (
    critic_fake_loss,
    critic_real_loss,
    regressor_adversarial_loss,
)

REAL = np.array([-3.0, 0.0, 2.5], np.float32)
FAKE = np.array([1.0, -4.0, 0.5], np.float32)


def literal_cross_entropy(logits: np.ndarray, label: int) -> np.ndarray:
    probability = 1.0 / (1.0 + np.exp(-np.float64(logits)))
    return -np.log(probability if label == 1 else 1.0 - probability)


class AdversarialTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_critic_loss_equals_the_literal_cross_entropies(self):
        for loss, logits, label in ((critic_real_loss, REAL, 1), (critic_fake_loss, FAKE, 0)):
            expected = 0.5 * literal_cross_entropy(logits, label)
            # Float32 rounding of values near 1.
            chex.assert_trees_all_close(
                np.asarray(self.variant(loss)(jnp.asarray(logits))), expected, rtol=1e-5
            )

    @chex.variants(with_jit=True, without_jit=True)
    def test_regressor_loss_equals_the_literal_cross_entropy(self):
        loss = self.variant(regressor_adversarial_loss)(jnp.asarray(FAKE))
        # Float32 rounding of values near 1.
        chex.assert_trees_all_close(np.asarray(loss), literal_cross_entropy(FAKE, 1), rtol=1e-5)

    def test_values_and_gradients_are_finite_for_a_critic_that_is_certain(self):
        certain = jnp.array([-1e4, 1e4])
        for loss in (critic_real_loss, critic_fake_loss, regressor_adversarial_loss):
            values, pull_back = jax.vjp(loss, certain)
            chex.assert_tree_all_finite((values, pull_back(jnp.ones(2))))

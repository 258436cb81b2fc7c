"""The self-critic's losses ``L_sc`` (method.md section 4).

Paper says a softmax over one neuron, which is constant; we use one logit and binary
cross-entropy. A pair ``(z, p)`` of an annotated image is real, of an in-the-wild image fake.
"""

import chex
import jax
from jaxtyping import Array, Float


def critic_loss(
    real_logits: Float[Array, " batch"], fake_logits: Float[Array, " batch"]
) -> Float[Array, " batch"]:
    """``½[BCE(C(z*, p*), 1) + BCE(C(z, p(I)), 0)]``: what the critic and its encoder minimise.

    Args:
      real_logits: the critic on annotated pairs.
      fake_logits: the critic on predictions, the caller having stopped their gradient.
    """
    chex.assert_equal_shape([real_logits, fake_logits])
    # BCE(c, 1) = softplus(-c) and BCE(c, 0) = softplus(c): neither overflows.
    return 0.5 * (jax.nn.softplus(-real_logits) + jax.nn.softplus(fake_logits))


def regressor_adversarial_loss(fake_logits: Float[Array, " batch"]) -> Float[Array, " batch"]:
    """``BCE(C(z, p(I)), 1)``, non-saturating: what the regressor minimises to look annotated.

    Args:
      fake_logits: the critic, its own parameters frozen, on the regressor's predictions.
    """
    return jax.nn.softplus(-fake_logits)

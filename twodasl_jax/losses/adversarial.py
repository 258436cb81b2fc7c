"""The self-critic's losses ``L_sc`` (method.md section 4).

Paper says a softmax over one neuron, which is constant; we use one logit and binary
cross-entropy. A pair ``(z, p)`` of an annotated image is real, of an in-the-wild image fake.
"""

import jax
from jaxtyping import Array, Float


def critic_real_loss(logits: Float[Array, " batch"]) -> Float[Array, " batch"]:
    """``½·BCE(C(z*, p*), 1)``: the critic's and encoder's half on annotated pairs.

    Args:
      logits: the critic on annotated images and their coefficients.
    """
    # BCE(c, 1) = softplus(-c) and BCE(c, 0) = softplus(c): neither overflows.
    return 0.5 * jax.nn.softplus(-logits)


def critic_fake_loss(logits: Float[Array, " batch"]) -> Float[Array, " batch"]:
    """``½·BCE(C(z, p(I)), 0)``: the critic's and encoder's half on predictions.

    Args:
      logits: the critic on predictions, the caller having stopped their gradient.
    """
    return 0.5 * jax.nn.softplus(logits)


def regressor_adversarial_loss(fake_logits: Float[Array, " batch"]) -> Float[Array, " batch"]:
    """``BCE(C(z, p(I)), 1)``, non-saturating: what the regressor minimises to look annotated.

    Args:
      fake_logits: the critic, its own parameters frozen, on the regressor's predictions.
    """
    return jax.nn.softplus(-fake_logits)

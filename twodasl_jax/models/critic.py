"""The critic of the self-critic branch: do these coefficients belong to this image?"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

WIDTHS = (512, 1024, 1024)
"""Of the hidden layers."""

NEGATIVE_SLOPE = 0.2
"""Of the leaky ReLU (paper silent): a fake always sends some gradient to the regressor."""


class Critic(nn.Module):
    """Dense 512, 1024, 1024, 1 on ``[z, p]``.

    Paper says a softmax over the one output, which is constantly 1; we return one logit, for
    a binary cross-entropy.
    """

    @nn.compact
    def __call__(self, z: Float[Array, "b code"], p: Float[Array, "b 62"]) -> Float[Array, " b"]:
        """Scores pairs.

        Args:
          z: image codes of `ImageEncoder`.
          p: whitened coefficients.

        Returns:
          Logits: positive for pairs taken as annotated.
        """
        x = jnp.concatenate([z, p], axis=-1)
        for i, width in enumerate(WIDTHS, start=1):
            x = nn.leaky_relu(nn.Dense(width, name=f"dense{i}")(x), NEGATIVE_SLOPE)
        return nn.Dense(1, name="logit")(x)[..., 0]

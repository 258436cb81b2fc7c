"""What 2DASL's losses are made of: what the passes predicted, decoded once, and what it is held to.

Notation of the paper: x given 2D landmarks, y projected ones, X 3D landmarks, hats for the
second pass of the cycle, p whitened and q raw coefficients.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from twodasl_jax.array_types import AnnotatedBatch, Batch, InTheWildBatch
from twodasl_jax.coefficients import TRANSLATION_Z, Whitening, unwhiten, whiten
from twodasl_jax.face_model.landmarks import landmarks18_from_68, landmarks_from_coefficients
from twodasl_jax.face_model.linear import LinearModel
from twodasl_jax.rendering.landmark_map import landmark_map


class Constants(NamedTuple):
    """What the step reads besides state and batch; a pytree of arrays.

    Attributes:
      landmark_model: the face model at its 68 landmark vertices.
      vertex_gram: ``(154, 154)`` from `losses.vertex.vertex_gram`: all that the vertex distance
        cost needs to know of the vertices, 600 times cheaper than decoding BFM twice.
      whitening: statistics of face model and training set.
    """

    landmark_model: LinearModel
    vertex_gram: Float[Array, "154 154"]
    whitening: Whitening


class LossFormula(NamedTuple):
    """How the losses are written that the paper and the authors' code write differently.

    Attributes:
      coefficient_weights: ``(landmark model, q, q*) -> w``.
      coefficient_cost: ``(p, p*, w) -> L_3d``.
      landmark_loss: ``(x, y, v) -> L_2d_con``, and with ŷ ``L_cyc``.
      importance: the weight mask v of the 18 landmarks.
    """

    coefficient_weights: Callable[..., Any]
    coefficient_cost: Callable[..., Any]
    landmark_loss: Callable[..., Any]
    importance: np.ndarray


def batched(whitening: Whitening) -> Whitening:
    """``(62,)`` statistics as ``(1, 62)``: broadcasting over the batch is said, not implied."""
    return Whitening(whitening.mean[None], whitening.std[None])


def network_input(
    image: UInt8[Array, "b 120 120 3"], landmarks18: Float[Array, "b 18 2"] | None
) -> Float[Array, "b 120 120 channels"]:
    """``(v - 127.5) / 128`` and, unless `landmarks18` is None, their landmark map."""
    rgb = (image.astype(jnp.float32) - 127.5) / 128.0
    if landmarks18 is None:
        return rgb
    return jnp.concatenate([rgb, landmark_map(landmarks18)], axis=-1)


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What one pass says of a half of the batch; decoded when first asked for, and once.

    Attributes:
      whitened: p, ``(b, 62)``, as the regressor gives it.
      constants: what it is decoded with.
    """

    whitened: Float[Array, "b 62"]
    constants: Constants

    @functools.cached_property
    def coefficients(self) -> Float[Array, "b 62"]:
        """Raw coefficients q."""
        return unwhiten(self.whitened, batched(self.constants.whitening))

    @functools.cached_property
    def landmarks(self) -> Float[Array, "b 68 3"]:
        """3D landmarks X, crop frame."""
        return landmarks_from_coefficients(self.constants.landmark_model, self.coefficients)

    @functools.cached_property
    def landmarks18(self) -> Float[Array, "b 18 2"]:
        """2D landmarks y, crop pixels."""
        return landmarks18_from_68(self.landmarks)[..., :2]


class CriticLogits(NamedTuple):
    """What the critic says, ``(b,)`` each; stop-gradients keep each half from other networks.

    Attributes:
      real: of annotated images and their coefficients; reaches critic and encoder.
      fake: of in-the-wild images and predictions; reaches critic and encoder.
      judged: the same numbers; reaches the regressor alone.
    """

    real: Float[Array, " b"]
    fake: Float[Array, " b"]
    judged: Float[Array, " b"]


@dataclasses.dataclass(frozen=True)
class LossInputs:
    """The one argument of every loss: a half of the batch and what was predicted of it.

    Attributes:
      half: `AnnotatedBatch` or `InTheWildBatch`, as the loss's entry says.
      first: of the only pass, or of the cycle's first one.
      second: of the cycle's second pass; for losses with ``second_pass`` alone.
      critic: for losses with ``critic`` alone.
      constants: face model and whitening.
      formula: how the losses are written.
      use_landmark_importance: False sets the mask v to one everywhere.
      depth_weight: of depth in the vertex distance cost.
    """

    half: Any
    first: Prediction
    second: Prediction | None
    critic: CriticLogits | None
    constants: Constants
    formula: LossFormula
    use_landmark_importance: bool
    depth_weight: float = 1.0

    @property
    def annotated(self) -> AnnotatedBatch:
        """The half, of a loss on annotated images."""
        return self._half_of(AnnotatedBatch)

    @property
    def in_the_wild(self) -> InTheWildBatch:
        """The half, of a loss on in-the-wild images."""
        return self._half_of(InTheWildBatch)

    @property
    def again(self) -> Prediction:
        """The second pass's prediction.

        Raises:
          TypeError: where it was not run, because the loss's entry does not ask for it.
        """
        if self.second is None:
            raise TypeError("no second pass was run; expected Loss(..., second_pass=True)")
        return self.second

    @property
    def logits(self) -> CriticLogits:
        """The critic's.

        Raises:
          TypeError: where it was not run, because the loss's entry does not ask for it.
        """
        if self.critic is None:
            raise TypeError("the critic was not run; expected Loss(..., critic=True)")
        return self.critic

    @functools.cached_property
    def landmark18_weights(self) -> Float[Array, "b 18"]:
        """The mask v times the visibility of the 18 landmarks in the wild."""
        weights = self.in_the_wild.landmark18_weights
        if self.use_landmark_importance:
            weights = weights * jnp.asarray(self.formula.importance)[None]
        return weights

    def _half_of(self, kind: Any) -> Any:
        if not isinstance(self.half, kind):
            raise TypeError(
                f"the loss reads {kind.__name__} and was given {type(self.half).__name__}; "
                "expected the half that its entry names"
            )
        return self.half


def critic_logits(
    encoder: Any, critic: Any, params: Any, batch: Batch, predicted: Prediction
) -> CriticLogits:
    """Real pairs are (image, p*) of annotated images, fakes (image, p) of in-the-wild images.

    The critic is shown 0 for t_z (ours): it cannot be seen in an image, and no other loss of
    stage 1 moves the prediction towards the t_z of the annotations, which would give every fake
    away.

    Args:
      encoder: Flax module, images to codes.
      critic: Flax module, codes and whitened coefficients to logits.
      params: network name -> parameters.
      batch: both halves.
      predicted: of the in-the-wild half.
    """
    images = jnp.concatenate([batch.annotated.image, batch.in_the_wild.image])
    codes = encoder.apply({"params": params["encoder"]}, network_input(images, None))
    real_codes, fake_codes = jnp.split(codes, [batch.annotated.image.shape[0]])
    target = whiten(batch.annotated.coefficients, batched(predicted.constants.whitening))
    target, whitened = (p.at[:, TRANSLATION_Z].set(0.0) for p in (target, predicted.whitened))
    variables = {"params": params["critic"]}
    return CriticLogits(
        real=critic.apply(variables, real_codes, target),
        fake=critic.apply(variables, fake_codes, jax.lax.stop_gradient(whitened)),
        judged=critic.apply(
            jax.lax.stop_gradient(variables), jax.lax.stop_gradient(fake_codes), whitened
        ),
    )

"""The terms of 2DASL's objective, one value per example, and the settings that choose them.

Notation of the paper: x given 2D landmarks, y projected ones, X 3D landmarks, hats for the
second pass of the cycle, p whitened and q raw coefficients. ``docs/method.md`` lists every
place where the paper is silent or contradicts the released code, and what is done here.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from twodasl_jax.array_types import AnnotatedBatch, Batch, InTheWildBatch
from twodasl_jax.coefficients import TRANSLATION_Z, Whitening, unwhiten, whiten
from twodasl_jax.face_model.landmarks import landmarks18_from_68, landmarks_from_coefficients
from twodasl_jax.face_model.linear import LinearModel
from twodasl_jax.landmark_tables import LANDMARK_IMPORTANCE_18
from twodasl_jax.losses.adversarial import (
    critic_fake_loss,
    critic_real_loss,
    regressor_adversarial_loss,
)
from twodasl_jax.losses.coefficient import (
    coefficient_weights,
    released_coefficient_cost,
    released_coefficient_weights,
    weighted_coefficient_cost,
)
from twodasl_jax.losses.landmark import (
    RELEASED_IMPORTANCE_18,
    landmark_consistency_2d,
    landmark_consistency_3d,
    released_landmark_loss,
)
from twodasl_jax.losses.regularization import camera_orthogonality, coefficient_prior
from twodasl_jax.losses.vertex import vertex_distance_cost
from twodasl_jax.rendering.landmark_map import landmark_map

PAPER_WEIGHTS = {
    "coefficient": 1.0,
    "landmark_2d": 0.005,
    "landmark_3d": 0.005,
    "cycle": 1.0,
    "self_critic": 0.005,
}
"""The equations of the paper, λ1..λ4 as printed."""

RELEASED_WEIGHTS = {"coefficient": 10.0, "landmark_2d": 0.005, "cycle": 0.005, "self_critic": 0.05}
"""The authors' early public code; goes with ``loss_formula='released'``."""

LOSS_TERMS = {
    "coefficient": "L_3d, weighted coefficient cost on annotated images",
    "landmark_2d": "L_2d_con, 18 landmarks of in-the-wild images",
    "landmark_3d": "L_3d_con, 3D landmarks of the two passes of the cycle",
    "cycle": "L_cyc, 18 landmarks after the second pass",
    "self_critic": "L_sc, the critic's and the regressor's halves",
    "vertex": "L_vdc, vertex distance cost on annotated images (stage 2)",
    "landmark68_2d": "ours: visible ones of 68 labelled landmarks of in-the-wild images",
    "orthogonality": "ours: the camera's 3x3 block should be a scaled rotation",
    "coefficient_prior": "ours: shape and expression near the training statistics",
}
"""Every name that `loss_weights` may hold."""

ANNOTATED_TERMS = ("coefficient", "vertex")
"""The terms that read annotated images alone."""


def reads_in_the_wild(terms: Iterable[str]) -> bool:
    """Whether any of these terms looks at the in-the-wild images."""
    return bool(set(terms) - set(ANNOTATED_TERMS))


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


LOSS_FORMULAS = {
    "paper": LossFormula(
        coefficient_weights,
        weighted_coefficient_cost,
        landmark_consistency_2d,
        LANDMARK_IMPORTANCE_18,
    ),
    "released": LossFormula(
        released_coefficient_weights,
        released_coefficient_cost,
        released_landmark_loss,
        RELEASED_IMPORTANCE_18,
    ),
}
"""``loss_formula`` of a stage -> the form of L_3d, L_2d_con and L_cyc."""


class Constants(NamedTuple):
    """What the step reads besides state and batch; a pytree of arrays.

    Attributes:
      landmarks: the face model at its 68 landmark vertices.
      vertex_gram: ``(154, 154)`` from `losses.vertex.vertex_gram`: all that the vertex distance
        cost needs to know of the vertices, 600 times cheaper than decoding BFM twice.
      whitening: statistics of face model and training set.
    """

    landmarks: LinearModel
    vertex_gram: Float[Array, "154 154"]
    whitening: Whitening


@dataclasses.dataclass(frozen=True)
class TwoDASL:
    """The method's settings: three networks and which losses are on.

    Attributes:
      regressor: ``(b, 120, 120, 3 or 4) -> (b, 62)`` whitened.
      encoder: ``(b, 120, 120, 3) -> (b, 256)``.
      critic: ``(b, 256), (b, 62) -> (b,)`` logit.
      loss_weights: term name -> λ; see `LOSS_TERMS`.
      ramp_steps: term name -> steps over which its λ grows linearly from 0. From a random
        start the cycle term explodes otherwise.
      loss_formula: key of `LOSS_FORMULAS`, for ``coefficient``, ``landmark_2d``, ``cycle``.
      use_landmark_map: False feeds RGB alone (the paper's base ablation).
      use_landmark_importance: False sets the paper's weight mask v to one everywhere.
    """

    regressor: Any
    encoder: Any
    critic: Any
    loss_weights: Mapping[str, float]
    ramp_steps: Mapping[str, int] = dataclasses.field(default_factory=dict)
    loss_formula: str = "paper"
    use_landmark_map: bool = True
    use_landmark_importance: bool = True

    def __post_init__(self) -> None:
        """Refuses unknown names, listing the known ones."""
        for field in ("loss_weights", "ramp_steps"):
            unknown = sorted(set(getattr(self, field)) - set(LOSS_TERMS))
            if unknown:
                raise ValueError(
                    f"{field} names {', '.join(unknown)}; the terms are {', '.join(LOSS_TERMS)}"
                )
        if self.loss_formula not in LOSS_FORMULAS:
            raise ValueError(
                f"loss_formula is '{self.loss_formula}'; expected one of {', '.join(LOSS_FORMULAS)}"
            )
        if not self.use_landmark_map and self.uses("landmark_3d", "cycle"):
            raise ValueError("the cycle terms feed a landmark map; set use_landmark_map=True")

    def uses(self, *terms: str) -> bool:
        """Whether any of these terms is on."""
        return any(term in self.loss_weights for term in terms)

    @property
    def reads_in_the_wild(self) -> bool:
        """Whether any term needs the in-the-wild images; else they are not even passed through."""
        return reads_in_the_wild(self.loss_weights)


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


def annotated_terms(
    method: TwoDASL, whitened: Float[Array, "b 62"], batch: AnnotatedBatch, constants: Constants
) -> dict[str, Float[Array, " b"]]:
    """L_3d and L_vdc, per example, against the known coefficients."""
    predicted = unwhiten(whitened, batched(constants.whitening))
    terms = {}
    if method.uses("coefficient"):
        formula = LOSS_FORMULAS[method.loss_formula]
        weights = formula.coefficient_weights(constants.landmarks, predicted, batch.coefficients)
        target = whiten(batch.coefficients, batched(constants.whitening))
        terms["coefficient"] = formula.coefficient_cost(whitened, target, weights)
    if method.uses("vertex"):
        terms["vertex"] = vertex_distance_cost(constants.vertex_gram, predicted, batch.coefficients)
    return terms


def in_the_wild_terms(
    method: TwoDASL,
    whitened: Float[Array, "b 62"],
    cycled: Float[Array, "b 62"] | None,
    batch: InTheWildBatch,
    constants: Constants,
) -> dict[str, Float[Array, " b"]]:
    """The 2D-assisted self-supervision, per example.

    Args:
      method: settings.
      whitened: p of the first pass.
      cycled: p̂ of the second pass, or None where no cycle term is on.
      batch: 2D labels and their weights.
      constants: face model and whitening.
    """
    formula = LOSS_FORMULAS[method.loss_formula]
    weights = batch.landmark18_weights
    if method.use_landmark_importance:
        weights = weights * jnp.asarray(formula.importance)[None]
    whitening = batched(constants.whitening)
    predicted = unwhiten(whitened, whitening)
    landmarks = landmarks_from_coefficients(constants.landmarks, predicted)
    terms = {}
    if method.uses("landmark_2d"):
        y = landmarks18_from_68(landmarks)[..., :2]
        terms["landmark_2d"] = formula.landmark_loss(batch.landmarks18, y, weights)
    if method.uses("landmark68_2d"):
        terms["landmark68_2d"] = landmark_consistency_2d(
            batch.landmarks, landmarks[..., :2], batch.landmark_weights
        )
    if method.uses("orthogonality"):
        terms["orthogonality"] = camera_orthogonality(predicted)
    if method.uses("coefficient_prior"):
        terms["coefficient_prior"] = coefficient_prior(predicted, whitening)
    if cycled is not None:
        again = landmarks_from_coefficients(constants.landmarks, unwhiten(cycled, whitening))
        if method.uses("cycle"):
            y_hat = landmarks18_from_68(again)[..., :2]
            terms["cycle"] = formula.landmark_loss(batch.landmarks18, y_hat, weights)
        if method.uses("landmark_3d"):
            # Depth is relative: each set's own mean z goes, which removes t_z exactly.
            terms["landmark_3d"] = landmark_consistency_3d(landmarks, again)
    return terms


def self_critic_terms(
    method: TwoDASL,
    params: Any,
    batch: Batch,
    whitened: Float[Array, "b 62"],
    constants: Constants,
) -> dict[str, Float[Array, " b"]]:
    """L_sc: ``critic_*`` train critic and encoder, ``self_critic`` trains the regressor alone.

    Real pairs are (image, p*) of annotated images, fakes (image, p) of in-the-wild images.
    Two stop-gradients keep each half from the other's networks. The critic is shown 0 for t_z
    (ours): it cannot be seen in an image, and no other loss of stage 1 moves the prediction
    towards the t_z of the annotations, which would give every fake away.
    """
    images = jnp.concatenate([batch.annotated.image, batch.in_the_wild.image])
    codes = method.encoder.apply({"params": params["encoder"]}, network_input(images, None))
    real_codes, fake_codes = jnp.split(codes, [batch.annotated.image.shape[0]])
    target = whiten(batch.annotated.coefficients, batched(constants.whitening))
    target, whitened = (p.at[:, TRANSLATION_Z].set(0.0) for p in (target, whitened))
    critic = {"params": params["critic"]}
    real_logits = method.critic.apply(critic, real_codes, target)
    fake_logits = method.critic.apply(critic, fake_codes, jax.lax.stop_gradient(whitened))
    judged = method.critic.apply(
        jax.lax.stop_gradient(critic), jax.lax.stop_gradient(fake_codes), whitened
    )
    return {
        "critic_real": critic_real_loss(real_logits),
        "critic_fake": critic_fake_loss(fake_logits),
        "self_critic": regressor_adversarial_loss(judged),
    }

"""The losses of 2DASL in one table: a new one is a function here, its line, and its test.

``docs/method.md`` lists every place where the paper is silent or contradicts the released code,
and what is done here.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from twodasl_jax.coefficients import whiten
from twodasl_jax.face_model.landmarks import landmarks_from_coefficients
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
    robust_landmark_distance,
)
from twodasl_jax.losses.regularization import camera_orthogonality, coefficient_prior
from twodasl_jax.losses.vertex import vertex_distance_cost
from twodasl_jax.methods.twodasl_passes import LossFormula, LossInputs, batched

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


def _coefficient(given: LossInputs) -> Float[Array, " b"]:
    first, known = given.first, given.annotated.coefficients
    weights = given.formula.coefficient_weights(
        given.constants.landmark_model, first.coefficients, known
    )
    target = whiten(known, batched(given.constants.whitening))
    return given.formula.coefficient_cost(first.whitened, target, weights)


def _vertex(given: LossInputs) -> Float[Array, " b"]:
    return vertex_distance_cost(
        given.constants.vertex_gram,
        given.first.coefficients,
        given.annotated.coefficients,
        depth_weight=given.depth_weight,
    )


def _landmark68_fit(given: LossInputs) -> Float[Array, " b"]:
    known = landmarks_from_coefficients(
        given.constants.landmark_model, given.annotated.coefficients
    )
    predicted = given.first.landmarks[..., :2]
    return robust_landmark_distance(known[..., :2], predicted, jnp.ones(predicted.shape[:2]))


def _landmark68_label(given: LossInputs) -> Float[Array, " b"]:
    labelled = given.annotated
    return robust_landmark_distance(
        labelled.landmarks, given.first.landmarks[..., :2], labelled.landmark_weights
    )


def _orthogonality(given: LossInputs) -> Float[Array, " b"]:
    return camera_orthogonality(given.first.coefficients)


def _coefficient_prior(given: LossInputs) -> Float[Array, " b"]:
    return coefficient_prior(given.first.coefficients, batched(given.constants.whitening))


def _landmark_2d(given: LossInputs) -> Float[Array, " b"]:
    x, y = given.in_the_wild.landmarks18, given.first.landmarks18
    return given.formula.landmark_loss(x, y, given.landmark18_weights)


def _landmark68_2d(given: LossInputs) -> Float[Array, " b"]:
    wild = given.in_the_wild
    return landmark_consistency_2d(
        wild.landmarks, given.first.landmarks[..., :2], wild.landmark_weights
    )


def _cycle(given: LossInputs) -> Float[Array, " b"]:
    x, y_hat = given.in_the_wild.landmarks18, given.again.landmarks18
    return given.formula.landmark_loss(x, y_hat, given.landmark18_weights)


def _landmark_3d(given: LossInputs) -> Float[Array, " b"]:
    # Depth is relative: each set's own mean z goes, which removes t_z exactly.
    return landmark_consistency_3d(given.first.landmarks, given.again.landmarks)


def _critic_real(given: LossInputs) -> Float[Array, " b"]:
    return critic_real_loss(given.logits.real)


def _critic_fake(given: LossInputs) -> Float[Array, " b"]:
    return critic_fake_loss(given.logits.fake)


def _self_critic(given: LossInputs) -> Float[Array, " b"]:
    return regressor_adversarial_loss(given.logits.judged)


@dataclasses.dataclass(frozen=True)
class Loss:
    """One term of the objective.

    Attributes:
      half: of the data that it reads. Annotated images are shown to the network in any case.
      function: to one value per example, whose mean is weighted.
      default_weight: λ as the paper prints it, or of ours as `configs/aflw.py` uses it.
      meaning: for whoever chooses.
      second_pass: whether it reads the cycle's second pass, which else is not run.
      critic: whether it reads the critic, which else does not exist; annotated images then too.
      goes_with: the loss with which it is on, at its default weight; it cannot be chosen alone.
    """

    half: Literal["annotated", "in_the_wild"]
    function: Callable[[LossInputs], Float[Array, " b"]]
    default_weight: float
    meaning: str
    second_pass: bool = False
    critic: bool = False
    goes_with: str | None = None

    def __post_init__(self) -> None:
        """Refuses what is made of in-the-wild images for a loss on annotated ones."""
        if self.half == "annotated" and (self.second_pass or self.critic):
            raise ValueError(
                "second pass and critic look at in-the-wild images; expected half='in_the_wild'"
            )


LOSSES: dict[str, Loss] = {
    "coefficient": Loss(
        "annotated", _coefficient, 1.0, "L_3d, weighted coefficient cost on annotated images"
    ),
    "vertex": Loss(
        "annotated", _vertex, 1.0, "L_vdc, vertex distance cost on annotated images (stage 2)"
    ),
    "landmark68_fit": Loss(
        "annotated", _landmark68_fit, 1.0,
        "ours: all 68 projected landmarks of annotated images, hidden ones too, robust",
    ),
    "landmark68_label": Loss(
        "annotated", _landmark68_label, 0.3,
        "ours: visible labelled ones of 68 landmarks that coefficients were fitted to, robust",
    ),
    "annotated_orthogonality": Loss(
        "annotated", _orthogonality, 0.5, "ours: as orthogonality, on annotated images"
    ),
    "annotated_prior": Loss(
        "annotated", _coefficient_prior, 0.02, "ours: as coefficient_prior, on annotated images"
    ),
    "landmark_2d": Loss(
        "in_the_wild", _landmark_2d, 0.005, "L_2d_con, 18 landmarks of in-the-wild images"
    ),
    "landmark68_2d": Loss(
        "in_the_wild", _landmark68_2d, 0.02,
        "ours: visible ones of 68 labelled landmarks of in-the-wild images",
    ),
    "orthogonality": Loss(
        "in_the_wild", _orthogonality, 5.0,
        "ours: the camera's 3x3 block should be a scaled rotation",
    ),
    "coefficient_prior": Loss(
        "in_the_wild", _coefficient_prior, 0.02,
        "ours: shape and expression near the training statistics",
    ),
    "cycle": Loss(
        "in_the_wild", _cycle, 1.0, "L_cyc, 18 landmarks after the second pass", second_pass=True
    ),
    "landmark_3d": Loss(
        "in_the_wild", _landmark_3d, 0.005,
        "L_3d_con, 3D landmarks of the two passes of the cycle", second_pass=True,
    ),
    # The critic's own halves are no terms of L: its optimiser sets its scale, so λ = 1.
    "critic_real": Loss(
        "in_the_wild", _critic_real, 1.0, "L_sc, the critic's half on annotated pairs",
        critic=True, goes_with="self_critic",
    ),
    "critic_fake": Loss(
        "in_the_wild", _critic_fake, 1.0, "L_sc, the critic's half on predictions",
        critic=True, goes_with="self_critic",
    ),
    "self_critic": Loss(
        "in_the_wild", _self_critic, 0.005, "L_sc, the regressor's half", critic=True
    ),
}  # fmt: skip
"""Every loss by its name in ``loss_weights``, in the order in which the terms are added up."""


def choosable() -> list[str]:
    """The names that ``loss_weights`` may hold."""
    return [name for name, loss in LOSSES.items() if loss.goes_with is None]


def losses_on(terms: Iterable[str]) -> dict[str, Loss]:
    """The losses to compute for these chosen ones, in the table's order."""
    chosen = set(terms)
    return {name: loss for name, loss in LOSSES.items() if (loss.goes_with or name) in chosen}


def reads_in_the_wild(terms: Iterable[str]) -> bool:
    """Whether any of these losses looks at the in-the-wild images."""
    return any(loss.half == "in_the_wild" for loss in losses_on(terms).values())


def default_weights(*terms: str) -> dict[str, float]:
    """``loss_weights`` of these losses, as the table has them."""
    return {term: LOSSES[term].default_weight for term in terms}


PAPER_WEIGHTS = default_weights("coefficient", "landmark_2d", "landmark_3d", "cycle", "self_critic")
"""The equations of the paper, λ1..λ4 as printed."""

RELEASED_WEIGHTS = {"coefficient": 10.0, "landmark_2d": 0.005, "cycle": 0.005, "self_critic": 0.05}
"""The authors' early public code; goes with ``loss_formula='released'``."""

"""The settings that are 2DASL's own: groups of an experiment's, and those of one stage."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from twodasl_jax.methods.twodasl_losses import (
    LOSS_FORMULAS,
    Loss,
    choosable,
    losses_on,
    reads_in_the_wild,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """The networks.

    Attributes:
      backbone: of the regressor.
      batch_norm: ``train``, or ``frozen`` statistics.
      convolution: how convolutions are computed (`models.convolution`).
      encoder_width_divisor: of the self-critic's encoder; 1 is the full one.
      landmark_map: whether the regressor reads one; else RGB alone.
      upright_pass: the second pass of a network of RGB alone: heads that lie in the picture are
        shown again, upright.
    """

    backbone: str
    batch_norm: str
    convolution: str
    encoder_width_divisor: int
    landmark_map: bool
    upright_pass: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossSettings:
    """What all stages' losses share.

    Attributes:
      landmark_importance: the paper's weight mask v on the 18 landmarks.
      num_vertices: of the vertex distance cost: 0 is all of them, else the 68 landmarks and this
        many spread over the face.
      depth_weight: of depth in the vertex distance cost; 1 is the paper's, less suits fits to one
        view.
    """

    landmark_importance: bool
    num_vertices: int
    depth_weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuses negative numbers."""
        if not 0 <= self.depth_weight < float("inf"):
            raise ValueError(f"depth_weight is {self.depth_weight}; expected at least 0")
        if self.num_vertices < 0:
            raise ValueError(f"num_vertices is {self.num_vertices}; expected 0 or more")


@dataclasses.dataclass(frozen=True)
class TwoDASL:
    """The method's settings: three networks and which losses are on.

    Attributes:
      regressor: ``(b, 120, 120, 3 or 4) -> (b, 62)`` whitened.
      encoder: ``(b, 120, 120, 3) -> (b, 256)``.
      critic: ``(b, 256), (b, 62) -> (b,)`` logit.
      loss_weights: term name -> λ; see `twodasl_losses.LOSSES`.
      ramp_steps: term name -> steps over which its λ grows linearly from 0. From a random
        start the cycle term explodes otherwise.
      loss_formula: key of `LOSS_FORMULAS`, for ``coefficient``, ``landmark_2d``, ``cycle``.
      use_landmark_map: False feeds RGB alone (the paper's base ablation).
      use_landmark_importance: False sets the paper's weight mask v to one everywhere.
      depth_weight: of depth in the vertex distance cost.
      upright_pass: prediction without a landmark map shows heads that lie again, upright.
    """

    regressor: Any
    encoder: Any
    critic: Any
    loss_weights: Mapping[str, float]
    ramp_steps: Mapping[str, int] = dataclasses.field(default_factory=dict)
    loss_formula: str = "paper"
    use_landmark_map: bool = True
    use_landmark_importance: bool = True
    depth_weight: float = 1.0
    upright_pass: bool = False

    def __post_init__(self) -> None:
        """Refuses unknown names, listing the known ones."""
        known = choosable()
        for field in ("loss_weights", "ramp_steps"):
            unknown = sorted(set(getattr(self, field)) - set(known))
            if unknown:
                raise ValueError(
                    f"{field} names {', '.join(unknown)}; the terms are {', '.join(known)}"
                )
        if self.loss_formula not in LOSS_FORMULAS:
            raise ValueError(
                f"loss_formula is '{self.loss_formula}'; expected one of {', '.join(LOSS_FORMULAS)}"
            )
        if not self.use_landmark_map and self.runs_second_pass:
            raise ValueError("the cycle terms feed a landmark map; set use_landmark_map=True")

    @property
    def losses(self) -> Mapping[str, Loss]:
        """The losses that are on, in the order in which they are added up."""
        return losses_on(self.loss_weights)

    @property
    def runs_second_pass(self) -> bool:
        """Whether any loss reads the cycle's second pass."""
        return any(loss.second_pass for loss in self.losses.values())

    @property
    def has_critic(self) -> bool:
        """Whether any loss reads the critic; else encoder and critic do not exist."""
        return any(loss.critic for loss in self.losses.values())

    @property
    def reads_in_the_wild(self) -> bool:
        """Whether any loss needs the in-the-wild images; else they are not even passed through."""
        return reads_in_the_wild(self.loss_weights)

"""What is made of settings, once: a stage's method and optimiser, the loop's intervals."""

import dataclasses
from typing import NamedTuple

import optax

from twodasl_jax.experiment.settings.experiment_settings import StageSettings, TrainingSettings
from twodasl_jax.methods.method import Method
from twodasl_jax.training.loop import Intervals
from twodasl_jax.training.optimizer import OptimizerOptions, make_optimizer


class Stage(NamedTuple):
    """One stage of a training.

    Attributes:
      settings: its own.
      method: the experiment's networks with the losses of this stage.
      optimizer: from `make_stage_optimizer`.
    """

    settings: StageSettings
    method: Method
    optimizer: optax.GradientTransformation

    @property
    def name(self) -> str:
        """Under which its files lie."""
        return self.settings.name


def make_stage_optimizer(stage: StageSettings) -> optax.GradientTransformation:
    """One `optax.multi_transform` over the stage's networks; a cosine ends with the stage."""
    return make_optimizer(
        {name: _ending(options, stage) for name, options in stage.optimizers.items()}
    )


def _ending(options: OptimizerOptions, stage: StageSettings) -> OptimizerOptions:
    if options.schedule != "cosine" or options.total_steps is not None:
        return options
    return dataclasses.replace(options, total_steps=stage.num_steps)


def intervals_of(training: TrainingSettings) -> Intervals:
    """How often the loop logs, saves and evaluates."""
    return Intervals(
        log=training.log_every,
        checkpoint=training.checkpoint_every,
        evaluate=training.evaluate_every,
    )

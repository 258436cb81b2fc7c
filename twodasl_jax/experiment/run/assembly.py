"""From settings to objects: the method of a stage and its optimiser."""

import dataclasses

import optax

from twodasl_jax.experiment.settings.experiment_settings import ExperimentSettings, StageSettings
from twodasl_jax.methods.method import Method
from twodasl_jax.methods.registry import family_of
from twodasl_jax.training.optimizer import OptimizerOptions, make_optimizer


def make_method(config: ExperimentSettings, stage: StageSettings) -> Method:
    """The networks of an experiment with the losses of one of its stages."""
    return family_of(config.method).make(models=config.models, losses=config.losses, stage=stage)


def crop_size_of(config: ExperimentSettings) -> int:
    """Side of the crops that the experiment's networks read, pixels; all stages have one."""
    return make_method(config, config.stages[0]).crop_size


def make_stage_optimizer(stage: StageSettings) -> optax.GradientTransformation:
    """One `optax.multi_transform` over the stage's networks; a cosine ends with the stage."""
    return make_optimizer(
        {network: _ending(options, stage) for network, options in stage.optimizers.items()}
    )


def _ending(options: OptimizerOptions, stage: StageSettings) -> OptimizerOptions:
    if options.schedule != "cosine" or options.total_steps is not None:
        return options
    return dataclasses.replace(options, total_steps=stage.num_steps)

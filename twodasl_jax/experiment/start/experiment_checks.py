"""Looks through an experiment's settings before anything is read, rendered or written.

A mistyped name would otherwise be found after the data were rendered, in a workdir that then
belongs to the mistake. Names are known to the tables of their makers, which are asked here.
"""

import functools
from collections.abc import Callable, Iterable

import numpy as np

from twodasl_jax.experiment.run.assembly import Stage, intervals_of, make_stage_optimizer
from twodasl_jax.experiment.scores.evaluation import check_evaluation
from twodasl_jax.experiment.scores.while_training import numbers_of_set, validation_sets
from twodasl_jax.experiment.settings.experiment_settings import (
    DataSettings,
    ExperimentSettings,
    SetSettings,
    StageSettings,
    TrainingSettings,
    ValidationSettings,
)
from twodasl_jax.experiment.settings.setting_checks import (
    require_file_name,
    require_one_of,
    require_positive,
    require_unique,
    require_whole,
)
from twodasl_jax.experiment.sources.rendered_data import check_rendered
from twodasl_jax.experiment.sources.validation import PREFIX, check_validation
from twodasl_jax.methods.method import Method, MethodFamily
from twodasl_jax.methods.registry import family_of
from twodasl_jax.metrics.nme import nme_summary
from twodasl_jax.training.best_checkpoint import SIGN
from twodasl_jax.training.fall_back import require_on_damaged

MOST_STEPS = 2**31 - 1
"""They are counted in 32 bits."""

BEFORE = "before"
"""The moment of the first scores: no stage may be called so."""


def check_experiment(config: ExperimentSettings) -> tuple[Stage, ...]:
    """Refuses settings that could not be trained with.

    Args:
      config: an experiment, as ``configs/base.py`` has it.

    Returns:
      Its stages: whether one can be made is found by making it.

    Raises:
      ValueError: one sentence: the setting, its value, what was expected.
    """
    # Networks are begun from 32 bits: with more, two seeds would be one.
    require_whole("seed", config.seed, least=0, most=2**32 - 1)
    _check_data(config.data)
    _check_names([stage.name for stage in config.stages])
    family = family_of(config.method)
    make = functools.partial(family.make, models=config.models, losses=config.losses)
    stages = tuple(_checked_stage(stage, family, make) for stage in config.stages)
    _check_halves(stages, config.data)
    sets = config.evaluation.sets
    _check_training(config.training, _measured(config.data.validation, sets))
    check_evaluation(config.evaluation)
    check_validation(config.data, config.training, sets)
    check_rendered(config.faces)
    return stages


def _check_data(data: DataSettings) -> None:
    if not data.annotated:
        raise ValueError("data.annotated names no source; expected at least one")
    for half, sources in (("annotated", data.annotated), ("in_the_wild", data.in_the_wild)):
        for index, source in enumerate(sources):
            name = f"data.{half}[{index}]"
            if (half, source.kind) == ("annotated", "crops"):
                raise ValueError(
                    f"{name}: crops have 2D landmarks only; name them in data.in_the_wild"
                )
            require_positive(f"{name}.weight", source.weight)
    require_whole("data.annotated_batch_size", data.annotated_batch_size, least=1)
    require_whole("data.in_the_wild_batch_size", data.in_the_wild_batch_size, least=1)
    require_whole("data.num_threads", data.num_threads, least=1)


def _check_names(names: list[str]) -> None:
    if not names:
        raise ValueError("the config has no stages, so there is nothing to train; see configs/")
    require_unique("stages", names)
    for name in names:
        require_file_name("the name of a stage", name)
    if BEFORE in names:
        raise ValueError(f"no stage can be called '{BEFORE}': the first scores are called so")


def _checked_stage(
    stage: StageSettings, family: MethodFamily, make: Callable[..., Method]
) -> Stage:
    title = f"stage '{stage.name}'"
    require_whole(f"num_steps of {title}", stage.num_steps, least=1, most=MOST_STEPS)
    if not stage.loss_weights:
        raise ValueError(f"loss_weights of {title} is empty; expected at least one loss")
    for term, weight in stage.loss_weights.items():
        require_positive(f"loss_weights.{term} of {title}", weight, zero=True)
    for term, steps in stage.ramp_steps.items():
        require_whole(f"ramp_steps.{term} of {title}", steps, least=0, most=MOST_STEPS)
    for name in stage.optimizers:
        require_one_of(f"a network among the optimizers of {title}", name, family.network_names)
    try:
        method, optimizer = make(stage=stage), make_stage_optimizer(stage)
    except ValueError as error:
        raise ValueError(f"{title}: {error}") from error
    missing = [name for name in method.network_names if name not in stage.optimizers]
    if missing:
        raise ValueError(f"the optimizers of {title} leave out {', '.join(missing)}; it trains it")
    return Stage(stage, method, optimizer)


def _check_halves(stages: tuple[Stage, ...], data: DataSettings) -> None:
    for stage in stages:
        if "in_the_wild" in stage.method.reads and not data.in_the_wild:
            raise ValueError(
                f"stage '{stage.name}' has losses on in-the-wild images, and data.in_the_wild "
                "names no source"
            )


def _check_training(training: TrainingSettings, measured: list[str]) -> None:
    require_whole("training.log_every", training.log_every, least=1)
    require_whole("training.checkpoint_every", training.checkpoint_every, least=1)
    require_whole("training.evaluate_every", training.evaluate_every, least=0)
    intervals_of(training)
    require_on_damaged(training.on_damaged_checkpoint)
    if training.max_to_keep is not None:
        require_whole("training.max_to_keep", training.max_to_keep, least=1)
    if training.evaluate_every:
        require_one_of("training.best.mode", training.best.mode, SIGN)
        if measured:  # else `check_validation` says so
            require_one_of("training.best.metric", training.best.metric, measured)


def _measured(validation: ValidationSettings, sets: Iterable[SetSettings]) -> list[str]:
    """All that is measured while training, where no bin is empty."""
    three = nme_summary(np.full(3, 0.1), np.array([15.0, 45.0, 75.0]))
    held_out = [PREFIX + name for name in three if not name.startswith("count")]
    of_sets = [name for chosen in validation_sets(sets) for name in numbers_of_set(chosen)]
    return (held_out if validation.source else []) + of_sets

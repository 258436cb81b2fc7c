"""From a config to objects: the method of a stage and its optimiser.

Only `experiment` and `jobs` read a config; everything below takes plain arguments.
"""

from typing import Any

import optax
from ml_collections import ConfigDict

from twodasl_jax.experiment.settings.setting_checks import make_options
from twodasl_jax.methods.method import Method, MethodFamily
from twodasl_jax.methods.registry import family_of
from twodasl_jax.training.optimizer import OptimizerOptions, make_optimizer


def method_family(config: Any) -> MethodFamily:
    """The method of an experiment.

    Raises:
      ValueError: for an unknown one, listing the choices.
    """
    return family_of(config.get("method", "twodasl"))


def make_method(config: Any, stage: Any) -> Method:
    """The networks of the config with the losses of one of its stages."""
    return method_family(config).make(models=config.models, losses=config.losses, stage=stage)


def make_stage_optimizer(stage: Any) -> optax.GradientTransformation:
    """One `optax.multi_transform` over the stage's networks; a cosine ends with the stage."""
    options = {}
    for network, given in stage.optimizers.items():
        settings = dict(given)
        if settings.get("schedule") == "cosine":
            settings.setdefault("total_steps", stage.num_steps)
        options[network] = make_options(OptimizerOptions, settings, f"optimizers.{network}")
    return make_optimizer(options)


def plain(config: Any) -> Any:
    """A config as nested dicts and lists, for JSON."""
    if isinstance(config, ConfigDict):
        return {key: plain(value) for key, value in config.items()}
    if isinstance(config, dict):
        return {key: plain(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [plain(value) for value in config]
    return config

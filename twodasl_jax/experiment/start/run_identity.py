"""What the numbers of a run mean, and whether another run may go on from them.

Networks of the same shapes can mean different things: a coefficient is one of a face model, a
first layer reads a landmark map or none. What is compared here is that meaning, never a path.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from absl import logging
from rich.console import Console

from twodasl_jax.experiment.run.assembly import make_method
from twodasl_jax.experiment.run.face_model_place import find_face_model
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.settings.experiment_settings import ExperimentSettings
from twodasl_jax.experiment.settings.reading import experiment_settings
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.face_model.model_identity import face_model_identity, require_same_face_model
from twodasl_jax.methods.method import Arrays, MethodFamily
from twodasl_jax.methods.registry import family_of
from twodasl_jax.training.prediction_checkpoint import PredictionCheckpoint, restore_for_prediction
from twodasl_jax.training.state import Networks
from twodasl_jax.training.tree_difference import shapes_by_name

_BATCH_NORM = "models.batch_norm"

_EARLIER_NAMES = {
    "backbone": "models.backbone",
    "landmark_map": "models.landmark_map",
    "batch_norm": _BATCH_NORM,
}
"""Of checkpoints from before the methods had names -> now."""


def run_identity(config: ExperimentSettings, face_model: FaceModel | None) -> dict[str, Any]:
    """What the networks of an experiment read and give, as plain values for a checkpoint.

    Args:
      config: the experiment.
      face_model: whose coefficients they predict; None where they predict none yet.
    """
    identity = None if face_model is None else face_model_identity(face_model)
    return _meaning(config) | {"face_model": identity}


def _meaning(config: ExperimentSettings) -> dict[str, Any]:
    return {"method": config.method} | family_of(config.method).meaning(config.models)


def require_same_arrays(
    family: MethodFamily, saved: Arrays, wanted: Arrays, *, folder: Path
) -> None:
    """Refuses to go on with a run whose annotations or face model changed meanwhile.

    Args:
      family: whose arrays they are.
      saved: of the run's checkpoints.
      wanted: as its data and face model give them now.
      folder: of the run.

    Raises:
      ValueError: naming the first value that differs.
    """
    difference = family.why_other_arrays(saved, wanted)
    if difference is not None:
        raise ValueError(
            f"{folder} was trained with other annotations: {difference}; give it back the data "
            "and the face model that it was trained with, or choose another --workdir"
        )


def starting_checkpoint(
    config: Any, face_model: FaceModel, console: Console
) -> PredictionCheckpoint | None:
    """The networks that an experiment starts from (``init_from``), checked to fit it.

    Args:
      config: the experiment.
      face_model: its own.
      console: told which step it is.

    Returns:
      The checkpoint; None where the experiment starts from random networks.

    Raises:
      FileNotFoundError: where that run has no networks yet.
      ValueError: where they mean something else or have another shape, with both values.
    """
    if not config.init_from:
        return None
    earlier = Workdir(config.init_from)
    earlier_config = earlier.read_config()
    last = earlier_config.stages[-1]
    if not earlier.has_checkpoint(last.name):
        raise FileNotFoundError(
            f"init_from={config.init_from} has no checkpoint of its last stage '{last.name}' yet; "
            f"train it to its end first: python run.py --workdir={config.init_from}"
        )
    checkpoint = restore_for_prediction(earlier.networks(last.name, earlier_config))
    fresh_head = _predicts_nothing_yet(checkpoint)
    checkpoint = _widened(config, checkpoint)
    _require_same_meaning(config, face_model, checkpoint)
    if not fresh_head:
        _require_arrays(config, face_model, checkpoint)
    _require_same_shapes(config, checkpoint)
    console.print(
        f"starting from {config.init_from}: stage {last.name}, step {checkpoint.step:,} of "
        f"{last.num_steps:,}",
        markup=False,
        highlight=False,
    )
    return checkpoint


def _widened(config: ExperimentSettings, checkpoint: PredictionCheckpoint) -> PredictionCheckpoint:
    """With networks that read all that the experiment's do, where theirs read a part of it."""
    saved = _present_names(checkpoint.identity) or _identity_of_an_older_run(
        config.init_from, checkpoint
    )
    networks, meaning = family_of(config.method).widened(
        Networks(checkpoint.params, checkpoint.batch_stats), saved, config.models
    )
    return dataclasses.replace(checkpoint, **networks._asdict(), identity=meaning)


def _predicts_nothing_yet(checkpoint: PredictionCheckpoint) -> bool:
    """Of imported networks with a fresh head: they note that they have no face model."""
    return checkpoint.identity is not None and checkpoint.identity["face_model"] is None


def _require_same_meaning(
    config: Any, face_model: FaceModel, checkpoint: PredictionCheckpoint
) -> None:
    wanted, saved = run_identity(config, face_model), checkpoint.identity or {}
    name = f"init_from={config.init_from}"
    for title in wanted:
        if title not in {"face_model", _BATCH_NORM} and saved.get(title) != wanted[title]:
            raise ValueError(
                f"{name} was trained with {title}={saved.get(title)}, and this experiment has "
                f"{title}={wanted[title]}: its networks do not fit; give both the same, or leave "
                "init_from out (--config.init_from=)"
            )
    if (saved.get(_BATCH_NORM), wanted.get(_BATCH_NORM)) == ("frozen", "train"):
        raise ValueError(
            f"{name} was trained with models.batch_norm=frozen, and this experiment has "
            "models.batch_norm=train: its networks were never normalised by a batch; give "
            "--config.models.batch_norm=frozen, or leave init_from out (--config.init_from=)"
        )
    if saved["face_model"] is None:
        return
    require_same_face_model(
        saved["face_model"],
        wanted["face_model"],
        owner=f"{name} was trained",
        advice="give this experiment that face model (--config.face_model.path=FILE), or leave "
        "init_from out (--config.init_from=)",
    )


def _identity_of_an_older_run(folder: str, checkpoint: PredictionCheckpoint) -> Mapping[str, Any]:
    """From the config, and the face model that its path leads to now, if it does."""
    config = experiment_settings(checkpoint.config, unknown={})
    try:
        face_model, _ = find_face_model(Path(folder), config.face_model.path, identity=None)
    except FileNotFoundError as error:
        logging.warning(
            "init_from=%s carries no identity of its face model, which cannot be compared: %s",
            folder,
            error,
        )
        return _meaning(config) | {"face_model": None}
    return run_identity(config, face_model)


def _present_names(identity: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if identity is None:
        return None
    present = {_EARLIER_NAMES.get(key, key): value for key, value in identity.items()}
    return present | {"method": {"2dasl": "twodasl"}.get(present["method"], present["method"])}


def _require_arrays(
    config: ExperimentSettings, face_model: FaceModel, checkpoint: PredictionCheckpoint
) -> None:
    try:
        family_of(config.method).training_constants(face_model, checkpoint.arrays, config.losses)
    except ValueError as error:
        raise ValueError(f"init_from={config.init_from}: {error}") from error


def _require_same_shapes(config: Any, checkpoint: PredictionCheckpoint) -> None:
    """Compares every network that some stage takes over, without making any."""
    saved = {"params": checkpoint.params, "batch_stats": checkpoint.batch_stats}
    # Networks come and go with the losses of a stage; their shapes never change.
    methods = {made.networks: made for made in (make_method(config, s) for s in config.stages)}
    for method in methods.values():
        params, batch_stats = jax.eval_shape(method.init, jax.random.key(0, impl="rbg"))
        wanted = {"params": params, "batch_stats": batch_stats}
        for group, networks in wanted.items():
            for network in sorted(set(networks) & set(saved[group])):
                there = shapes_by_name({group: {network: saved[group][network]}})
                here = shapes_by_name({group: {network: networks[network]}})
                for name in sorted({*there, *here}):
                    if there.get(name) != here.get(name):
                        raise ValueError(
                            f"the array {name} is {there.get(name, 'absent')} in init_from="
                            f"{config.init_from} and {here.get(name, 'absent')} in this "
                            "experiment; give both the same config.models (backbone, "
                            "encoder_width_divisor, landmark_map), or leave init_from out "
                            "(--config.init_from=)"
                        )

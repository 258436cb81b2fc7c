"""What the numbers of a run mean, and whether another run may go on from them.

Networks of the same shapes can mean different things: a coefficient is one of a face model, a
first layer reads a landmark map or none. What is compared here is that meaning, never a path.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging
from rich.console import Console

from twodasl_jax.coefficients import NUM_COEFFICIENTS, Whitening
from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.experiment.assembly import make_method
from twodasl_jax.experiment.run.face_model_place import find_face_model
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.settings.reading import experiment_settings
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.face_model.model_identity import face_model_identity, require_same_face_model
from twodasl_jax.methods import twodasl
from twodasl_jax.training.prediction_checkpoint import PredictionCheckpoint, restore_for_prediction
from twodasl_jax.training.tree_difference import shapes_by_name

METHOD = "2dasl"

SETTINGS = {
    "method": "method",
    "crop_size": "crop_size",
    "num_coefficients": "num_coefficients",
    "backbone": "models.backbone",
    "landmark_map": "models.landmark_map",
}
"""What must be equal beside the face model -> what it is called in a config or message."""


def run_identity(config: Any, face_model: FaceModel) -> dict[str, Any]:
    """What the networks of an experiment read and give, as plain values for a checkpoint."""
    return _settings(config.models) | {"face_model": face_model_identity(face_model)}


def require_same_whitening(saved: Whitening, wanted: Whitening, *, folder: Path) -> None:
    """Refuses to go on with a run whose annotations or face model statistics changed meanwhile.

    Args:
      saved: of the run's checkpoints.
      wanted: as its data and face model give it now.
      folder: of the run.

    Raises:
      ValueError: naming the first coefficient that differs, with both values.
    """
    for name, there, here in zip(saved._fields, saved, wanted, strict=True):
        there, here = np.asarray(there), np.asarray(here)
        spread = np.maximum(np.asarray(saved.std), np.abs(there))
        # Other processors may sum in another order: some last bits.
        differs = np.flatnonzero(np.abs(there - here) > 1e-4 * spread)
        if len(differs):
            first = int(differs[0])
            raise ValueError(
                f"{folder} was trained with other annotations: the {name} of coefficient {first} "
                f"was {there[first]:.6g} and is {here[first]:.6g} now ({len(differs)} differ); "
                "give it back the data and the face model that it was trained with, or choose "
                "another --workdir"
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
    if checkpoint.whitening is None:
        raise ValueError(
            f"the checkpoint in init_from={config.init_from} has no whitening statistics; its "
            "outputs cannot be read: train it again"
        )
    _require_same_meaning(config, face_model, checkpoint)
    _require_same_shapes(config, checkpoint)
    console.print(
        f"starting from {config.init_from}: stage {last.name}, step {checkpoint.step:,} of "
        f"{last.num_steps:,}",
        markup=False,
        highlight=False,
    )
    return checkpoint


def _require_same_meaning(
    config: Any, face_model: FaceModel, checkpoint: PredictionCheckpoint
) -> None:
    wanted = run_identity(config, face_model)
    saved = checkpoint.identity or _identity_of_an_older_run(config.init_from, checkpoint)
    name = f"init_from={config.init_from}"
    for key, title in SETTINGS.items():
        if saved[key] != wanted[key]:
            raise ValueError(
                f"{name} was trained with {title}={saved[key]}, and this experiment has "
                f"{title}={wanted[key]}: its networks do not fit; give both the same, or leave "
                "init_from out (--config.init_from=)"
            )
    if (saved["batch_norm"], wanted["batch_norm"]) == ("frozen", "train"):
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
        return _settings(config.models) | {"face_model": None}
    return run_identity(config, face_model)


def _settings(models: Any) -> dict[str, Any]:
    return {
        "method": METHOD,
        "crop_size": CROP_SIZE,
        "num_coefficients": NUM_COEFFICIENTS,
        "backbone": models.backbone,
        "landmark_map": bool(models.landmark_map),
        "batch_norm": models.batch_norm,
    }


def _require_same_shapes(config: Any, checkpoint: PredictionCheckpoint) -> None:
    """Compares every network that some stage takes over, without making any."""
    saved = {"params": checkpoint.params, "batch_stats": checkpoint.batch_stats}
    # The critic comes and goes with the losses of a stage; the others' shapes never change.
    stages = {make_method(config, stage).uses("self_critic"): stage for stage in config.stages}
    for stage in stages.values():
        initialise = functools.partial(twodasl.init_networks, make_method(config, stage))
        params, batch_stats = jax.eval_shape(initialise, jax.random.key(0, impl="rbg"))
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

"""What the numbers of a run mean, and whether another run may go on from them.

Networks of the same shapes can mean different things: a coefficient is one of a face model, a
first layer reads a landmark map or none. What is compared here is that meaning, never a path.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import logging
from rich.console import Console

from twodasl_jax.experiment.run.face_model_place import find_face_model
from twodasl_jax.experiment.run.network_files import network_of_file
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.settings.reading import experiment_settings
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.face_model.model_identity import face_model_identity, require_same_face_model
from twodasl_jax.methods.method import Arrays, Method, MethodFamily
from twodasl_jax.methods.registry import family_of
from twodasl_jax.pretrained.names import network_file_named
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


def run_identity(method: str, models: Any, face_model: FaceModel | None) -> dict[str, Any]:
    """What the networks of an experiment read and give, as plain values for a checkpoint.

    Args:
      method: its name.
      models: settings of its networks, of the method's own type.
      face_model: None where it is not to be found, or where they predict no faces yet: its
        identity is None then.
    """
    known = None if face_model is None else face_model_identity(face_model)
    return {"method": method, **family_of(method).meaning(models), "face_model": known}


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
    init_from: str,
    *,
    part: str,
    seed: int,
    identity: Mapping[str, Any],
    models: Any,
    methods: Sequence[Method],
    make_constants: Callable[[Arrays], Any],
    console: Console,
) -> PredictionCheckpoint:
    """The networks that an experiment starts from, checked to fit it.

    Args:
      init_from: folder of their run, or what else names a network (`pretrained.names`).
      part: ``all``, or ``backbone``, from which a network of any face model can start.
      seed: of the experiment: what a fresh head is drawn from.
      identity: of the experiment (`run_identity`).
      models: settings of its networks.
      methods: of its stages.
      make_constants: what its steps read, from the arrays of a checkpoint.
      console: told which step it is.

    Raises:
      FileNotFoundError: where that run has no networks yet, or there is no such network file.
      ValueError: where they mean something else or have another shape, with both values.
    """
    path = network_file_named(init_from)
    checkpoint, told = _of_run(init_from) if path is None else _of_file(path)
    checkpoint = _widened(init_from, checkpoint, identity["method"], models)
    meaning = checkpoint.identity or {}
    if part == "backbone" and meaning["method"] == identity["method"]:
        checkpoint = _without_head(checkpoint, methods[0], seed)
        told += ", the backbone alone"
    predicts_faces = not _predicts_nothing_yet(checkpoint)
    _require_same_meaning(init_from, identity, checkpoint.identity or {})
    if predicts_faces:
        try:
            make_constants(checkpoint.arrays)
        except ValueError as error:
            raise ValueError(f"init_from={init_from}: {error}") from error
    _require_same_shapes(init_from, methods, checkpoint)
    console.print(f"starting from {init_from}: {told}", markup=False, highlight=False)
    return checkpoint


def _of_run(init_from: str) -> tuple[PredictionCheckpoint, str]:
    """The newest networks of a run's last stage, and what is told of them."""
    earlier = Workdir(init_from)
    config = earlier.read_config()
    last = config.stages[-1]
    if not earlier.has_checkpoint(last.name):
        raise FileNotFoundError(
            f"init_from={init_from} has no checkpoint of its last stage '{last.name}' yet; "
            f"train it to its end first: python run.py --workdir={init_from}"
        )
    checkpoint = restore_for_prediction(
        earlier.chosen_checkpoints(last.name, config.training.checkpoint)
    )
    return checkpoint, f"stage {last.name}, step {checkpoint.step:,} of {last.num_steps:,}"


def _of_file(path: Path) -> tuple[PredictionCheckpoint, str]:
    """The networks of a network file, and what is told of them."""
    _, _, network = network_of_file(path)
    checkpoint = PredictionCheckpoint(
        step=network.step,
        params=network.params,
        batch_stats=network.batch_stats,
        settings_json={},
        arrays=network.arrays,
        identity=network.identity,
    )
    return checkpoint, f"stage {network.stage}, step {network.step:,}; licence: {network.licence}"


def _widened(
    init_from: str, checkpoint: PredictionCheckpoint, method: str, models: Any
) -> PredictionCheckpoint:
    """With networks that are all that the experiment's are, where theirs are a part of it."""
    saved = _present_names(checkpoint.identity) or _identity_of_an_older_run(init_from, checkpoint)
    if saved["method"] != method:
        return dataclasses.replace(checkpoint, identity=saved)
    networks, meaning = family_of(method).widened(
        Networks(checkpoint.params, checkpoint.batch_stats), saved, models
    )
    return dataclasses.replace(checkpoint, **networks._asdict(), identity=meaning)


def _without_head(
    checkpoint: PredictionCheckpoint, method: Method, seed: int
) -> PredictionCheckpoint:
    """What predicts no faces yet, and can learn those of any face model."""
    meaning = checkpoint.identity or {}
    fresh = method.init(jax.random.key(seed, impl="rbg"))
    networks = family_of(meaning["method"]).with_fresh_head(
        Networks(checkpoint.params, checkpoint.batch_stats), jax.device_get(fresh)
    )
    return dataclasses.replace(
        checkpoint, **networks._asdict(), arrays={}, identity={**meaning, "face_model": None}
    )


def _predicts_nothing_yet(checkpoint: PredictionCheckpoint) -> bool:
    """Of imported networks with a fresh head: they note that they have no face model."""
    return checkpoint.identity is not None and checkpoint.identity["face_model"] is None


def _require_same_meaning(
    init_from: str, wanted: Mapping[str, Any], saved: Mapping[str, Any]
) -> None:
    name = f"init_from={init_from}"
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
    """From its settings, and the face model that their path leads to now, if it does."""
    settings, face_model = experiment_settings(checkpoint.settings_json, unknown={}), None
    try:
        face_model, _ = find_face_model(Path(folder), settings.face_model.path, identity=None)
    except FileNotFoundError as error:
        logging.warning(
            "init_from=%s carries no identity of its face model, which cannot be compared: %s",
            folder,
            error,
        )
    return run_identity(settings.method, settings.models, face_model)


def _present_names(identity: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if identity is None:
        return None
    present = {_EARLIER_NAMES.get(key, key): value for key, value in identity.items()}
    return present | {"method": {"2dasl": "twodasl"}.get(present["method"], present["method"])}


def _require_same_shapes(
    init_from: str, methods: Sequence[Method], checkpoint: PredictionCheckpoint
) -> None:
    """Compares every network that some stage takes over, without making any."""
    saved = {"params": checkpoint.params, "batch_stats": checkpoint.batch_stats}
    # Networks come and go with the losses of a stage; their shapes never change.
    for method in {made.network_names: made for made in methods}.values():
        params, batch_stats = jax.eval_shape(method.init, jax.random.key(0, impl="rbg"))
        wanted = {"params": params, "batch_stats": batch_stats}
        for group, trees in wanted.items():
            for network in sorted(set(trees) & set(saved[group])):
                there = shapes_by_name({group: {network: saved[group][network]}})
                here = shapes_by_name({group: {network: trees[network]}})
                for name in sorted({*there, *here}):
                    if there.get(name) != here.get(name):
                        raise ValueError(
                            f"the array {name} is {there.get(name, 'absent')} in init_from="
                            f"{init_from} and {here.get(name, 'absent')} in this "
                            "experiment; give both the same config.models (backbone, "
                            "encoder_width_divisor, landmark_map), or leave init_from out "
                            "(--config.init_from=)"
                        )

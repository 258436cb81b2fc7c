"""Begins a run, or goes on with one: everything is checked before anything is written."""

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from twodasl_jax.data.mirrored_faces import CoefficientMirror
from twodasl_jax.evaluation.sets import EvaluationSet
from twodasl_jax.experiment.run.assembly import crop_size_of
from twodasl_jax.experiment.run.face_model_place import find_face_model, read_place, write_place
from twodasl_jax.experiment.run.folder_lock import hold_folder
from twodasl_jax.experiment.run.imported import require_not_imported
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.scores.evaluation import make_evaluation_sets, open_given_sets
from twodasl_jax.experiment.sources.inputs import require_inputs
from twodasl_jax.experiment.sources.training_data import (
    Sources,
    annotated_coefficients,
    make_coefficient_mirror,
    make_sources,
    open_given_sources,
)
from twodasl_jax.experiment.sources.validation import (
    ValidationFaces,
    check_number_of_faces,
    hold_out_validation,
)
from twodasl_jax.experiment.start.experiment_checks import BEFORE, check_experiment
from twodasl_jax.experiment.start.run_identity import (
    require_same_arrays,
    run_identity,
    starting_checkpoint,
)
from twodasl_jax.face_model.albedo import with_colours
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.model import OPEN_FACE_FILE, FaceModel
from twodasl_jax.methods.method import Arrays
from twodasl_jax.methods.registry import family_of
from twodasl_jax.training import parallel
from twodasl_jax.training.prediction_checkpoint import PredictionCheckpoint
from twodasl_jax.training.saved_description import SavedDescription, newest_description
from twodasl_jax.training.state import Networks

HELD = "trains this run"


@dataclasses.dataclass(frozen=True)
class Run:
    """Everything that the stages of one run share.

    Attributes:
      workdir: of the run.
      config: the experiment.
      identity: what its numbers mean (`run_identity`); travels with every checkpoint.
      face_model: with colours.
      arrays: the method's own; travel with every checkpoint.
      sources: training data, without the faces to validate with.
      coefficient_mirror: flips annotated faces; None leaves them.
      validation_faces: held out; None without validation.
      sets: to be scored on.
      console: where progress is shown.
    """

    workdir: Workdir
    config: Any
    identity: Mapping[str, Any]
    face_model: FaceModel
    arrays: Arrays
    sources: Sources
    coefficient_mirror: CoefficientMirror | None
    validation_faces: ValidationFaces | None
    sets: tuple[EvaluationSet, ...]
    console: Console


def start_run(
    config: Any,
    workdir: Workdir,
    console: Console,
    *,
    face_model: str | None,
    held: contextlib.ExitStack,
) -> tuple[Run, Networks | None]:
    """Checks all settings and inputs, then makes the folder a run and renders what is missing.

    Args:
      config: the experiment; None is the one in the folder.
      workdir: of the run.
      console: where progress is shown.
      face_model: where the face model lies, before what the config says.
      held: takes the lock of the folder.

    Returns:
      The run, and the networks that its first stage starts from; None for random ones.

    Raises:
      FileNotFoundError, ValueError: one sentence; a run that cannot begin leaves nothing behind.
    """
    if workdir.folder.exists():
        _hold(workdir.folder, held)
    require_not_imported(workdir.folder)
    config = workdir.settle_config(config)
    if face_model is not None:
        place = dataclasses.replace(config.face_model, path=face_model)
        config = dataclasses.replace(config, face_model=place)
    check_experiment(config)
    resumed = workdir.has_checkpoint(config.stages[0].name)
    saved = _saved_description(workdir, config) if resumed else None
    if saved is not None:
        workdir.require_trained_with(saved.config, config)
    model, place = _find_face_model(workdir, config, saved, resumed=resumed, given=face_model)
    require_inputs(config, resumed=resumed)
    family = family_of(config.method)
    family.require_fit(model, config.losses)
    given, given_sets = open_given_sources(config, model), open_given_sets(config)
    check_number_of_faces(config, given)
    scored = BEFORE in workdir.read_results()["evaluations"] or not config.evaluation.sets
    first = None if resumed and scored else starting_checkpoint(config, model, console)
    if not workdir.folder.exists():
        _hold(workdir.folder, held)
        workdir.settle_config(config)  # somebody else's run may have begun meanwhile
    identity = run_identity(config, model)
    workdir.save_config(config)
    write_place(workdir.folder, config.face_model.path, place, identity["face_model"])
    model = with_colours(model)
    sources = make_sources(config, workdir.folder, model, console, given, may_replace=not resumed)
    sources, faces = hold_out_validation(config, sources)
    sets = make_evaluation_sets(config, workdir.folder, model, console, given_sets)
    coefficients = annotated_coefficients(sources, crop_size=crop_size_of(config))
    fitted = family.fit_arrays(model, coefficients)
    if saved is not None and saved.arrays and not config.init_from:
        require_same_arrays(family, saved.arrays, fitted, folder=workdir.folder)
    arrays = _arrays_to_use(fitted, saved, first)
    mirror = make_coefficient_mirror(config, model, console)
    run = Run(workdir, config, identity, model, arrays, sources, mirror, faces, sets, console)
    return run, None if first is None else Networks(first.params, first.batch_stats)


def _arrays_to_use(
    fitted: Arrays, saved: SavedDescription | None, first: PredictionCheckpoint | None
) -> Arrays:
    """Those of a run that goes on; else of the run it starts from, if any; else its data's."""
    if saved is not None and saved.arrays:
        return saved.arrays
    return fitted if first is None or not first.arrays else first.arrays


def _hold(folder: Path, held: contextlib.ExitStack) -> None:
    # The processes of one run share its folder, and the first of them writes.
    if parallel.is_primary_process():
        held.enter_context(hold_folder(folder, doing=HELD))


def _saved_description(workdir: Workdir, config: Any) -> SavedDescription | None:
    return newest_description(workdir.checkpoints(workdir.newest_stage(config).name))


def _find_face_model(
    workdir: Workdir,
    config: Any,
    saved: SavedDescription | None,
    *,
    resumed: bool,
    given: str | None,
) -> tuple[FaceModel, Path]:
    path, folder = config.face_model.path, workdir.folder
    if not resumed:
        place = Path(path) if path else OPEN_FACE_FILE
        if not place.exists():
            require_inputs(config)  # names it, and all else that is missing
        return face_model_from_file(place), place
    if given is None and path != workdir.read_config().face_model.path:
        given = path or str(OPEN_FACE_FILE)
    if saved is not None and saved.identity is not None:
        identity = saved.identity["face_model"]
    else:
        identity = (read_place(folder) or {}).get("identity")
    return find_face_model(folder, path, identity=identity, given=given)

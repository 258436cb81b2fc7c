"""Begins a run, or goes on with one: everything is checked before anything is written.

This is the one place where an experiment's settings are taken apart: what follows gets plain
arguments, or the one group that it is about.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from twodasl_jax.data.mirrored_faces import CoefficientMirror
from twodasl_jax.evaluation.sets import EvaluationSet
from twodasl_jax.experiment.run.assembly import Stage
from twodasl_jax.experiment.run.face_model_place import find_face_model, read_place, write_place
from twodasl_jax.experiment.run.folder_lock import hold_folder
from twodasl_jax.experiment.run.imported import require_not_imported
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.scores.evaluation import make_evaluation_sets, open_given_sets
from twodasl_jax.experiment.settings.experiment_settings import (
    DataSettings,
    EvaluationSettings,
    ExperimentSettings,
    TrainingSettings,
)
from twodasl_jax.experiment.settings.reading import plain
from twodasl_jax.experiment.sources.inputs import require_inputs
from twodasl_jax.experiment.sources.rendered_data import ensure_rendered
from twodasl_jax.experiment.sources.training_data import (
    Given,
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
from twodasl_jax.face_model.model import FaceModel, face_model_path
from twodasl_jax.methods.method import Arrays, MethodFamily
from twodasl_jax.methods.registry import family_of
from twodasl_jax.training import parallel
from twodasl_jax.training.prediction_checkpoint import PredictionCheckpoint
from twodasl_jax.training.run_description import RunDescription
from twodasl_jax.training.saved_description import newest_description
from twodasl_jax.training.state import Networks

HELD = "trains this run"


@dataclasses.dataclass(frozen=True)
class Run:
    """An experiment taken apart, and all that its stages share.

    Attributes:
      workdir: of the run.
      console: where progress is shown.
      seed: of the experiment.
      stages: in order.
      data: settings of the training data.
      training: how often what is done, and what is kept.
      evaluation: how the networks are scored.
      description: travels with every checkpoint.
      family: of the method.
      face_model: with colours.
      constants: what a step reads besides state and batch.
      sources: training data, without the faces to validate with.
      coefficient_mirror: flips annotated faces; None leaves them.
      validation_faces: held out; None without validation.
      sets: to be scored on.
    """

    workdir: Workdir
    console: Console
    seed: int
    stages: tuple[Stage, ...]
    data: DataSettings
    training: TrainingSettings
    evaluation: EvaluationSettings
    description: RunDescription
    family: MethodFamily
    face_model: FaceModel
    constants: Any
    sources: Sources
    coefficient_mirror: CoefficientMirror | None
    validation_faces: ValidationFaces | None
    sets: tuple[EvaluationSet, ...]


class _Checked(NamedTuple):
    """What was made and opened to find out whether a run can begin or go on."""

    stages: tuple[Stage, ...]
    family: MethodFamily
    face_model: FaceModel  # as it lies in its file, which has no colours perhaps
    place: Path
    identity: Mapping[str, Any]
    resumed: bool
    saved: RunDescription | None  # of the newest checkpoint
    first: PredictionCheckpoint | None  # where the first stage starts, if it is still to be
    sources: Given
    sets: Mapping[str, EvaluationSet]


def start_run(
    config: ExperimentSettings | None,
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
    checked = _check(config, workdir, console, face_model=face_model)
    if not workdir.folder.exists():
        _hold(workdir.folder, held)
        workdir.settle_config(config)  # somebody else's run may have begun meanwhile
    workdir.save_config(config)
    path = config.face_model.path
    write_place(workdir.folder, path, checked.place, checked.identity["face_model"])
    first = checked.first
    networks = None if first is None else Networks(first.params, first.batch_stats)
    return _make_run(config, workdir, console, checked), networks


def _check(
    config: ExperimentSettings, workdir: Workdir, console: Console, *, face_model: str | None
) -> _Checked:
    stages, family = check_experiment(config), family_of(config.method)
    resumed = workdir.has_checkpoint(stages[0].name)
    saved = None
    if resumed:
        saved = newest_description(workdir.checkpoints(workdir.newest_stage(config.stages)))
    if saved is not None:
        workdir.require_trained_with(saved.settings_json, config)
    path, init_from = config.face_model.path, config.init_from
    require_inputs(config.faces, face_model=path, init_from=init_from, resumed=resumed)
    model, place = _find_face_model(workdir, path, saved, resumed=resumed, given=face_model)
    identity = run_identity(config.method, config.models, model)
    family.require_fit(model, config.losses)
    sources = open_given_sources(config.data, model)
    sets = open_given_sets(config.evaluation.sets)
    check_number_of_faces(config.data, sources)
    scored = BEFORE in workdir.read_results()["evaluations"] or not config.evaluation.sets
    first = None
    if init_from and not (resumed and scored):
        first = starting_checkpoint(
            init_from,
            part=config.init_part,
            seed=config.seed,
            identity=identity,
            models=config.models,
            methods=[stage.method for stage in stages],
            make_constants=lambda arrays: family.training_constants(model, arrays, config.losses),
            console=console,
        )
    return _Checked(stages, family, model, place, identity, resumed, saved, first, sources, sets)


def _make_run(
    config: ExperimentSettings, workdir: Workdir, console: Console, checked: _Checked
) -> Run:
    family, model, saved = checked.family, with_colours(checked.face_model), checked.saved
    data, crop_size = config.data, checked.stages[0].method.crop_size
    render = functools.partial(
        ensure_rendered, workdir.folder, face_model=model, console=console, crop_size=crop_size
    )
    # Over the faces that a run was trained with none are rendered.
    render_source = functools.partial(render, may_replace=not checked.resumed)
    sources = make_sources(data, checked.sources, render=render_source)
    sources, faces = hold_out_validation(data, sources, crop_size=crop_size)
    sets = make_evaluation_sets(config.evaluation.sets, checked.sets, render=render)
    fitted = family.fit_arrays(model, annotated_coefficients(sources, crop_size=crop_size))
    if saved is not None and saved.arrays and not config.init_from:
        require_same_arrays(family, saved.arrays, fitted, folder=workdir.folder)
    arrays = _arrays_to_use(fitted, saved, checked.first)
    return Run(
        workdir=workdir,
        console=console,
        seed=config.seed,
        stages=checked.stages,
        data=data,
        training=config.training,
        evaluation=config.evaluation,
        description=RunDescription(plain(config), arrays, checked.identity),
        family=family,
        face_model=model,
        constants=family.training_constants(model, arrays, config.losses),
        sources=sources,
        coefficient_mirror=make_coefficient_mirror(data, model, console),
        validation_faces=faces,
        sets=sets,
    )


def _arrays_to_use(
    fitted: Arrays, saved: RunDescription | None, first: PredictionCheckpoint | None
) -> Arrays:
    """Those of a run that goes on; else of the run it starts from, if any; else its data's."""
    if saved is not None and saved.arrays:
        return saved.arrays
    return fitted if first is None or not first.arrays else first.arrays


def _hold(folder: Path, held: contextlib.ExitStack) -> None:
    # The processes of one run share its folder, and the first of them writes.
    if parallel.is_primary_process():
        held.enter_context(hold_folder(folder, doing=HELD))


def _find_face_model(
    workdir: Workdir,
    path: str,
    saved: RunDescription | None,
    *,
    resumed: bool,
    given: str | None,
) -> tuple[FaceModel, Path]:
    folder = workdir.folder
    if not resumed:
        place = face_model_path(path)
        return face_model_from_file(place), place
    if given is None and path != workdir.read_config().face_model.path:
        given = str(face_model_path(path))
    if saved is not None and saved.identity is not None:
        identity = saved.identity["face_model"]
    else:
        identity = (read_place(folder) or {}).get("identity")
    return find_face_model(folder, path, identity=identity, given=given)

"""The evaluation sets of a config, and networks scored on them at the moments of a run."""

import functools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from twodasl_jax.evaluation.benchmark_kinds import BENCHMARKS
from twodasl_jax.evaluation.labelled_crops import with_fits
from twodasl_jax.evaluation.network_input import InputSources
from twodasl_jax.evaluation.sets import EvaluationSet
from twodasl_jax.experiment.run.assembly import crop_size_of
from twodasl_jax.experiment.run.trained import TrainedRun
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.scores import report
from twodasl_jax.experiment.scores.benchmark_predictions import (
    make_input,
    make_predictor,
    predict_input,
)
from twodasl_jax.experiment.settings.setting_checks import (
    require_file_name,
    require_one_of,
    require_unique,
    require_whole,
)
from twodasl_jax.experiment.sources.rendered_data import ensure_rendered
from twodasl_jax.face_model.model import FaceModel

_logger = logging.getLogger(__name__)

SET_BENCHMARKS = {"rendered": "rendered", "aflw2000": "aflw2000_3d", "crops": "aflw"}
"""``kind`` of an evaluation set -> the benchmark that it is."""

MAP_SOURCES = {"none": "none", "detector": "file"}
"""``landmark_map_source`` of a set -> of a benchmark: ``detector`` is the one whose detections came
with the set."""


def check_evaluation(config: Any) -> None:
    """Refuses evaluation settings that could not be scored with.

    Raises:
      ValueError: as `check_experiment`.
    """
    evaluation = config.evaluation
    require_whole("evaluation.batch_size", evaluation.batch_size, least=1)
    require_one_of("evaluation.num_passes", evaluation.num_passes, (1, 2))
    require_unique("evaluation.sets", [chosen.name for chosen in evaluation.sets])
    for chosen in evaluation.sets:
        require_file_name("the name of an evaluation set", chosen.name)


def open_given_sets(config: Any) -> dict[str, EvaluationSet]:
    """The evaluation sets of a config that must be there already, by name.

    Raises:
      FileNotFoundError, ValueError: for a set that is absent or damaged.
    """
    return {
        chosen.name: _open_set(chosen, Path(chosen.path).expanduser())
        for chosen in config.evaluation.sets
        if chosen.kind != "rendered"
    }


def make_evaluation_sets(
    config: Any,
    workdir: Path,
    face_model: FaceModel,
    console: Console,
    given: Mapping[str, EvaluationSet],
) -> tuple[EvaluationSet, ...]:
    """All evaluation sets of a config; what it renders is rendered now.

    Args:
      config: the experiment.
      workdir: of the run; rendered faces lie there.
      face_model: to render with.
      console: where progress is shown.
      given: from `open_given_sets`.
    """
    render = functools.partial(
        ensure_rendered,
        workdir,
        face_model=face_model,
        console=console,
        crop_size=crop_size_of(config),
    )
    return tuple(
        given[chosen.name] if chosen.name in given else _open_set(chosen, render(chosen))
        for chosen in config.evaluation.sets
    )


def _open_set(chosen: Any, folder: Path) -> EvaluationSet:
    kind = SET_BENCHMARKS[chosen.kind]
    benchmark = BENCHMARKS[kind].open(folder, Console(quiet=True))
    for note in benchmark.notes:
        _logger.warning(note)
    if chosen.kind == "crops" and chosen.fits:
        benchmark = with_fits(benchmark, Path(chosen.fits).expanduser())
    count, of_2000 = len(benchmark), chosen.kind == "aflw2000"
    map_source = MAP_SOURCES[chosen.landmark_map_source] if of_2000 else "none"
    if map_source == "file" and benchmark.published_detections is None:
        raise ValueError(
            f"{folder}/annotations.npz has no detected_landmarks_crop_px; "
            "set landmark_map_source='none'"
        )
    images = {
        "rendered": lambda: f"{count} renders of other faces, seed {chosen.seed}",
        "aflw2000": lambda: f"{count} of AFLW2000-3D",
        "crops": lambda: f"{count} labelled crops",
    }
    return EvaluationSet(chosen.name, benchmark, images[chosen.kind](), map_source)


def evaluate_networks(
    workdir: Workdir,
    trained: TrainedRun,
    sets: tuple[EvaluationSet, ...],
    console: Console,
    *,
    moment: str,
) -> None:
    """Scores all sets at one moment of a run; writes results.json and per-image files.

    Args:
      workdir: of the run.
      trained: its networks at that moment; its config says how they predict.
      sets: what to score on.
      console: where progress is shown.
      moment: ``before``, or the name of the stage just trained.
    """
    evaluation, step, entries = trained.config.evaluation, trained.step, {}
    predictor = make_predictor(trained, batch_size=evaluation.batch_size)
    for chosen in sets:
        with console.status(f"scoring {chosen.name} ({moment})"):
            _, inputs, conventions = make_input(
                chosen.benchmark,
                InputSources(landmark_map_source=chosen.landmark_map_source),
                num_passes=evaluation.num_passes,
                crop_size=trained.method.crop_size,
                console=console,
            )
            predictions = predict_input(trained, predictor, inputs, conventions)
            nme, results = report.score_set(chosen.benchmark, predictions)
        results["system"] = {"moment": moment, "step": step}
        report.write_scores(workdir, moment, chosen, predictions, nme, results)
        entries[chosen.name] = report.entry_of(chosen, results, step=step)
    workdir.add_result("evaluations", moment, entries)

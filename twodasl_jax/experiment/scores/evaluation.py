"""The evaluation sets of an experiment, and networks scored on them at the moments of a run."""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from rich.console import Console

from twodasl_jax.evaluation.benchmark_kinds import BENCHMARKS
from twodasl_jax.evaluation.labelled_crops import with_fits
from twodasl_jax.evaluation.network_input import InputSources
from twodasl_jax.evaluation.sets import EvaluationSet
from twodasl_jax.experiment.run.trained import TrainedRun
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.scores import report
from twodasl_jax.experiment.scores.benchmark_predictions import (
    make_input,
    make_predictor,
    predict_input,
)
from twodasl_jax.experiment.settings.experiment_settings import (
    EvaluationSettings,
    RenderedSettings,
    SetSettings,
)
from twodasl_jax.experiment.settings.setting_checks import (
    require_file_name,
    require_one_of,
    require_unique,
    require_whole,
)

_logger = logging.getLogger(__name__)

SET_BENCHMARKS = {"rendered": "rendered", "aflw2000": "aflw2000_3d", "crops": "aflw"}
"""``kind`` of an evaluation set -> the benchmark that it is."""

MAP_SOURCES = {"none": "none", "detector": "file"}
"""``landmark_map_source`` of a set -> of a benchmark: ``detector`` is the one whose detections came
with the set."""


def check_evaluation(evaluation: EvaluationSettings) -> None:
    """Refuses evaluation settings that could not be scored with.

    Raises:
      ValueError: as `check_experiment`.
    """
    require_whole("evaluation.batch_size", evaluation.batch_size, least=1)
    require_one_of("evaluation.num_passes", evaluation.num_passes, (1, 2))
    require_unique("evaluation.sets", [chosen.name for chosen in evaluation.sets])
    for chosen in evaluation.sets:
        require_file_name("the name of an evaluation set", chosen.name)


def open_given_sets(sets: Iterable[SetSettings]) -> dict[str, EvaluationSet]:
    """The evaluation sets that must be there already, by name.

    Raises:
      FileNotFoundError, ValueError: for a set that is absent or damaged.
    """
    return {
        chosen.name: _open_set(chosen, Path(chosen.path).expanduser())
        for chosen in sets
        if chosen.kind != "rendered"
    }


def make_evaluation_sets(
    sets: Iterable[SetSettings],
    given: Mapping[str, EvaluationSet],
    *,
    render: Callable[[RenderedSettings], Path],
) -> tuple[EvaluationSet, ...]:
    """All evaluation sets of an experiment; what it renders is rendered now.

    Args:
      sets: the experiment's.
      given: from `open_given_sets`.
      render: gives the folder of a rendered set (`ensure_rendered`).
    """
    return tuple(
        _open_set(chosen, render(chosen)) if chosen.kind == "rendered" else given[chosen.name]
        for chosen in sets
    )


def _open_set(chosen: SetSettings, folder: Path) -> EvaluationSet:
    kind = SET_BENCHMARKS[chosen.kind]
    benchmark = BENCHMARKS[kind].open(folder, Console(quiet=True))
    for note in benchmark.notes:
        _logger.warning(note)
    count = len(benchmark)
    if chosen.kind == "rendered":
        images = f"{count} renders of other faces, seed {chosen.seed}"
        return EvaluationSet(chosen.name, benchmark, images, "none")
    if chosen.kind == "crops":
        if chosen.fits:
            benchmark = with_fits(benchmark, Path(chosen.fits).expanduser())
        return EvaluationSet(chosen.name, benchmark, f"{count} labelled crops", "none")
    map_source = MAP_SOURCES[chosen.landmark_map_source]
    if map_source == "file" and benchmark.published_detections is None:
        raise ValueError(
            f"{folder}/annotations.npz has no detected_landmarks_crop_px; "
            "set landmark_map_source='none'"
        )
    return EvaluationSet(chosen.name, benchmark, f"{count} of AFLW2000-3D", map_source)


def evaluate_networks(
    workdir: Workdir,
    trained: TrainedRun,
    sets: tuple[EvaluationSet, ...],
    console: Console,
    *,
    moment: str,
    evaluation: EvaluationSettings,
) -> None:
    """Scores all sets at one moment of a run; writes results.json and per-image files.

    Args:
      workdir: of the run.
      trained: its networks at that moment.
      sets: what to score on.
      console: where progress is shown.
      moment: ``before``, or the name of the stage just trained.
      evaluation: how the networks predict.
    """
    step, entries = trained.step, {}
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

"""What a run leaves to look at: scores per image, curves, faces and the table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from twodasl_jax.evaluation.benchmark import Benchmark, CannotMeasureError, Predictions
from twodasl_jax.evaluation.benchmark_kinds import BENCHMARKS
from twodasl_jax.evaluation.benchmark_metrics import MANUAL, scored_labels, with_21
from twodasl_jax.evaluation.benchmark_report import results_of, roll_column, write_faces
from twodasl_jax.evaluation.loss_curves import write_loss_curves
from twodasl_jax.evaluation.pictures import write_error_curve
from twodasl_jax.evaluation.report import nme_table, write_per_image, write_results
from twodasl_jax.evaluation.sets import EvaluationSet
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.settings.reading import plain
from twodasl_jax.replaced_files import finish_replacing, replaced_files
from twodasl_jax.training.writers import read_metrics
from twodasl_jax.user_files.arrays import numbers_of, read_npz
from twodasl_jax.user_files.json_file import read_json

METRICS = ("landmarks68_2d", "visible_2d")
"""What a run's networks are scored by on their way, where a benchmark has it; its other metrics are
computed when it is scored by itself."""

MARKER = "results.json"
"""The last of a set's files: it says that the others are there."""


def score_set(
    benchmark: Benchmark, predictions: Predictions
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Scores a set's landmarks against each of its label sets.

    Returns:
      Label set -> ``(n,)`` NME per face, fractions, NaN where a face has no labels; and the result
      as `results_of` gives it.

    Raises:
      CannotMeasureError: where no face has all labels of any set.
    """
    kind, labels = BENCHMARKS[benchmark.name], labels_of(benchmark)
    if not labels:
        raise CannotMeasureError("no face has all of its 68 labels")
    errors = {
        metric: kind.metrics[metric](benchmark, predictions)
        for metric in METRICS
        if metric in labels.values()
    }
    nme = {label: errors[metric][label] for label, metric in labels.items()}
    return nme, results_of(kind, benchmark, predictions, errors)


def labels_of(benchmark: Benchmark) -> dict[str, str]:
    """Label sets that a set is scored against -> the metric that they are of."""
    labels = dict.fromkeys(scored_labels(benchmark), METRICS[0])
    return labels | ({MANUAL: METRICS[1]} if MANUAL in benchmark.truth else {})


def write_scores(
    workdir: Workdir,
    moment: str,
    chosen: EvaluationSet,
    predictions: Predictions,
    nme: Mapping[str, np.ndarray],
    results: Mapping[str, Any],
) -> None:
    """Writes ``per_image.csv``, the predicted landmarks and ``results.json`` of one evaluation.

    The last has what a benchmark's has, to be compared with these.
    """
    benchmark = chosen.benchmark
    with replaced_files(workdir.evaluation(moment, chosen.name), marker=MARKER) as unfinished:
        write_per_image(
            unfinished / "per_image.csv",
            benchmark.file_names,
            benchmark.yaw_degrees,
            roll_column(benchmark)
            | {f"nme_{label}_percent": 100 * values for label, values in nme.items()},
        )
        np.savez_compressed(
            unfinished / "predictions.npz",
            file_name=np.array(benchmark.file_names),
            landmarks=predictions.landmarks_px[..., :2],
            **{f"nme_{label}": values for label, values in nme.items()},  # pyright: ignore[reportArgumentType]
            **predictions.conventions,  # pyright: ignore[reportArgumentType]
        )
        write_results(unfinished / MARKER, results)


def entry_of(chosen: EvaluationSet, results: Mapping[str, Any], *, step: int) -> dict[str, Any]:
    """What the run's own ``results.json`` says of one evaluation: in short, what a reader asks."""
    named = ("crop_source", "landmark_map_source", "yaw_source")
    return {
        "step": step,
        "conventions": {
            "images": chosen.images,
            **{name: results["conventions"][name] for name in named},
        },
        "metrics": {
            label: results["metrics"][metric][label]
            for label, metric in labels_of(chosen.benchmark).items()
        },
    }


def result_files(path: Path, *, set_name: str | None = None) -> list[Path]:
    """The scores that a ``results.json`` stands for: a benchmark's for itself.

    Args:
      path: of a benchmark's, or of a training run's: that stands for its sets at the newest moment.
      set_name: of a training run's, this one of the sets alone.

    Raises:
      FileNotFoundError, OSError: where it cannot be read, or the run's scores were written before
        they could be compared.
      ValueError: where it is no such file, or the run has no scores, or not on that set.
    """
    if "evaluations" not in read_json(path, expected="expected the results.json of a score"):
        return [path]
    workdir = Workdir(path.parent)
    moments = workdir.read_results()["evaluations"]
    if not moments or not isinstance(moments[list(moments)[-1]], dict):
        raise ValueError(f"{path} has no scores yet: --mode=evaluate --workdir={path.parent}")
    moment = list(moments)[-1]
    names = [name for name in moments[moment] if set_name in (None, name)]
    if not names:
        raise ValueError(
            f"{path} has no scores on a set '{set_name}'; choose one of "
            f"{', '.join(moments[moment])}"
        )
    files = [workdir.evaluation(moment, name) / MARKER for name in names]
    for file in files:
        finish_replacing(file.parent, marker=MARKER)
        if not file.exists():
            raise FileNotFoundError(
                f"no {file}: an earlier version of this package scored the run; score it again: "
                f"--mode=evaluate --workdir={path.parent}"
            )
    return files


def settings_of(path: Path) -> dict[str, Any]:
    """What the networks behind a ``results.json`` were trained with, to tell seeds apart.

    Args:
      path: from `result_files`.

    Returns:
      The run's settings, plain: what it started from by the settings of that run; and
      ``scored``, the stage or moment.

    Raises:
      ValueError: where the score is not of a trained run.
    """
    system = read_json(path, expected="expected the results.json of a score").get("system", {})
    settings = system.get("config")
    if settings is None and "moment" in system:
        settings = plain(Workdir(path.parents[3]).read_config())
    if settings is None:
        raise ValueError(f"{path} is of no trained run: it has no seed; leave --over_seeds out")
    return _by_origin(settings) | {"scored": system.get("moment", system.get("stage"))}


def _by_origin(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, with those of the run that they start from in place of its path."""
    origin = Workdir(settings["init_from"]) if settings["init_from"] else None
    if origin is None or not (origin.folder / "config.json").exists():
        return dict(settings)
    earlier = _by_origin(plain(origin.read_config()))
    # Its seed is told apart by the later run's own.
    return {**settings, "init_from": {name: earlier[name] for name in earlier if name != "seed"}}


def write_pictures(workdir: Workdir, stages: Sequence[str], sets: Sequence[EvaluationSet]) -> None:
    """Loss curves of the stages; for each set and label set its error curves and its faces."""
    logged = {
        stage: read_metrics(workdir.logs(stage)) for stage in stages if workdir.logs(stage).is_dir()
    }
    if any(logged.values()):
        write_loss_curves(
            workdir.folder / "loss_curves.png", logged, title=f"training, {workdir.folder.name}"
        )
    moments = workdir.read_results()["evaluations"]
    for chosen in sets:
        saved = {}
        for moment in moments:
            if chosen.name in moments[moment]:
                saved[moment] = _read_scores(workdir, moment, chosen)
        newest = list(saved)[-1]
        for label in labels_of(chosen.benchmark):
            title = f"{chosen.name}, {label} labels"
            write_error_curve(
                workdir.folder / f"error_curve_{chosen.name}_{label}.png",
                {
                    moment: arrays[f"nme_{label}"][np.isfinite(arrays[f"nme_{label}"])]
                    for moment, arrays in saved.items()
                },
                title=title,
            )
            landmarks = saved[newest]["landmarks"]
            write_faces(
                workdir.folder / f"faces_{chosen.name}_{label}.png",
                chosen.benchmark,
                with_21(landmarks) if label == MANUAL else landmarks,
                true=chosen.benchmark.truth[label],
                nme=saved[newest][f"nme_{label}"],
                title=f"{title}, {newest}",
            )


def _read_scores(workdir: Workdir, moment: str, chosen: EvaluationSet) -> dict[str, np.ndarray]:
    """What `write_scores` wrote of a set at a moment of the run."""
    folder, count = workdir.evaluation(moment, chosen.name), len(chosen.benchmark)
    finish_replacing(folder, marker=MARKER)
    path = folder / "predictions.npz"
    arrays = read_npz(path, expected="expected scores of this run: evaluate it again")
    numbers_of(path, arrays, "landmarks", (count, 68, 2))
    for label in labels_of(chosen.benchmark):
        numbers_of(path, arrays, f"nme_{label}", (count,))
    return arrays


def print_table(workdir: Workdir, console: Console) -> None:
    """The scores of all moments of a run, and how long its stages took."""
    results = workdir.read_results()
    tables: dict[tuple[str, str], dict[tuple[str, ...], Mapping[str, float]]] = {}
    for moment, sets in results["evaluations"].items():
        for name, entry in sets.items():
            for label, metrics in entry["metrics"].items():
                tables.setdefault((name, label), {})[(moment,)] = metrics
    for (name, label), rows in tables.items():
        box = "the face" if label == MANUAL else "the true 68-point box"
        console.print(nme_table(rows, title=f"{name}, {label} labels", box=box))
    for stage, entry in results["stages"].items():
        console.print(f"{stage}: {entry['steps']} steps, {entry['seconds']:.0f} s")
    console.print(f"everything is in {workdir.folder}")

"""Scores a trained run, or a predictions file of any system, on one benchmark."""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from twodasl_jax.evaluation.benchmark import Benchmark, CannotMeasureError, Predictions
from twodasl_jax.evaluation.benchmark_kinds import BenchmarkKind
from twodasl_jax.evaluation.benchmark_metrics import (
    Errors,
    known_meshes,
    require_annotated_model,
)
from twodasl_jax.evaluation.benchmark_report import (
    per_image_columns,
    print_summaries,
    results_of,
    write_pictures,
)
from twodasl_jax.evaluation.predictions_file import (
    read_available_predictions,
    read_predictions,
    write_predictions,
)
from twodasl_jax.evaluation.report import write_per_image, write_results
from twodasl_jax.experiment.run.provenance import git_revision, sha256_of
from twodasl_jax.experiment.run.trained import TrainedRun, open_trained
from twodasl_jax.experiment.scores.benchmark_checks import (
    RESULT_FILES,
    check_settings,
    input_sources,
    open_benchmark,
    own_conventions,
)
from twodasl_jax.experiment.scores.benchmark_predictions import predict_benchmark
from twodasl_jax.experiment.settings.benchmark_settings import BenchmarkSettings
from twodasl_jax.experiment.settings.reading import plain
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.replaced_files import replaced_files


class Predicted(NamedTuple):
    """One system's predictions on a benchmark.

    Attributes:
      benchmark: without the faces that are not scored.
      predictions: of the others.
      system: what was scored, for ``results.json``.
      counts: speed and empty maps of a trained run's prediction.
    """

    benchmark: Benchmark
    predictions: Predictions
    system: Mapping[str, Any]
    counts: Mapping[str, float]


class Measured(NamedTuple):
    """Metrics of one system.

    Attributes:
      errors: metric -> errors per face.
      not_computed: metric -> why not.
      seconds: metric -> how long it took.
    """

    errors: dict[str, Errors]
    not_computed: dict[str, str]
    seconds: dict[str, float]


def score_benchmark(
    settings: BenchmarkSettings,
    *,
    workdir: str,
    checkpoint: str | None,
    predictions: str | None,
    face_model: str | None,
) -> None:
    """Scores one system; writes into WORKDIR when all is computed, and prints tables.

    Args:
      settings: as ``configs/evaluation.py`` has it.
      workdir: folder to write; an earlier result there is replaced.
      checkpoint: a trained network (`open_trained`), or None.
      predictions: a predictions file (`read_predictions`), or None.
      face_model: of the coefficients in `predictions`, or where the run's lies now; or None.

    Raises:
      FileNotFoundError, ValueError: one sentence on what is missing or wrong; nothing is written.
    """
    start, console = time.perf_counter(), Console(markup=False, emoji=False)
    folder = Path(workdir)
    kind = check_settings(settings, folder, checkpoint=checkpoint, predictions=predictions)
    trained, model = None, None
    if checkpoint is not None:
        trained = open_trained(
            checkpoint,
            stage=settings.stage,
            face_model=face_model,
            num_passes=settings.num_passes,
        )
        if trained.about:
            console.print(trained.about, highlight=False, soft_wrap=True)
    elif face_model is not None:
        model = face_model_from_file(face_model)
    benchmark = open_benchmark(settings, kind, console)
    if trained is not None:
        predicted = _predict(settings, trained, benchmark, console)
        predicted = predicted._replace(system={"checkpoint": checkpoint, **predicted.system})
    else:
        assert predictions is not None
        predicted = _read_predictions(settings, predictions, benchmark, model)
    measured = measure(kind, tuple(settings.metrics), predicted, console)
    results = _results(settings, kind, predicted, measured)
    results["seconds"] |= {"all": time.perf_counter() - start}
    _write(folder, settings, kind, predicted, measured.errors, results)
    _print(results, predicted.benchmark, kind, folder, console)


def _predict(
    settings: BenchmarkSettings, trained: TrainedRun, benchmark: Benchmark, console: Console
) -> Predicted:
    benchmark, predictions, counts = predict_benchmark(
        trained,
        benchmark,
        input_sources(settings),
        num_passes=settings.num_passes,
        batch_size=settings.batch_size,
        console=console,
    )
    system = {"stage": trained.stage, "step": trained.step}
    system |= {"face_model": trained.face_model.name, "config": trained.settings_json}
    return Predicted(benchmark, predictions, system, counts)


def _read_predictions(
    settings: BenchmarkSettings, path: str, benchmark: Benchmark, face_model: FaceModel | None
) -> Predicted:
    if settings.allow_missing:
        benchmark, predictions = read_available_predictions(path, benchmark, face_model)
    else:
        predictions = read_predictions(path, benchmark, face_model)
    if predictions.faces is not None and "coefficients" in benchmark.truth:
        if known_meshes(benchmark, with_box=True).any():
            # Coefficients cannot tell whose they are; with the wrong model they score nonsense.
            require_annotated_model(benchmark, predictions.faces.face_model)
        else:
            note = "no face has coefficients and labels, so the face model could not be checked"
            benchmark = dataclasses.replace(benchmark, notes=(*benchmark.notes, note))
    system = {"predictions": path, "sha256": sha256_of(path)}
    return Predicted(benchmark, predictions, system, {})


def measure(
    kind: BenchmarkKind, chosen: tuple[str, ...], predicted: Predicted, console: Console
) -> Measured:
    """Computes the metrics one by one.

    Args:
      kind: of the benchmark.
      chosen: metrics that must be computed; empty: all that can be.
      predicted: labels and predictions.
      console: where it is shown what is being computed.

    Raises:
      ValueError: where a chosen metric, or none at all, can be computed.
    """
    measured = Measured({}, {}, {})
    for name in chosen or kind.metrics:
        start = time.perf_counter()
        try:
            with console.status(f"measuring {name}"):
                errors = kind.metrics[name](predicted.benchmark, predicted.predictions)
        except CannotMeasureError as error:
            if chosen:
                raise ValueError(f"{name} cannot be computed: {error}") from error
            measured.not_computed[name] = str(error)
            continue
        measured.errors[name] = errors
        measured.seconds[name] = time.perf_counter() - start
    if not measured.errors:
        raise ValueError("; ".join(f"{name}: {why}" for name, why in measured.not_computed.items()))
    return measured


def _results(
    settings: BenchmarkSettings, kind: BenchmarkKind, predicted: Predicted, measured: Measured
) -> dict[str, Any]:
    benchmark = predicted.benchmark
    results = results_of(kind, benchmark, predicted.predictions, measured.errors)
    results["conventions"] |= own_conventions(settings, benchmark)
    return results | {
        "not_computed": measured.not_computed,
        "system": predicted.system,
        "prediction": predicted.counts,
        "config": plain(settings),
        "git_revision": git_revision(),
        "seconds": measured.seconds,
    }


def _write(
    folder: Path,
    settings: BenchmarkSettings,
    kind: BenchmarkKind,
    predicted: Predicted,
    errors: Mapping[str, Errors],
    results: Mapping[str, Any],
) -> None:
    """Writes all before any is moved to its place: no half of a result is ever there."""
    benchmark, predictions = predicted.benchmark, predicted.predictions
    with replaced_files(folder, marker=RESULT_FILES[-1]) as unfinished:
        write_per_image(
            unfinished / "per_image.csv",
            benchmark.file_names,
            benchmark.yaw_degrees,
            per_image_columns(errors, benchmark),
        )
        write_predictions(unfinished / "predictions.npz", benchmark, predictions)
        write_pictures(
            unfinished,
            kind,
            benchmark,
            predictions,
            errors,
            without_worst=settings.error_curve_without_worst,
        )
        write_results(unfinished / "results.json", results)
        unwritten = [name for name in RESULT_FILES if not (unfinished / name).exists()]
    for name in unwritten:  # no picture where nothing is labelled; an earlier one is of others
        (folder / name).unlink(missing_ok=True)


def _print(
    results: Mapping[str, Any],
    benchmark: Benchmark,
    kind: BenchmarkKind,
    folder: Path,
    console: Console,
) -> None:
    print_summaries(results["metrics"], benchmark, kind.box, console)
    for name, text in results["conventions"].items():
        console.print(f"  {name}: {text}", highlight=False)
    for name, reason in results["not_computed"].items():
        console.print(f"not computed: {name}: {reason}")
    for note in benchmark.notes:
        console.print(note, highlight=False, markup=False)
    if benchmark.left_out:
        first = benchmark.left_out[0]
        console.print(
            f"{len(benchmark.left_out)} faces were left out, first {first.file_name}: "
            f"{first.reason}; all in results.json",
            markup=False,
        )
    if results["prediction"]:
        told = results["prediction"]
        console.print(
            f"{told['images_per_second']:.1f} images/s, {told['empty_landmark_maps']} with an "
            "empty landmark map"
        )
    console.print(f"everything is in {folder}")

"""Scores a trained run, or a predictions file of any system, on one benchmark."""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from twodasl_jax.evaluation import benchmark_report
from twodasl_jax.evaluation.benchmark import Benchmark, CannotMeasureError, Predictions
from twodasl_jax.evaluation.benchmark_kinds import BENCHMARKS, BenchmarkKind
from twodasl_jax.evaluation.benchmark_metrics import (
    Errors,
    known_meshes,
    require_annotated_model,
)
from twodasl_jax.evaluation.comparison import ERROR_CURVE, MISSING_FACES
from twodasl_jax.evaluation.network_input import (
    CROP_SOURCES,
    LANDMARK_MAP_SOURCES,
    require_choice,
)
from twodasl_jax.evaluation.predictions_file import (
    EXPECTED,
    read_available_predictions,
    read_predictions,
)
from twodasl_jax.evaluation.report import write_results
from twodasl_jax.experiment.assembly import plain
from twodasl_jax.experiment.benchmark_predictions import predict_benchmark
from twodasl_jax.experiment.provenance import git_revision, sha256_of
from twodasl_jax.experiment.run.trained import load_trained_run
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.replaced_files import replaced_files, require_not_replaced
from twodasl_jax.user_files.arrays import read_npy, read_npz

RESULT_FILES = (
    *("per_image.csv", "predictions.npz", "error_curve.png", "faces.png"),
    "results.json",
)
"""What a score is written to; results.json comes last: it says that the others are there."""


def score_benchmark(
    config: Any,
    *,
    workdir: str,
    checkpoint: str | None,
    predictions: str | None,
    face_model: str | None,
) -> None:
    """Scores one system; writes into WORKDIR when all is computed, and prints tables.

    Args:
      config: as ``configs/evaluation.py`` has it.
      workdir: folder to write; an earlier result there is replaced.
      checkpoint: workdir of a trained run, or None.
      predictions: a predictions file (`read_predictions`), or None.
      face_model: of the coefficients in `predictions`, or where the run's lies now; or None.

    Raises:
      FileNotFoundError, ValueError: one sentence on what is missing or wrong; nothing is written.
    """
    start, console = time.perf_counter(), Console(markup=False, emoji=False)
    require_choice("benchmark", config.benchmark, tuple(BENCHMARKS))
    kind = BENCHMARKS[config.benchmark]
    _check_settings(config, kind, Path(workdir), checkpoint, predictions)
    trained, model = None, None
    if checkpoint is not None:
        trained = load_trained_run(Workdir(checkpoint), stage=config.stage, face_model=face_model)
    elif face_model is not None:
        model = face_model_from_file(face_model)
    benchmark = _open(config, kind, console)
    _require_faces_for_curve(config.error_curve_without_worst, len(benchmark))
    prediction: dict[str, float] = {}
    if trained is not None:
        system = {"checkpoint": checkpoint, "stage": trained.stage, "step": trained.step}
        system |= {"face_model": trained.face_model.name, "config": plain(trained.config)}
        benchmark, scored, prediction = predict_benchmark(config, trained, benchmark, console)
    else:
        assert predictions is not None
        system = {"predictions": predictions, "sha256": sha256_of(predictions)}
        benchmark, scored = _read_predictions(config, predictions, benchmark, model)
    errors, not_computed, seconds = measure(kind, tuple(config.metrics), benchmark, scored, console)
    summaries = benchmark_report.summarise(errors, benchmark.yaw_degrees)
    results = {
        "benchmark": benchmark.name,
        "conventions": _conventions(config, kind, benchmark, scored),
        "num_images": len(benchmark),
        "left_out": [face._asdict() for face in benchmark.left_out],
        "notes": benchmark.notes,
        "metrics": summaries,
        "not_computed": not_computed,
        "system": system,
        "prediction": prediction,
        "config": plain(config),
        "git_revision": git_revision(),
        "seconds": {**seconds, "all": time.perf_counter() - start},
    }
    _write(
        Path(workdir),
        kind,
        benchmark,
        scored,
        errors,
        results,
        without_worst=config.error_curve_without_worst,
    )
    _print(results, benchmark, kind, Path(workdir), console)


def _check_settings(
    config: Any,
    kind: BenchmarkKind,
    workdir: Path,
    checkpoint: str | None,
    predictions: str | None,
) -> None:
    """Refuses what cannot work before anything is read."""
    if (checkpoint is None) == (predictions is None):
        raise ValueError("give either --checkpoint=RUN or --predictions=FILE.npz")
    if predictions is not None and config.stage:
        raise ValueError("stage chooses one of a trained run's (--checkpoint); leave it out")
    if predictions is not None:
        read_npz(predictions, expected=f"--predictions {EXPECTED}")  # before the benchmark is read
    if (workdir / "config.json").exists():
        raise ValueError(f"{workdir} holds a trained run; give another --workdir for the scores")
    if predictions is not None:
        require_not_replaced(predictions, workdir, RESULT_FILES)
    require_choice("crop_source", config.crop_source, CROP_SOURCES)
    require_choice("landmark_map_source", config.landmark_map_source, LANDMARK_MAP_SOURCES)
    if config.landmarks_file and config.landmark_map_source != "file":
        raise ValueError("landmarks_file is read only with landmark_map_source=file")
    for metric in config.metrics:
        require_choice(f"a metric of {config.benchmark}", metric, tuple(kind.metrics))


def _open(config: Any, kind: BenchmarkKind, console: Console) -> Benchmark:
    if not config.data_dir:
        raise ValueError("no --config.data_dir was given: the folder of the benchmark")
    benchmark = kind.open(
        Path(config.data_dir).expanduser(), console, allow_missing=config.allow_missing
    )
    changes: dict[str, Any] = {"annotated_vertices": config.annotated_vertices}
    if config.landmark_vertices:
        changes["landmark_vertices"] = read_landmark_vertices(config.landmark_vertices)
    return dataclasses.replace(benchmark, **changes)


def _require_faces_for_curve(without_worst: Any, num_faces: int) -> None:
    if not isinstance(without_worst, int) or not 0 <= without_worst < num_faces:
        raise ValueError(
            f"error_curve_without_worst is {without_worst}; expected 0 to {num_faces - 1}, of "
            f"{num_faces} faces"
        )


def read_landmark_vertices(path: str | Path) -> np.ndarray:
    """The index table of AFLW-LFPA: which vertex of the face model each of the 34 points is.

    Raises:
      FileNotFoundError, ValueError: where there is none, or it is no ``(34,)`` of indices.
    """
    expected = "expected a .npy of (34,) vertex indices from 0 on"
    table = read_npy(path, expected=expected)
    if table.shape != (34,) or table.dtype.kind not in "iu" or (table < 0).any():
        raise ValueError(f"{path} is {table.shape} {table.dtype}; {expected}")
    return table


def _read_predictions(
    config: Any, path: str, benchmark: Benchmark, face_model: FaceModel | None
) -> tuple[Benchmark, Predictions]:
    if config.allow_missing:
        benchmark, predictions = read_available_predictions(path, benchmark, face_model)
    else:
        predictions = read_predictions(path, benchmark, face_model)
    if predictions.face_model is not None and "coefficients" in benchmark.truth:
        if known_meshes(benchmark, with_box=True).any():
            # Coefficients cannot tell whose they are; with the wrong model they score nonsense.
            require_annotated_model(benchmark, predictions.face_model)
        else:
            note = "no face has coefficients and labels, so the face model could not be checked"
            benchmark = dataclasses.replace(benchmark, notes=(*benchmark.notes, note))
    return benchmark, predictions


def measure(
    kind: BenchmarkKind,
    chosen: tuple[str, ...],
    benchmark: Benchmark,
    predictions: Predictions,
    console: Console,
) -> tuple[dict[str, Errors], dict[str, str], dict[str, float]]:
    """Computes the metrics one by one.

    Args:
      kind: of the benchmark.
      chosen: metrics that must be computed; empty: all that can be.
      benchmark: labels.
      predictions: in the benchmark's order.
      console: where it is shown what is being computed.

    Returns:
      Metric -> errors, metric -> why it was not computed, metric -> seconds.

    Raises:
      ValueError: where a chosen metric, or none at all, can be computed.
    """
    errors: dict[str, Errors] = {}
    not_computed: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for name in chosen or kind.metrics:
        start = time.perf_counter()
        try:
            with console.status(f"measuring {name}"):
                errors[name] = kind.metrics[name](benchmark, predictions)
        except CannotMeasureError as error:
            if chosen:
                raise ValueError(f"{name} cannot be computed: {error}") from error
            not_computed[name] = str(error)
            continue
        seconds[name] = time.perf_counter() - start
    if not errors:
        raise ValueError("; ".join(f"{name}: {why}" for name, why in not_computed.items()))
    return errors, not_computed, seconds


def _conventions(
    config: Any, kind: BenchmarkKind, benchmark: Benchmark, predictions: Predictions
) -> dict[str, Any]:
    conventions = {**benchmark.conventions, **kind.conventions, **predictions.conventions}
    if config.allow_missing and benchmark.left_out:
        gone = len(benchmark.left_out)
        conventions[MISSING_FACES] = (
            f"{gone} of {len(benchmark) + gone} faces are left out, named in left_out "
            "(allow_missing)"
        )
    if config.error_curve_without_worst:
        left_out = f"without the {config.error_curve_without_worst} largest errors"
        conventions[ERROR_CURVE] = left_out
    return conventions


def _write(
    folder: Path,
    kind: BenchmarkKind,
    benchmark: Benchmark,
    predictions: Predictions,
    errors: Mapping[str, Errors],
    results: Mapping[str, Any],
    *,
    without_worst: int,
) -> None:
    """Writes all before any is moved to its place: no half of a result is ever there."""
    with replaced_files(folder, marker=RESULT_FILES[-1]) as unfinished:
        benchmark_report.write_per_face(unfinished / "per_image.csv", benchmark, errors)
        benchmark_report.write_predictions(unfinished / "predictions.npz", benchmark, predictions)
        benchmark_report.write_pictures(
            unfinished, kind, benchmark, predictions, errors, without_worst=without_worst
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
    benchmark_report.print_summaries(results["metrics"], benchmark, kind.box, console)
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

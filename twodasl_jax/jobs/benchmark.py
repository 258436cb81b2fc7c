"""Scores a trained run, or a predictions file of any system, on one benchmark."""

import dataclasses
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from twodasl_jax.evaluation import benchmark_report
from twodasl_jax.evaluation.arrays_file import read_arrays
from twodasl_jax.evaluation.benchmark import Benchmark, CannotMeasureError, Predictions
from twodasl_jax.evaluation.benchmark_kinds import BENCHMARKS, BenchmarkKind
from twodasl_jax.evaluation.benchmark_metrics import Errors, require_annotated_model
from twodasl_jax.evaluation.network_input import (
    CROP_SOURCES,
    LANDMARK_MAP_SOURCES,
    require_choice,
)
from twodasl_jax.evaluation.predictions_file import read_predictions
from twodasl_jax.evaluation.report import write_results
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.jobs.assembly import plain
from twodasl_jax.jobs.benchmark_predictions import predict_benchmark
from twodasl_jax.jobs.provenance import git_revision, sha256_of
from twodasl_jax.jobs.trained import load_trained_run
from twodasl_jax.jobs.workdir import Workdir

RESULT_FILES = (
    *("per_image.csv", "predictions.npz", "error_curve.png", "faces.png"),
    "results.json",
)
"""In the order in which they appear: results.json says that the others are there."""


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
    start, console = time.perf_counter(), Console()
    require_choice("benchmark", config.benchmark, tuple(BENCHMARKS))
    kind = BENCHMARKS[config.benchmark]
    _check_settings(config, kind, Path(workdir), checkpoint, predictions)
    trained, model = None, None
    if checkpoint is not None:
        trained = load_trained_run(Workdir(checkpoint), face_model=face_model)
    elif face_model is not None:
        model = face_model_from_file(face_model)
    benchmark = _open(config, kind, console)
    prediction: dict[str, float] = {}
    if trained is not None:
        system = {"checkpoint": checkpoint, "stage": trained.stage, "step": trained.step}
        system |= {"face_model": trained.face_model.name, "config": plain(trained.config)}
        benchmark, scored, prediction = predict_benchmark(config, trained, benchmark, console)
    else:
        assert predictions is not None
        system = {"predictions": predictions, "sha256": sha256_of(predictions)}
        scored = _read_predictions(predictions, benchmark, model)
    errors, not_computed, seconds = measure(kind, tuple(config.metrics), benchmark, scored, console)
    summaries = benchmark_report.summarise(errors, benchmark.yaw_degrees)
    results = {
        "benchmark": benchmark.name,
        "conventions": _conventions(kind, benchmark, scored),
        "num_images": len(benchmark),
        "left_out": [face._asdict() for face in benchmark.left_out],
        "metrics": summaries,
        "not_computed": not_computed,
        "system": system,
        "prediction": prediction,
        "config": plain(config),
        "git_revision": git_revision(),
        "seconds": {**seconds, "all": time.perf_counter() - start},
    }
    _write(Path(workdir), kind, benchmark, scored, errors, results)
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
    if predictions is not None and not Path(predictions).is_file():
        raise FileNotFoundError(f"no predictions file {predictions}")
    if (workdir / "config.json").exists():
        raise ValueError(f"{workdir} holds a trained run; give another --workdir for the scores")
    require_choice("crop_source", config.crop_source, CROP_SOURCES)
    require_choice("landmark_map_source", config.landmark_map_source, LANDMARK_MAP_SOURCES)
    if config.landmarks_file and config.landmark_map_source != "file":
        raise ValueError("landmarks_file is read only with landmark_map_source=file")
    for metric in config.metrics:
        require_choice(f"a metric of {config.benchmark}", metric, tuple(kind.metrics))


def _open(config: Any, kind: BenchmarkKind, console: Console) -> Benchmark:
    if not config.data_dir:
        raise ValueError("no --config.data_dir was given: the folder of the benchmark")
    benchmark = kind.open(Path(config.data_dir).expanduser(), console)
    changes: dict[str, Any] = {"annotated_vertices": config.annotated_vertices}
    if config.landmark_vertices:
        changes["landmark_vertices"] = read_landmark_vertices(config.landmark_vertices)
    return dataclasses.replace(benchmark, **changes)


def read_landmark_vertices(path: str | Path) -> np.ndarray:
    """The index table of AFLW-LFPA: which vertex of the face model each of the 34 points is.

    Raises:
      FileNotFoundError, ValueError: where there is none, or it is no ``(34,)`` of indices.
    """
    expected = "expected a .npy of (34,) vertex indices from 0 on"
    table = read_arrays(Path(path), expected=expected).get("array", np.zeros(0))
    if table.shape != (34,) or table.dtype.kind not in "iu" or (table < 0).any():
        raise ValueError(f"{path} is {table.shape} {table.dtype}; {expected}")
    return table


def _read_predictions(path: str, benchmark: Benchmark, face_model: FaceModel | None) -> Predictions:
    predictions = read_predictions(path, benchmark, face_model)
    if predictions.face_model is not None and "coefficients" in benchmark.truth:
        # Coefficients cannot tell whose they are; with the wrong model they would score nonsense.
        require_annotated_model(benchmark, predictions.face_model)
    return predictions


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
    kind: BenchmarkKind, benchmark: Benchmark, predictions: Predictions
) -> dict[str, Any]:
    return {**benchmark.conventions, **kind.conventions, **predictions.conventions}


def _write(
    folder: Path,
    kind: BenchmarkKind,
    benchmark: Benchmark,
    predictions: Predictions,
    errors: Mapping[str, Errors],
    results: Mapping[str, Any],
) -> None:
    """Writes beside the folder, then moves: no half of a result is ever there."""
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        benchmark_report.write_per_face(unfinished / "per_image.csv", benchmark, errors)
        benchmark_report.write_predictions(unfinished / "predictions.npz", benchmark, predictions)
        benchmark_report.write_pictures(unfinished, kind, benchmark, predictions, errors)
        write_results(unfinished / "results.json", results)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.json").unlink(missing_ok=True)
        for name in RESULT_FILES:
            (unfinished / name).replace(folder / name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


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
    if benchmark.left_out:
        first = benchmark.left_out[0]
        console.print(
            f"{len(benchmark.left_out)} faces were left out, first {first.file_name}: "
            f"{first.reason}; all in results.json"
        )
    if results["prediction"]:
        told = results["prediction"]
        console.print(
            f"{told['images_per_second']:.1f} images/s, {told['empty_landmark_maps']} with an "
            "empty landmark map"
        )
    console.print(f"everything is in {folder}")

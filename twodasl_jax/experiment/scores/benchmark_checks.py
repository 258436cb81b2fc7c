"""A benchmark's settings: refused before anything is read, and the benchmark opened by them."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from twodasl_jax.evaluation.benchmark import Benchmark
from twodasl_jax.evaluation.benchmark_kinds import BENCHMARKS, BenchmarkKind
from twodasl_jax.evaluation.comparison import ERROR_CURVE, MISSING_FACES
from twodasl_jax.evaluation.labelled_crops import with_fits
from twodasl_jax.evaluation.network_input import (
    CROP_SOURCES,
    LANDMARK_MAP_SOURCES,
    InputSources,
    require_choice,
)
from twodasl_jax.evaluation.predictions_file import EXPECTED
from twodasl_jax.experiment.settings.benchmark_settings import BenchmarkSettings
from twodasl_jax.replaced_files import require_not_replaced
from twodasl_jax.user_files.arrays import read_npy, read_npz

RESULT_FILES = (
    *("per_image.csv", "predictions.npz", "error_curve.png", "faces.png"),
    "results.json",
)
"""What a score is written to; results.json comes last: it says that the others are there."""


def check_settings(
    settings: BenchmarkSettings, workdir: Path, *, checkpoint: str | None, predictions: str | None
) -> BenchmarkKind:
    """Refuses what cannot work before anything is read.

    Args:
      settings: as ``configs/evaluation.py`` has it.
      workdir: folder to write.
      checkpoint: a trained network, or None.
      predictions: a predictions file, or None.

    Returns:
      The kind of benchmark.

    Raises:
      FileNotFoundError, ValueError: one sentence on what is missing or wrong.
    """
    require_choice("benchmark", settings.benchmark, tuple(BENCHMARKS))
    kind = BENCHMARKS[settings.benchmark]
    if (checkpoint is None) == (predictions is None):
        raise ValueError("give either --checkpoint=RUN or --predictions=FILE.npz")
    if predictions is not None and settings.stage:
        raise ValueError("stage chooses one of a trained run's (--checkpoint); leave it out")
    if predictions is not None:
        read_npz(predictions, expected=f"--predictions {EXPECTED}")  # before the benchmark is read
    if (workdir / "config.json").exists():
        raise ValueError(f"{workdir} holds a trained run; give another --workdir for the scores")
    if predictions is not None:
        require_not_replaced(predictions, workdir, RESULT_FILES)
    require_choice("crop_source", settings.crop_source, CROP_SOURCES)
    require_choice("landmark_map_source", settings.landmark_map_source, LANDMARK_MAP_SOURCES)
    if settings.landmarks_file and settings.landmark_map_source != "file":
        raise ValueError("landmarks_file is read only with landmark_map_source=file")
    if settings.fits and settings.benchmark != "aflw":
        raise ValueError(
            f"fits are of a crops folder (--config.benchmark=aflw), not of {settings.benchmark}; "
            "leave --config.fits out"
        )
    for metric in settings.metrics:
        require_choice(f"a metric of {settings.benchmark}", metric, tuple(kind.metrics))
    return kind


def open_benchmark(settings: BenchmarkSettings, kind: BenchmarkKind, console: Console) -> Benchmark:
    """The benchmark of a config that was checked.

    Raises:
      FileNotFoundError, ValueError: where it is absent or broken, or more faces are left out of
        its error curve than it has.
    """
    if not settings.data_dir:
        raise ValueError("no --config.data_dir was given: the folder of the benchmark")
    benchmark = kind.open(
        Path(settings.data_dir).expanduser(), console, allow_missing=settings.allow_missing
    )
    without_worst = settings.error_curve_without_worst
    if not isinstance(without_worst, int) or not 0 <= without_worst < len(benchmark):
        raise ValueError(
            f"error_curve_without_worst is {without_worst}; expected 0 to {len(benchmark) - 1}, of "
            f"{len(benchmark)} faces"
        )
    changes: dict[str, Any] = {"annotated_vertices": settings.annotated_vertices}
    if settings.landmark_vertices:
        changes["landmark_vertices"] = read_landmark_vertices(settings.landmark_vertices)
    if settings.fits:
        benchmark = with_fits(benchmark, Path(settings.fits).expanduser())
    return dataclasses.replace(benchmark, **changes)


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


def input_sources(settings: BenchmarkSettings) -> InputSources:
    """Where the network's input comes from."""
    return InputSources(
        settings.crop_source,
        settings.landmark_map_source,
        settings.detector,
        settings.landmarks_file,
    )


def own_conventions(settings: BenchmarkSettings, benchmark: Benchmark) -> dict[str, str]:
    """What the settings alone change of what the numbers mean."""
    conventions = {}
    if settings.allow_missing and benchmark.left_out:
        gone = len(benchmark.left_out)
        conventions[MISSING_FACES] = (
            f"{gone} of {len(benchmark) + gone} faces are left out, named in left_out "
            "(allow_missing)"
        )
    if settings.error_curve_without_worst:
        left_out = f"without the {settings.error_curve_without_worst} largest errors"
        conventions[ERROR_CURVE] = left_out
    return conventions

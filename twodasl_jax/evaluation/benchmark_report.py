"""What scoring a benchmark leaves behind: summaries, tables, a row per face, two pictures."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from twodasl_jax.crop_frame import image_to_crop
from twodasl_jax.evaluation.benchmark import Benchmark, CannotMeasureError, Predictions
from twodasl_jax.evaluation.benchmark_kinds import BenchmarkKind
from twodasl_jax.evaluation.benchmark_metrics import Errors
from twodasl_jax.evaluation.pictures import write_error_curve, write_ranked_faces
from twodasl_jax.evaluation.report import (
    MEAN_COLUMNS,
    NME_HEADINGS,
    ROLL_HEADINGS,
    SPREAD_COLUMNS,
    shown_number,
)
from twodasl_jax.metrics.nme import ROLL_BINS, YAW_BINS, nme_summary, roll_summary

ANGLES = ("yaw", "pitch", "roll")

Summaries = dict[str, dict[str, dict[str, float]]]
"""Metric -> variant -> numbers."""


def summarise(errors: Mapping[str, Errors], benchmark: Benchmark) -> Summaries:
    """The numbers of every metric's every variant, over the faces that have its label.

    Returns:
      `nme_summary` in %, with `roll_summary` where the benchmark knows roll, or for head
      pose the mean absolute ``yaw``, ``pitch``, ``roll``, their ``mean`` and ``count``, in degrees.
    """
    summaries: Summaries = {}
    for metric, variants in errors.items():
        summaries[metric] = {}
        for variant, values in variants.items():
            known = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
            if metric == "head_pose":
                summaries[metric][variant] = _pose_summary(values[known])
            else:
                numbers = nme_summary(values[known], benchmark.yaw_degrees[known])
                if benchmark.roll_degrees is not None:
                    numbers |= roll_summary(values[known], benchmark.roll_degrees[known])
                summaries[metric][variant] = numbers
    return summaries


def _pose_summary(errors: np.ndarray) -> dict[str, float]:
    means = [float(errors[:, column].mean()) if len(errors) else math.nan for column in range(3)]
    return {
        **dict(zip(ANGLES, means, strict=True)),
        "mean": sum(means) / 3,
        "count": float(len(errors)),
    }


def results_of(
    kind: BenchmarkKind,
    benchmark: Benchmark,
    predictions: Predictions,
    errors: Mapping[str, Errors],
) -> dict[str, Any]:
    """What ``results.json`` says of any system's score, and what results are compared by."""
    return {
        "benchmark": benchmark.name,
        "conventions": {**benchmark.conventions, **kind.conventions, **predictions.conventions},
        "num_images": len(benchmark),
        "left_out": [face._asdict() for face in benchmark.left_out],
        "notes": benchmark.notes,
        "metrics": summarise(errors, benchmark),
    }


def print_summaries(summaries: Summaries, benchmark: Benchmark, box: str, console: Console) -> None:
    """The tables: NME in two, then head pose."""
    rows = {
        f"{metric} {variant}": numbers
        for metric, variants in summaries.items()
        for variant, numbers in variants.items()
        if metric != "head_pose"
    }
    if rows:
        console.print(f"\n{benchmark.name}: NME in % of sqrt(w·h) of {box}")
        if "reconstruction_icp" in summaries:
            console.print("(reconstruction_icp: of the box of the true mesh)")
        for names in (MEAN_COLUMNS, SPREAD_COLUMNS):
            console.print(_table(rows, {name: NME_HEADINGS[name] for name in names}))
        first = next(iter(rows.values()))
        console.print(f"faces per bin: {_counts(first, [f'count_{bin}' for bin in YAW_BINS])}")
        if benchmark.roll_degrees is not None:
            console.print("\nNME by roll, the turn in the picture's plane")
            console.print(_table(rows, ROLL_HEADINGS))
            counts = _counts(first, [f"count_roll_{bin}" for bin in ROLL_BINS])
            console.print(f"faces by roll: {counts}")
    if "head_pose" in summaries:
        columns = {name: name for name in (*ANGLES, "mean", "count")}
        named = {f"head_pose {variant}": row for variant, row in summaries["head_pose"].items()}
        console.print("\nhead pose: mean absolute error in °")
        console.print(_table(named, columns))


def _counts(numbers: Mapping[str, float], names: Sequence[str]) -> str:
    return " / ".join(f"{numbers[name]:.0f}" for name in names)


def _table(rows: Mapping[str, Mapping[str, float]], columns: Mapping[str, str]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column(no_wrap=True)
    for name, heading in columns.items():
        table.add_column(heading, justify="right", style="bold" if name == "mean_of_bins" else None)
    for label, numbers in rows.items():
        digits = {"count": 0}
        table.add_row(
            label, *(shown_number(numbers[name], digits=digits.get(name, 2)) for name in columns)
        )
    return table


def per_image_columns(errors: Mapping[str, Errors], benchmark: Benchmark) -> dict[str, np.ndarray]:
    """Columns of ``per_image.csv``: NME in %, pose and roll in degrees, NaN without a label."""
    columns = roll_column(benchmark)
    for metric, variants in errors.items():
        if metric == "head_pose":
            degrees = variants["all_images"].T
            columns |= {f"{a}_error_degrees": d for a, d in zip(ANGLES, degrees, strict=True)}
            continue
        for variant, values in variants.items():
            columns[f"{metric}_{variant}_percent"] = 100 * values
    return columns


def roll_column(benchmark: Benchmark) -> dict[str, np.ndarray]:
    """The same of roll alone, where the benchmark knows it."""
    return {} if benchmark.roll_degrees is None else {"roll_degrees": benchmark.roll_degrees}


def write_pictures(
    folder: Path,
    kind: BenchmarkKind,
    benchmark: Benchmark,
    predictions: Predictions,
    errors: Mapping[str, Errors],
    *,
    without_worst: int = 0,
) -> None:
    """``error_curve.png`` of the first metric, ``faces.png`` with true and predicted points.

    Neither where no face has that metric's labels.
    The curve leaves out the ``without_worst`` largest errors, and says so; nothing else does.
    """
    metric = next(iter(kind.metrics))
    try:
        # Another metric may have been asked for; this one takes no time.
        variants = errors.get(metric) or kind.metrics[metric](benchmark, predictions)
    except CannotMeasureError:
        return
    curves = {name: values[np.isfinite(values)] for name, values in variants.items()}
    title = f"{benchmark.name}, {metric}"
    write_error_curve(
        folder / "error_curve.png", curves, title=title, box=kind.box, without_worst=without_worst
    )
    first = next(iter(variants))
    write_faces(
        folder / "faces.png",
        benchmark,
        kind.points(benchmark, predictions),
        true=benchmark.truth[kind.labels],
        nme=variants[first],
        title=f"{title}, {first}",
    )


def write_faces(
    path: Path,
    benchmark: Benchmark,
    predicted_px: np.ndarray,
    *,
    true: np.ndarray,
    nme: np.ndarray,
    title: str,
) -> None:
    """Best, median and worst faces of a benchmark with both sets of points, image pixels.

    Args:
      path: a PNG.
      benchmark: of the ``n`` faces.
      predicted_px: ``(n, m, 2)``.
      true: ``(n, m, 2)`` or with depth.
      nme: ``(n,)`` fractions, NaN for faces that are not shown.
      title: above the picture.
    """
    shown = np.isfinite(nme)
    boxes, crops = benchmark.roi_box[shown], benchmark.crops[shown]
    size = crops.shape[1]
    write_ranked_faces(
        path,
        crops,
        image_to_crop(predicted_px[shown], boxes, crop_size=size),
        true=image_to_crop(true[shown][..., :2], boxes, crop_size=size),
        nme=nme[shown],
        title=title,
    )

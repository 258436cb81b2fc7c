"""What scoring a benchmark leaves behind: summaries, tables, a row per face, two pictures."""

import csv
import json
import math
from collections.abc import Mapping
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
from twodasl_jax.evaluation.pictures import write_contact_sheet, write_error_curve
from twodasl_jax.face_model.model_identity import face_model_identity
from twodasl_jax.metrics.nme import YAW_BINS, nme_summary

ANGLES = ("yaw", "pitch", "roll")

TABLES = (
    {
        "bin_0_30": "0-30°",
        "bin_30_60": "30-60°",
        "bin_60_90": "60-90°",
        "mean_of_bins": "mean of bins",
        "mean_of_images": "mean of images",
    },
    {
        "count": "faces",
        "std_of_bins": "std of bins",
        "mean_without_worst_20": "without worst 20",
        "failure_rate_10": "> 10 %",
        "auc_10": "AUC to 10 %",
    },
)
"""Columns of the two tables of NME: name in `twodasl_jax.metrics.nme.nme_summary` -> heading.
As many as fit 80 characters beside the metrics' names."""

Summaries = dict[str, dict[str, dict[str, float]]]
"""Metric -> variant -> numbers."""


def summarise(errors: Mapping[str, Errors], yaw_degrees: np.ndarray) -> Summaries:
    """The numbers of every metric's every variant, over the faces that have its label.

    Returns:
      `nme_summary` in %, or for head pose the mean absolute ``yaw``, ``pitch``, ``roll``, their
      ``mean`` and ``count``, in degrees.
    """
    summaries: Summaries = {}
    for metric, variants in errors.items():
        summaries[metric] = {}
        for variant, values in variants.items():
            known = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
            if metric == "head_pose":
                summaries[metric][variant] = _pose_summary(values[known])
            else:
                summaries[metric][variant] = nme_summary(values[known], yaw_degrees[known])
    return summaries


def _pose_summary(errors: np.ndarray) -> dict[str, float]:
    means = [float(errors[:, column].mean()) if len(errors) else math.nan for column in range(3)]
    return {
        **dict(zip(ANGLES, means, strict=True)),
        "mean": sum(means) / 3,
        "count": float(len(errors)),
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
        for columns in TABLES:
            console.print(_table(rows, columns))
        counts = [next(iter(rows.values()))[f"count_{bin}"] for bin in YAW_BINS]
        console.print(f"faces per bin: {' / '.join(f'{count:.0f}' for count in counts)}")
    if "head_pose" in summaries:
        columns = {name: name for name in (*ANGLES, "mean", "count")}
        named = {f"head_pose {variant}": row for variant, row in summaries["head_pose"].items()}
        console.print("\nhead pose: mean absolute error in °")
        console.print(_table(named, columns))


def _table(rows: Mapping[str, Mapping[str, float]], columns: Mapping[str, str]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column(no_wrap=True)
    for name, heading in columns.items():
        table.add_column(heading, justify="right", style="bold" if name == "mean_of_bins" else None)
    for label, numbers in rows.items():
        shown = []
        for name in columns:
            value = numbers[name]
            digits = 0 if name.startswith("count") else 2
            shown.append(f"{value:.{digits}f}" if math.isfinite(value) else "-")
        table.add_row(label, *shown)
    return table


def write_per_face(path: Path, benchmark: Benchmark, errors: Mapping[str, Errors]) -> None:
    """``per_image.csv``: a row per face; NME in %, pose in degrees, empty without a label."""
    columns: dict[str, np.ndarray] = {}
    for metric, variants in errors.items():
        if metric == "head_pose":
            degrees = variants["all_images"].T
            columns |= {f"{a}_error_degrees": d for a, d in zip(ANGLES, degrees, strict=True)}
            continue
        for variant, values in variants.items():
            columns[f"{metric}_{variant}_percent"] = 100 * values
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "yaw_degrees", *columns])
        for row, name in enumerate(benchmark.file_names):
            numbers = (f"{c[row]:.5f}" if np.isfinite(c[row]) else "" for c in columns.values())
            yaw = benchmark.yaw_degrees[row]
            writer.writerow([name, f"{yaw:.3f}" if np.isfinite(yaw) else "", *numbers])


def write_predictions(path: Path, benchmark: Benchmark, predictions: Predictions) -> None:
    """``predictions.npz``: what was scored, in the layout that ``--predictions`` reads."""
    arrays: dict[str, Any] = {
        "file_name": np.array(benchmark.file_names),
        **predictions.conventions,
    }
    if predictions.coefficients is None:
        arrays["landmarks"] = predictions.landmarks_px
    else:
        arrays |= {"coefficients": predictions.coefficients, "roi_box": predictions.roi_box}
        if predictions.face_model is not None:
            identity = face_model_identity(predictions.face_model)
            arrays["face_model_identity"] = json.dumps(identity)
    np.savez_compressed(path, **arrays)


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
    shown = np.isfinite(variants[first])
    boxes = benchmark.roi_box[shown]
    write_contact_sheet(
        folder / "faces.png",
        benchmark.crops[shown],
        image_to_crop(kind.points(benchmark, predictions)[shown], boxes),
        true=image_to_crop(benchmark.truth[kind.labels][shown][..., :2], boxes),
        nme=variants[first][shown],
        title=f"{title}, {first}",
    )

"""Compares systems that were scored on a benchmark: a table and a curve per label set."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from twodasl_jax.evaluation.benchmark_kinds import BENCHMARKS
from twodasl_jax.evaluation.comparison import (
    ERROR_CURVE,
    NUM_AFLW2000_3D,
    PUBLISHED,
    System,
    errors_per_image,
    read_systems,
    require_same_conventions,
    shared_columns,
    unshared_columns,
    why_no_published_rows,
)
from twodasl_jax.evaluation.pictures import write_error_curve
from twodasl_jax.metrics.error_curve import without_largest
from twodasl_jax.whole_file import write_whole

NME_COLUMNS = {
    "bin_0_30": "0-30°",
    "bin_30_60": "30-60°",
    "bin_60_90": "60-90°",
    "mean_of_bins": "mean of\nbins",
    "mean_of_images": "mean of\nimages",
    "failure_rate_10": "> 10 %",
}
POSE_COLUMNS = {"yaw": "yaw", "pitch": "pitch", "roll": "roll", "mean": "mean"}
"""Name in ``results.json`` -> heading, as many as fit 80 characters beside the names."""

PUBLISHED_MARK = "published, not measured"

Rows = list[tuple[str, str, Mapping[str, float | None]]]
"""System, its landmark map, its numbers."""


def compare(
    _: Any,
    *,
    results: Sequence[str],
    output: str | None,
    published: bool | None = None,
    without_worst: int | None = None,
) -> None:
    """Prints the systems side by side; with a folder also writes tables and curves.

    Args:
      results: ``results.json`` of each system, ``per_image.csv`` beside it.
      output: folder for ``comparison.csv`` and the error curves; None only prints.
      without_worst: this many faces with each system's largest errors are left out of its error
        curve, and of nothing else.
      published: show the numbers of papers too, where they are of the same conventions.

    Raises:
      FileNotFoundError, ValueError: one sentence; numbers of different conventions are refused.
    """
    if without_worst is not None and output is None:
        raise ValueError("--without_worst is of the error curves, which are drawn with --output")
    console = Console(markup=False, emoji=False)
    systems = read_systems(results)
    for system, path in zip(systems, results, strict=True):
        if system.benchmark not in BENCHMARKS:
            raise ValueError(
                f"{path} is of the benchmark '{system.benchmark}'; expected one of "
                f"{', '.join(BENCHMARKS)}"
            )
    require_same_conventions(systems)
    columns = shared_columns(systems)
    curves = _curves(systems, columns, without_worst or 0)
    tables: dict[tuple[str, str], Rows] = {}
    for column in columns:
        tables[column] = _measured_rows(systems, column)
        console.print(_table(systems[0], column, tables[column], published=bool(published)))
    for key, value in systems[0].conventions.items():
        if key not in ("landmark_map_source", ERROR_CURVE):
            console.print(f"  {key}: {value}", highlight=False)
    for name, left in unshared_columns(systems).items():
        if left:
            console.print(f"not in every result, so not shown: {', '.join(left)} of {name}")
    if published:
        _explain_published(systems[0], columns, console)
    if output is not None:
        if without_worst:
            console.print(
                f"error curves: without the {without_worst} largest errors of each system"
            )
        _write(
            Path(output),
            systems,
            tables,
            curves,
            published=bool(published),
            without_worst=without_worst or 0,
        )
        console.print(f"tables and curves are in {output}")


def _measured_rows(systems: Sequence[System], column: tuple[str, str]) -> Rows:
    metric, label = column
    return [
        (
            system.name,
            system.conventions.get("landmark_map_source", "-"),
            system.metrics[metric][label],
        )
        for system in systems
    ]


def _published_rows(system: System, column: tuple[str, str]) -> Rows:
    if why_no_published_rows(system, column) is not None:
        return []
    names = ("bin_0_30", "bin_30_60", "bin_60_90", "mean_of_bins")
    return [
        (name, PUBLISHED_MARK, {"count": NUM_AFLW2000_3D, **dict(zip(names, values, strict=True))})
        for name, values in PUBLISHED.items()
    ]


def _headings(metric: str) -> Mapping[str, str]:
    return POSE_COLUMNS if metric == "head_pose" else NME_COLUMNS


def _table(system: System, column: tuple[str, str], rows: Rows, *, published: bool) -> Table:
    metric, label = column
    unit = "mean absolute error, degrees" if metric == "head_pose" else "NME, %"
    faces = rows[0][2]["count"]  # the same in every row
    beside = _published_rows(system, column) if published else []
    title = f"{system.benchmark}, {metric}, {label}: {unit}, {faces:.0f} faces"
    table = Table(
        title=title,
        min_width=len(title),
        caption="published: as papers print it, not measured here" if beside else None,
        box=SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    table.add_column("system", overflow="fold")
    table.add_column("map", no_wrap=True)
    headings = _headings(metric)
    for name, heading in headings.items():
        table.add_column(heading, justify="right", style="bold" if name == "mean_of_bins" else None)
    for name, source, numbers in rows:
        # The whole sentence is in results.json; its first words name the source.
        short = source.split("(")[0].split(":")[0].strip()
        table.add_row(name, short, *_shown(numbers, headings))
    if beside:
        table.add_section()
    for name, _mark, numbers in beside:
        table.add_row(name, "published", *_shown(numbers, headings), style="italic")
    return table


def _shown(numbers: Mapping[str, float | None], headings: Mapping[str, str]) -> list[str]:
    texts = []
    for name in headings:
        value = numbers.get(name)
        if value is None or not math.isfinite(value):
            texts.append("-")
        else:
            texts.append(f"{value:.2f}")
    return texts


def _explain_published(
    system: System, columns: Sequence[tuple[str, str]], console: Console
) -> None:
    """Says of the first metric's label sets why nothing published stands beside them."""
    for metric, label in columns:
        reason = why_no_published_rows(system, (metric, label))
        if metric == columns[0][0] and reason is not None:
            console.print(f"no published rows beside {metric} {label}: {reason}", highlight=False)


def _curves(
    systems: Sequence[System], columns: Sequence[tuple[str, str]], without_worst: int
) -> dict[str, dict[str, np.ndarray]]:
    """Label set -> system -> errors of the first metric; refuses to leave out all of them."""
    curves: dict[str, dict[str, np.ndarray]] = {}
    for metric, label in columns:
        if metric == columns[0][0] and metric != "head_pose":
            errors = {system.name: errors_per_image(system, metric, label) for system in systems}
            for values in errors.values():
                without_largest(values, without_worst)
            curves[label] = errors
    return curves


def _write(
    folder: Path,
    systems: Sequence[System],
    tables: Mapping[tuple[str, str], Rows],
    curves: Mapping[str, Mapping[str, np.ndarray]],
    *,
    published: bool,
    without_worst: int,
) -> None:
    """Every number in ``comparison.csv``; a curve of the first metric per label set."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["metric", "labels", "system", "landmark_map", "number", "value"])
    for (metric, label), rows in tables.items():
        beside = _published_rows(systems[0], (metric, label)) if published else []
        for name, source, numbers in [*rows, *beside]:
            for number, value in numbers.items():
                if value is not None:
                    writer.writerow([metric, label, name, source, number, repr(float(value))])
    write_whole(folder / "comparison.csv", text.getvalue().encode())
    metric = next(iter(tables))[0]
    for label, errors in curves.items():
        write_error_curve(
            folder / f"error_curve_{label}.png",
            errors,
            title=f"{systems[0].benchmark}, {metric}, {label}",
            box=BENCHMARKS[systems[0].benchmark].box,
            without_worst=without_worst,
        )

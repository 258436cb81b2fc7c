"""What a comparison shows and leaves behind: a table and an error curve per label set, all numbers.

`comparison` says what may stand in one column.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from twodasl_jax.evaluation import report
from twodasl_jax.evaluation.benchmark_kinds import BENCHMARKS
from twodasl_jax.evaluation.comparison import (
    NUM_AFLW2000_3D,
    PUBLISHED,
    System,
    errors_per_image,
    why_no_published_rows,
)
from twodasl_jax.evaluation.pictures import write_error_curve
from twodasl_jax.evaluation.report import NME_HEADINGS, ROLL_HEADINGS, shown_number
from twodasl_jax.metrics.error_curve import without_largest
from twodasl_jax.whole_file import write_whole

NME_COLUMNS = {
    name: NME_HEADINGS[name].replace("mean of ", "mean of\n") for name in report.NME_COLUMNS
}
POSE_COLUMNS = {"yaw": "yaw", "pitch": "pitch", "roll": "roll", "mean": "mean"}
"""Name in ``results.json`` -> heading, as many as fit 80 characters beside the names."""

PUBLISHED_MARK = "published, not measured"

Rows = list[tuple[str, str, Mapping[str, float | None]]]
"""System, its landmark map, its numbers."""


def measured_rows(systems: Sequence[System], column: tuple[str, str]) -> Rows:
    """A row for each system, of one metric and label set."""
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


def comparison_table(
    system: System, column: tuple[str, str], rows: Rows, *, published: bool
) -> Table:
    """The systems below each other, by one metric and label set.

    Args:
      system: one of them, for benchmark and conventions.
      column: metric and label set.
      rows: from `measured_rows`.
      published: add the numbers of papers, where they are of the same conventions.
    """
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
        table.add_row(name, short, *(shown_number(numbers.get(key)) for key in headings))
    if beside:
        table.add_section()
    for name, _mark, numbers in beside:
        shown = (shown_number(numbers.get(key)) for key in headings)
        table.add_row(name, "published", *shown, style="italic")
    return table


def roll_table(column: tuple[str, str], rows: Rows) -> Table:
    """The same systems by how far heads are turned in the picture's plane; a dash is unknown."""
    title = f"by roll: {', '.join(column)}"
    table = Table(title=title, min_width=len(title), box=SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("system", overflow="fold")
    for name, heading in ROLL_HEADINGS.items():
        faces = rows[0][2].get(f"count_{name}")
        told = heading if faces is None else f"{heading}\n({faces:.0f} faces)"
        table.add_column(told, justify="right")
    for name, _source, numbers in rows:
        table.add_row(name, *(shown_number(numbers.get(key)) for key in ROLL_HEADINGS))
    return table


def explain_published(system: System, columns: Sequence[tuple[str, str]], console: Console) -> None:
    """Says of the first metric's label sets why nothing published stands beside them."""
    for metric, label in columns:
        reason = why_no_published_rows(system, (metric, label))
        if metric == columns[0][0] and reason is not None:
            console.print(f"no published rows beside {metric} {label}: {reason}", highlight=False)


def error_curves(
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


def write_comparison(
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

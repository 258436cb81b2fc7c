"""What an evaluation leaves behind as text: the table on the screen, and the result files."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from twodasl_jax.whole_file import write_whole

NME_HEADINGS = {
    "count": "faces",
    "bin_0_30": "0-30°",
    "bin_30_60": "30-60°",
    "bin_60_90": "60-90°",
    "mean_of_bins": "mean of bins",
    "mean_of_images": "mean of images",
    "std_of_bins": "std of bins",
    "mean_without_worst_20": "without worst 20",
    "failure_rate_10": "> 10 %",
    "auc_10": "AUC to 10 %",
}
"""Name in `twodasl_jax.metrics.nme.nme_summary` -> heading in every table."""

ROLL_HEADINGS = {
    "roll_0_15": "0-15°",
    "roll_15_45": "15-45°",
    "roll_45_90": "45-90°",
    "roll_90_180": "90-180°",
}
"""The same of `twodasl_jax.metrics.nme.roll_summary`."""

NME_COLUMNS = (
    *("bin_0_30", "bin_30_60", "bin_60_90"),
    *("mean_of_bins", "mean_of_images", "failure_rate_10"),
)
"""Those of one table: as many as fit 80 characters. ``results.json`` holds the others too."""

MEAN_COLUMNS, SPREAD_COLUMNS = (
    ("bin_0_30", "bin_30_60", "bin_60_90", "mean_of_bins", "mean_of_images"),
    ("count", "std_of_bins", "mean_without_worst_20", "failure_rate_10", "auc_10"),
)
"""All, in two tables."""


def nme_table(
    rows: Mapping[tuple[str, ...], Mapping[str, float]],
    *,
    title: str,
    box: str = "the true 68-point box",
) -> Table:
    """A table of NME summaries in %, each convention under its own name.

    Args:
      rows: labels of a row (moment, set, label set: as many for every row) -> its summary, from
        `twodasl_jax.metrics.nme.nme_summary`. A row that repeats a label of the row above shows
        it once.
      title: above the table; name benchmark and crop source here.
      box: what normalises the errors.

    Returns:
      For ``rich.console.Console.print``; an undefined number shows as a dash.

    Raises:
      ValueError: where rows have unequally many labels.
    """
    widths = {len(labels) for labels in rows}
    if len(widths) > 1:
        raise ValueError(f"rows have {sorted(widths)} labels; expected equally many in each")
    table = Table(title=title, caption=f"NME in % of sqrt(w·h) of {box}")
    for _ in range(max(widths, default=0)):
        table.add_column(no_wrap=True)
    table.add_column("faces", justify="right")
    for name in NME_COLUMNS:
        heading = NME_HEADINGS[name]
        table.add_column(heading, justify="right", style="bold" if name == "mean_of_bins" else None)
    above: tuple[str, ...] = ()
    for labels, summary in rows.items():
        shown = ["" if labels[: i + 1] == above[: i + 1] else labels[i] for i in range(len(labels))]
        numbers = [shown_number(summary[name]) for name in NME_COLUMNS]
        table.add_row(*shown, f"{summary['count']:.0f}", *numbers)
        above = labels
    return table


def shown_number(value: float | None, *, digits: int = 2) -> str:
    """A number of a table; what is undefined is a dash."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def write_results(path: str | Path, results: Mapping[str, Any]) -> None:
    """Writes ``results.json``, so that a killed process leaves the old file or the new one.

    Args:
      path: its folder is made.
      results: nested mappings, sequences, numbers (numpy's too) and strings. What is not finite
        becomes null: JSON has no NaN, and readers refuse it.

    Raises:
      OSError: where it cannot be written; the old file is left.
    """
    path = Path(path)
    text = json.dumps(json_value(results), indent=2, ensure_ascii=False, allow_nan=False)
    # A file's name that is no UTF-8 becomes an escape, which JSON has too.
    write_whole(path, (text + "\n").encode(errors="backslashreplace"))


def json_value(value: Any) -> Any:
    """The same value in JSON's own types: numpy unwrapped, what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): json_value(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return json_value(value.tolist())
    if isinstance(value, list | tuple):
        return [json_value(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def write_per_image(
    path: str | Path,
    file_names: Sequence[str],
    yaw_degrees: np.ndarray,
    columns: Mapping[str, np.ndarray],
) -> None:
    """Writes ``per_image.csv``: one row per face, empty where a number is not known.

    Args:
      path: its folder is made.
      file_names: n names, or other identifiers.
      yaw_degrees: ``(n,)``.
      columns: heading -> ``(n,)``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "yaw_degrees", *columns])
        for name, yaw, *numbers in zip(file_names, yaw_degrees, *columns.values(), strict=True):
            texts = (f"{number:.5f}" if math.isfinite(number) else "" for number in numbers)
            writer.writerow([name, f"{yaw:.3f}" if math.isfinite(yaw) else "", *texts])

"""Systems that differ in their seed alone, as one row: mean and spread of every number."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from twodasl_jax.evaluation.comparison import System
from twodasl_jax.evaluation.comparison_report import POSE_COLUMNS
from twodasl_jax.evaluation.report import NME_HEADINGS, shown_number
from twodasl_jax.whole_file import write_whole

SHOWN = {name: NME_HEADINGS[name] for name in ("bin_0_30", "bin_30_60", "bin_60_90")} | {
    "mean_of_bins": "mean of bins"
}
"""As many numbers with their spread as fit 80 characters; the file has all."""


class SeedGroup(NamedTuple):
    """Systems of the same settings.

    Attributes:
      name: of the first one.
      systems: one for each seed.
    """

    name: str
    systems: tuple[System, ...]

    def mean_and_spread(
        self, column: tuple[str, str], number: str
    ) -> tuple[float | None, float | None]:
        """Of a number of a metric and label set: the mean, and the standard deviation over seeds.

        The deviation is a sample's (n - 1). None is undefined: of one seed alone, or where the
        number is undefined for one.
        """
        metric, label = column
        values = [system.metrics[metric][label].get(number) for system in self.systems]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None, None
        return float(np.mean(known)), float(np.std(known, ddof=1)) if len(known) > 1 else None


def group_seeds(
    systems: Sequence[System], settings: Sequence[Mapping[str, Any]]
) -> list[SeedGroup]:
    """Puts systems together whose settings are the same but for the seed.

    Args:
      systems: in the order that rows shall have.
      settings: what each was trained with, and which of its networks were scored: plain values,
        ``seed`` among them.

    Raises:
      ValueError: where two have the same settings and the same seed.
    """
    groups: dict[str, dict[Any, System]] = {}
    for system, chosen in zip(systems, settings, strict=True):
        key = json.dumps({name: chosen[name] for name in chosen if name != "seed"}, sort_keys=True)
        group, seed = groups.setdefault(key, {}), chosen["seed"]
        if seed in group:
            raise ValueError(
                f"{group[seed].name} and {system.name} have the same settings and the same seed "
                f"{seed}; give one of them"
            )
        group[seed] = system
    return [
        SeedGroup(next(iter(group.values())).name, tuple(group.values()))
        for group in groups.values()
    ]


def seeds_table(groups: Sequence[SeedGroup], column: tuple[str, str]) -> Table:
    """A row for each group: mean ± standard deviation over seeds.

    Args:
      groups: from `group_seeds`.
      column: metric and label set.
    """
    title = f"over seeds: {', '.join(column)}"
    table = Table(title=title, min_width=len(title), box=SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("system", overflow="fold")
    table.add_column("seeds", justify="right")
    shown = POSE_COLUMNS if column[0] == "head_pose" else SHOWN
    for name, heading in shown.items():
        table.add_column(heading, justify="right", style="bold" if name == "mean_of_bins" else None)
    for group in groups:
        cells = [_with_spread(*group.mean_and_spread(column, number)) for number in shown]
        table.add_row(group.name, str(len(group.systems)), *cells)
    return table


def _with_spread(mean: float | None, spread: float | None) -> str:
    return shown_number(mean) + ("" if spread is None else f" ± {shown_number(spread)}")


def write_seeds(
    path: Path, groups: Sequence[SeedGroup], columns: Sequence[tuple[str, str]]
) -> None:
    """Writes every number's mean and spread over seeds; empty where undefined."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["metric", "labels", "system", "seeds", "number", "mean", "std"])
    for column in columns:
        metric, label = column
        for group in groups:
            for number in group.systems[0].metrics[metric][label]:
                values = group.mean_and_spread(column, number)
                written = ("" if value is None else repr(value) for value in values)
                writer.writerow([*column, group.name, len(group.systems), number, *written])
    write_whole(path, text.getvalue().encode())

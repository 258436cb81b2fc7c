"""Compares systems that were scored on a benchmark: a table and a curve per label set."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from twodasl_jax.evaluation.benchmark_kinds import BENCHMARKS
from twodasl_jax.evaluation.comparison import (
    ERROR_CURVE,
    System,
    read_systems,
    require_same_conventions,
    shared_columns,
    unshared_columns,
)
from twodasl_jax.evaluation.comparison_report import (
    Rows,
    comparison_table,
    error_curves,
    explain_published,
    measured_rows,
    roll_table,
    write_comparison,
)
from twodasl_jax.evaluation.report import ROLL_HEADINGS
from twodasl_jax.evaluation.seeds import group_seeds, seeds_table, write_seeds
from twodasl_jax.experiment.scores.report import result_files, settings_of


def compare(
    *,
    results: Sequence[str],
    output: str | None,
    published: bool | None = None,
    without_worst: int | None = None,
    set_name: str | None = None,
    over_seeds: bool | None = None,
) -> None:
    """Prints the systems side by side; with a folder also writes tables and curves.

    Args:
      results: ``results.json`` of each system, ``per_image.csv`` beside it; that of a training run
        stands for its sets at the newest moment (`result_files`).
      output: folder for ``comparison.csv`` and the error curves; None only prints.
      without_worst: this many faces with each system's largest errors are left out of its error
        curve, and of nothing else.
      set_name: of training runs, this set alone.
      over_seeds: also show mean and spread of those that differ in their seed alone.
      published: show the numbers of papers too, where they are of the same conventions.

    Raises:
      FileNotFoundError, ValueError: one sentence; numbers of different conventions are refused.
    """
    if without_worst is not None and output is None:
        raise ValueError("--without_worst is of the error curves, which are drawn with --output")
    console = Console(markup=False, emoji=False)
    files = [file for path in results for file in result_files(Path(path), set_name=set_name)]
    systems = read_systems(files)
    for system, path in zip(systems, files, strict=True):
        if system.benchmark not in BENCHMARKS:
            raise ValueError(
                f"{path} is of the benchmark '{system.benchmark}'; expected one of "
                f"{', '.join(BENCHMARKS)}"
            )
    require_same_conventions(systems)
    columns = shared_columns(systems)
    curves = error_curves(systems, columns, without_worst or 0)
    tables = {column: measured_rows(systems, column) for column in columns}
    groups = group_seeds(systems, [settings_of(file) for file in files]) if over_seeds else []
    _print_tables(systems, tables, published=bool(published), console=console)
    for column in columns if groups else ():
        console.print(seeds_table(groups, column))
    if output is not None:
        if without_worst:
            console.print(
                f"error curves: without the {without_worst} largest errors of each system"
            )
        write_comparison(
            Path(output),
            systems,
            tables,
            curves,
            published=bool(published),
            without_worst=without_worst or 0,
        )
        if groups:
            write_seeds(Path(output) / "over_seeds.csv", groups, columns)
        console.print(f"tables and curves are in {output}")


def _print_tables(
    systems: Sequence[System],
    tables: Mapping[tuple[str, str], Rows],
    *,
    published: bool,
    console: Console,
) -> None:
    for column, rows in tables.items():
        console.print(comparison_table(systems[0], column, rows, published=published))
        if any(name in numbers for *_, numbers in rows for name in ROLL_HEADINGS):
            console.print(roll_table(column, rows))
    for key, value in systems[0].conventions.items():
        if key not in ("landmark_map_source", ERROR_CURVE):
            console.print(f"  {key}: {value}", highlight=False)
    for name, left in unshared_columns(systems).items():
        if left:
            console.print(f"not in every result, so not shown: {', '.join(left)} of {name}")
    if published:
        explain_published(systems[0], list(tables), console)

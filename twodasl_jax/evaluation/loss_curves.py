"""The numbers that a training logged, drawn over its steps."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from twodasl_jax.evaluation.figure_style import INK, LINE_COLOURS, plain_axes, save_figure

SHARE = "share/"
"""Begins the names of the terms' shares of the weighted sum."""


def write_loss_curves(
    path: str | Path,
    stages: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]],
    *,
    title: str,
) -> None:
    """Draws every logged number over the steps, a panel each, the stages one after the other.

    The terms' shares of the objective (`SHARE`) are one panel, of lines that add up to 1.

    Args:
      path: a PNG; its folder is made.
      stages: stage -> name -> ``[(step, value), ...]``, as
        `twodasl_jax.training.writers.read_metrics` reads them; in the order they were trained.
      title: above the panels.

    Raises:
      ValueError: where nothing was logged.
    """
    logged = list(dict.fromkeys(name for series in stages.values() for name in series))
    if not logged:
        raise ValueError("no metric was logged; expected at least one series to draw")
    shares = [name for name in logged if name.startswith(SHARE)]
    names = [name for name in logged if name not in shares]
    panels = len(names) + bool(shares)
    columns = min(3, panels)
    rows = -(-panels // columns)
    figure = Figure(figsize=(4.2 * columns, 2.5 * rows + 0.9), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    colours = {
        stage: LINE_COLOURS[1 + index % (len(LINE_COLOURS) - 1)]
        for index, stage in enumerate(stages)
    }
    for axes, name in zip(grid.flat, names, strict=False):
        _draw_series(axes, name, stages, colours)
    for axes in list(grid.flat)[panels:]:
        axes.set_visible(False)
    figure.suptitle(title, fontsize=13, color=INK)
    handles = {line.get_label(): line for axes in grid.flat for line in axes.get_lines()}
    figure.legend(
        [handles[stage] for stage in stages if stage in handles],
        [stage for stage in stages if stage in handles],
        loc="outside lower center",
        ncols=len(stages),
        frameon=False,
    )
    if shares:
        _draw_shares(grid.flat[len(names)], shares, stages)
    save_figure(figure, path)


def _draw_shares(
    axes: Axes,
    names: Sequence[str],
    stages: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]],
) -> None:
    """All terms in one panel; a colour is a term here, not a stage."""
    for index, name in enumerate(names):
        first_step, points = 0, []
        for series in stages.values():
            points += [(first_step + step, value) for step, value in series.get(name, ())]
            points.append((first_step + _last_step(series), math.nan))
            first_step += _last_step(series)
        axes.plot(
            *np.array(points, np.float64).T,
            color=LINE_COLOURS[index % len(LINE_COLOURS)],
            linestyle=("-", "--")[index // len(LINE_COLOURS) % 2],
            linewidth=1.5,
            label=name.removeprefix(SHARE),
        )
    axes.set_ylim(0, 1)
    axes.legend(fontsize=7, frameon=False)
    _label(axes, "share of the weighted sum")


def _last_step(series: Mapping[str, Sequence[tuple[int, float]]]) -> int:
    return max((step for points in series.values() for step, _ in points), default=0)


def _draw_series(
    axes: Axes,
    name: str,
    stages: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]],
    colours: Mapping[str, str],
) -> None:
    first_step, drawn = 0, []
    for stage, series in stages.items():
        if name in series:
            steps, values = np.array(series[name], np.float64).T
            axes.plot(first_step + steps, values, color=colours[stage], linewidth=1.5, label=stage)
            drawn.append(values)
        first_step += _last_step(series)
    values = np.concatenate(drawn)
    values = values[np.isfinite(values)]
    # A loss that falls by more than a decade shows only its start on a linear axis.
    if len(values) and values.min() > 0 and values.max() > 10 * values.min():
        axes.set_yscale("log")
    _label(axes, name)


def _label(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10, color=INK)
    axes.set_xlabel("step", fontsize=9, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    plain_axes(axes)

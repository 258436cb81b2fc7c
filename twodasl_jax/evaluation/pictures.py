"""What an evaluation leaves behind to look at: error curves, faces with landmarks, residuals."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from twodasl_jax.evaluation.figure_style import INK, LINE_COLOURS, plain_axes, save_figure
from twodasl_jax.metrics.error_curve import (
    area_under_curve,
    cumulative_error_curve,
    without_largest,
)

PREDICTED_COLOUR, TRUE_COLOUR = "#ff3b6b", "#35d07f"

_CONTOURS_68 = (
    (range(17), False),
    (range(17, 22), False),
    (range(22, 27), False),
    (range(27, 31), False),
    (range(31, 36), False),
    (range(36, 42), True),
    (range(42, 48), True),
    (range(48, 60), True),
    (range(60, 68), True),
)
"""Landmarks joined by a line, and whether it closes: jaw, brows, nose, eyes, lips."""


def write_error_curve(
    path: str | Path,
    curves: Mapping[str, np.ndarray],
    *,
    title: str,
    limit: float = 0.10,
    box: str = "the true 68-point box",
    without_worst: int = 0,
) -> None:
    """Draws cumulative error curves (share of faces under an NME) side by side.

    Args:
      path: a PNG; its folder is made.
      curves: name -> ``(n,)`` NME per face, fractions.
      title: name benchmark and label set here.
      limit: right end of the axis, a fraction.
      box: whose sqrt(w·h) the errors are divided by.
      without_worst: this many faces with each curve's largest errors are left out, of its mean
        and area too; the title says so.

    Raises:
      ValueError: where that leaves no face of a curve.
    """
    if without_worst:
        curves = {name: without_largest(nme, without_worst) for name, nme in curves.items()}
        title = f"{title}, without the {without_worst} largest errors"
    figure = Figure(figsize=(7, 4.8), layout="constrained")
    axes = figure.add_subplot()
    thresholds = np.linspace(0.0, limit, 501)
    for index, (name, nme) in enumerate(curves.items()):
        share = 100 * cumulative_error_curve(nme, thresholds)
        label = (
            f"{name}: mean {100 * np.mean(nme):.2f} %, AUC {100 * area_under_curve(nme, limit):.1f}"
        )
        colour = LINE_COLOURS[index % len(LINE_COLOURS)]
        axes.plot(100 * thresholds, share, label=label, color=colour, linewidth=2)
    axes.set(
        xlim=(0, 100 * limit),
        ylim=(0, 101),
        xlabel=f"NME, % of sqrt(w·h) of {box}",
        ylabel="faces with a smaller error, %",
    )
    axes.set_title(title, color=INK)
    plain_axes(axes)
    axes.legend(frameon=False, loc="best")
    save_figure(figure, path)


def best_median_worst(nme: np.ndarray, *, count: int) -> dict[str, np.ndarray]:
    """Indices of the best, the middle and the worst faces, each in the order of their error.

    Args:
      nme: ``(n,)``.
      count: faces in each group; fewer where n is under three times that.
    """
    order = np.argsort(nme, kind="stable")
    count = max(1, min(count, len(order) // 3)) if len(order) else 0
    middle = max(0, len(order) // 2 - count // 2)
    return {
        "best": order[:count],
        "median": order[middle : middle + count],
        "worst": order[len(order) - count :],
    }


def write_ranked_faces(
    path: str | Path,
    image: np.ndarray,
    predicted: np.ndarray,
    *,
    true: np.ndarray | None,
    nme: np.ndarray,
    title: str,
    count: int = 6,
) -> None:
    """Draws the best, median and worst faces with predicted and true landmarks, a row each.

    Args:
      path: a PNG; its folder is made.
      image: ``(n, size, size, 3)`` uint8 RGB crops.
      predicted: ``(n, m, 2)`` crop pixels; 68 points are joined by the lines of a face.
      true: ``(n, m, 2)`` crop pixels, NaN where a point is not visible, or None.
      nme: ``(n,)`` fractions; sorts the faces and stands above each.
      title: name benchmark, label set and moment here.
      count: faces per row.
    """
    groups = best_median_worst(nme, count=count)
    columns = max(len(members) for members in groups.values())
    figure = Figure(figsize=(1.9 * columns + 0.4, 2.15 * len(groups) + 0.75), layout="constrained")
    grid = figure.subplots(len(groups), columns, squeeze=False)
    for row, (name, members) in zip(grid, groups.items(), strict=True):
        for axes, face in zip(row, members, strict=True):
            _show_face(axes, image[face], predicted[face], None if true is None else true[face])
            axes.set_title(f"{100 * nme[face]:.2f} %", fontsize=9, color=INK, pad=2)
        row[0].set_ylabel(name, fontsize=11, color=INK)
    handles = {
        line.get_label(): line for line in grid[0, 0].get_lines() if line.get_label()[0] != "_"
    }
    figure.suptitle(title, fontsize=12, color=INK)
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=2, frameon=False
    )
    save_figure(figure, path, dpi=130)


def _show_face(
    axes: Axes, image: np.ndarray, predicted: np.ndarray, true: np.ndarray | None
) -> None:
    size = len(image)
    # A pixel's colour covers [i, i + 1): landmarks then lie on the picture as on the crop.
    axes.imshow(image, extent=(0, size, size, 0), interpolation="bilinear")
    sets = [(predicted, PREDICTED_COLOUR, "predicted")]
    if true is not None:
        sets.insert(0, (true, TRUE_COLOUR, "true"))
    for points, colour, name in sets:
        if len(points) != 68:
            axes.plot(points[:, 0], points[:, 1], ".", color=colour, markersize=5, label=name)
            continue
        for index, (contour, closes) in enumerate(_CONTOURS_68):
            line = points[[*contour, contour[0]] if closes else list(contour)]
            label = name if index == 0 else "_contour"
            axes.plot(line[:, 0], line[:, 1], color=colour, linewidth=1.1, alpha=0.95, label=label)
        axes.scatter(points[:, 0], points[:, 1], s=2.2, color=colour, linewidths=0)
    axes.set(xlim=(0, size), ylim=(size, 0), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def write_residual_histogram(
    path: str | Path,
    residual_percent: np.ndarray,
    yaw_degrees: np.ndarray,
    *,
    bins: Mapping[str, tuple[float, float]],
    limit: float,
    title: str,
) -> None:
    """Draws how well faces were fitted, a histogram per range of yaw.

    Args:
      path: a PNG; its folder is made.
      residual_percent: ``(n,)``.
      yaw_degrees: ``(n,)`` absolute.
      bins: name -> its range of yaw.
      limit: faces to its right were rejected; drawn as a line.
      title: above the picture.
    """
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    edges = np.linspace(0.0, 2.0 * limit, 61)
    for index, (name, (low, high)) in enumerate(bins.items()):
        chosen = residual_percent[(yaw_degrees >= low) & (yaw_degrees < high)]
        # The last bar holds everything beyond the axis: a bad fit must not vanish from sight.
        counts, _ = np.histogram(np.minimum(chosen, edges[-1]), edges)
        colour = LINE_COLOURS[1 + index % (len(LINE_COLOURS) - 1)]
        axes.stairs(counts, edges, color=colour, linewidth=1.8, label=f"{name}: {len(chosen)}")
    axes.axvline(limit, color=INK, linestyle="--", linewidth=1, label="rejected beyond")
    axes.set(xlabel="residual, % of sqrt(w·h) of the fitted 68-point box", ylabel="faces")
    axes.set_title(title, color=INK)
    plain_axes(axes)
    axes.legend(frameon=False)
    save_figure(figure, path)

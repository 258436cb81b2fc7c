"""The normalised mean error (NME) of landmarks and its summaries (evaluation.md's protocol).

``NME = mean_i ‖x_i - g_i‖₂ / sqrt(w·h)`` with w, h of the ground truth's 68-point box. In this
field "the mean" is the mean of the three yaw bins' means, the mean over images, or the mean
without the 20 worst: the summary names each. Host functions, in float64.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from twodasl_jax.metrics.error_curve import area_under_curve

YAW_BINS = {"0_30": (-np.inf, 30.0), "30_60": (30.0, 60.0), "60_90": (60.0, np.inf)}
"""``|yaw|`` in degrees, (from, to]: 30 belongs to the first bin and 60 to the second."""

ROLL_BINS = {"0_15": (-np.inf, 15.0), "15_45": (15.0, 45.0), "45_90": (45.0, 90.0)} | {
    "90_180": (90.0, np.inf)
}
"""``|roll|`` in degrees, (from, to]: how far a head is turned in the picture's plane."""

FAILURE_NME = 0.10
"""A face above this NME (a fraction) counts as failed."""

NUM_WORST_LEFT_OUT = 20

DepthAlignment = Literal["minimum", "mean"]


def normalised_mean_error(
    predicted: npt.ArrayLike, target: npt.ArrayLike, box_landmarks: npt.ArrayLike
) -> np.ndarray:
    """``mean_i ‖x_i - g_i‖ / sqrt(w·h)`` per face, a fraction (not %).

    Args:
      predicted: ``(b, n, d)`` points x, image pixels.
      target: ``(b, n, d)`` ground truth g.
      box_landmarks: ``(b, 68, 2)`` ground truth whose box normalises (further columns, such as
        depth, are not looked at).

    Returns:
      ``(b,)``.

    Raises:
      ValueError: where shapes do not fit, or a ground-truth box is empty.
    """
    predicted = np.asarray(predicted, np.float64)
    target = np.asarray(target, np.float64)
    box = np.asarray(box_landmarks, np.float64)[..., :2]
    if predicted.shape != target.shape or predicted.ndim != 3 or len(box) != len(target):
        raise ValueError(
            f"predicted {predicted.shape}, target {target.shape}, box_landmarks {box.shape}; "
            "expected (b, n, d) twice and (b, 68, 2)"
        )
    return np.linalg.norm(predicted - target, axis=-1).mean(axis=-1) / box_size(box)


def labelled_error(predicted: npt.ArrayLike, target: npt.ArrayLike) -> np.ndarray:
    """`normalised_mean_error` of the faces that have all of their labels, NaN for the others.

    Args:
      predicted: ``(b, 68, 2)`` image pixels.
      target: ``(b, 68, 2)`` ground truth, whose box normalises; NaN where a point is not labelled.

    Returns:
      ``(b,)``.

    Raises:
      ValueError: where shapes do not fit, or a ground-truth box is empty.
    """
    predicted, target = np.asarray(predicted, np.float64), np.asarray(target, np.float64)
    if predicted.shape != target.shape:
        raise ValueError(f"predicted {predicted.shape}, target {target.shape}; expected the same")
    known = np.isfinite(target).all(axis=(1, 2))
    errors = np.full(len(target), np.nan)
    errors[known] = normalised_mean_error(predicted[known], target[known], target[known])
    return errors


def box_size(points: npt.ArrayLike) -> np.ndarray:
    """``sqrt(w·h)`` of the box around points: what errors are divided by.

    Args:
      points: ``(b, n, 2)`` image pixels (further columns are not looked at), all known.

    Returns:
      ``(b,)`` pixels.

    Raises:
      ValueError: where a box is empty.
    """
    points = np.asarray(points, np.float64)[..., :2]
    sides = points.max(axis=1) - points.min(axis=1)
    size = np.sqrt(sides.prod(axis=-1))
    empty = np.flatnonzero(~(size > 0))
    if len(empty):
        raise ValueError(
            f"the ground-truth box of face {empty[0]} is {sides[empty[0]]} px; expected landmarks "
            "that span an area"
        )
    return size


def visible_mean_error(
    predicted: npt.ArrayLike, target: npt.ArrayLike, size: npt.ArrayLike
) -> np.ndarray:
    """``mean_i ‖x_i - g_i‖ / size`` over the points that are labelled, a fraction (not %).

    Args:
      predicted: ``(b, n, d)`` image pixels.
      target: ``(b, n, d)`` ground truth; NaN where a point is not visible.
      size: ``(b,)`` pixels, positive.

    Returns:
      ``(b,)``.

    Raises:
      ValueError: where shapes do not fit, a face has no visible point or a size is not positive.
    """
    predicted, target = np.asarray(predicted, np.float64), np.asarray(target, np.float64)
    size = np.asarray(size, np.float64)
    if predicted.shape != target.shape or predicted.ndim != 3 or size.shape != (len(target),):
        raise ValueError(
            f"predicted {predicted.shape}, target {target.shape}, size {size.shape}; expected "
            "(b, n, d) twice and (b,)"
        )
    visible: np.ndarray = np.asarray(np.isfinite(target).all(axis=-1))
    num_visible = visible.sum(axis=1)
    wrong = np.flatnonzero((num_visible == 0) | ~(size > 0))
    if len(wrong):
        raise ValueError(
            f"face {wrong[0]} has {num_visible[wrong[0]]} visible points and size "
            f"{size[wrong[0]]}; expected at least one and a positive size"
        )
    distance = np.linalg.norm(predicted - np.where(visible[..., None], target, 0.0), axis=-1)
    return (distance * visible).sum(axis=1) / num_visible / size


def align_depth(points: npt.ArrayLike, *, by: DepthAlignment) -> np.ndarray:
    """Moves points in depth: a camera without perspective cannot know their distance.

    Args:
      points: ``(b, n, 3)``.
      by: ``minimum``: the least z becomes 0 (as 2DASL's authors did, one point decides);
        ``mean``: the mean z does.

    Returns:
      ``(b, n, 3)`` float64.
    """
    points = np.array(points, np.float64)
    reference = points[..., 2].min if by == "minimum" else points[..., 2].mean
    points[..., 2] -= reference(axis=-1, keepdims=True)
    return points


def nme_summary(nme: npt.ArrayLike, yaw_degrees: npt.ArrayLike) -> dict[str, float]:
    """Every convention's number, each under its name; errors in %.

    Args:
      nme: ``(b,)`` fractions, from `normalised_mean_error`.
      yaw_degrees: ``(b,)`` that choose the bins.

    Returns:
      ``bin_0_30``, ``bin_30_60``, ``bin_60_90`` (mean NME of the bin), ``mean_of_bins`` (what
      papers call the mean), ``std_of_bins`` (population), ``mean_of_images``,
      ``mean_without_worst_20``, ``failure_rate_10`` (share above 10 %), ``auc_10`` (area under the
      error curve up to 10 %, as a share of the largest possible), and ``count``, ``count_0_30``,
      ``count_30_60``, ``count_60_90``. What is undefined is NaN: an empty bin, the mean of bins
      with one empty, the mean without 20 where there are no more than 20.

    Raises:
      ValueError: where the lengths differ or an error is not finite.
    """
    nme, yaw = np.asarray(nme, np.float64), np.abs(np.asarray(yaw_degrees, np.float64))
    if nme.shape != yaw.shape:
        raise ValueError(f"nme is {nme.shape} and yaw_degrees {yaw.shape}; expected (b,) twice")
    auc = area_under_curve(nme, FAILURE_NME)
    percent = 100.0 * nme
    means, counts = _binned(percent, yaw, YAW_BINS)
    bins = np.array(list(means.values()))
    best = np.sort(percent)[:-NUM_WORST_LEFT_OUT]
    return {
        **{f"bin_{name}": mean for name, mean in means.items()},
        "mean_of_bins": float(bins.mean()),
        "std_of_bins": float(bins.std()),
        "mean_of_images": float(percent.mean()),
        f"mean_without_worst_{NUM_WORST_LEFT_OUT}": float(best.mean())
        if len(best)
        else float("nan"),
        "failure_rate_10": 100.0 * float((nme > FAILURE_NME).mean()),
        "auc_10": 100.0 * auc,
        "count": float(len(nme)),
        **{f"count_{name}": count for name, count in counts.items()},
    }


def roll_summary(nme: npt.ArrayLike, roll_degrees: npt.ArrayLike) -> dict[str, float]:
    """The mean NME by how far heads are turned in the picture's plane, in %.

    Args:
      nme: ``(b,)`` fractions.
      roll_degrees: ``(b,)`` from -180 to 180; NaN belongs to no bin.

    Returns:
      ``roll_0_15``, ``roll_15_45``, ``roll_45_90``, ``roll_90_180``, NaN for an empty bin, and
      ``count_roll_0_15``, ….

    Raises:
      ValueError: where the lengths differ.
    """
    nme, roll = np.asarray(nme, np.float64), np.abs(np.asarray(roll_degrees, np.float64))
    if nme.shape != roll.shape:
        raise ValueError(f"nme is {nme.shape} and roll_degrees {roll.shape}; expected (b,) twice")
    means, counts = _binned(100.0 * nme, roll, ROLL_BINS)
    return {f"roll_{name}": mean for name, mean in means.items()} | {
        f"count_roll_{name}": count for name, count in counts.items()
    }


def _binned(
    values: np.ndarray, degrees: np.ndarray, bins: Mapping[str, tuple[float, float]]
) -> tuple[dict[str, float], dict[str, float]]:
    """Mean and number of the values in each bin of an angle; the mean of none is NaN."""
    means, counts = {}, {}
    for name, (low, high) in bins.items():
        members = values[(degrees > low) & (degrees <= high)]
        means[name] = float(members.mean()) if len(members) else float("nan")
        counts[name] = float(len(members))
    return means, counts

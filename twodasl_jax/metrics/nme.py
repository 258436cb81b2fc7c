"""The normalised mean error (NME) of landmarks and its summaries (evaluation.md's protocol).

``NME = mean_i ‖x_i - g_i‖₂ / sqrt(w·h)`` with w, h of the ground truth's 68-point box. In this
field "the mean" is the mean of the three yaw bins' means, the mean over images, or the mean
without the 20 worst: the summary names each. Host functions, in float64.
"""

import numpy as np
import numpy.typing as npt

from twodasl_jax.metrics.error_curve import area_under_curve

YAW_BINS = {"0_30": (-np.inf, 30.0), "30_60": (30.0, 60.0), "60_90": (60.0, np.inf)}
"""``|yaw|`` in degrees, (from, to]: 30 belongs to the first bin and 60 to the second."""

FAILURE_NME = 0.10
"""A face above this NME (a fraction) counts as failed."""

NUM_WORST_LEFT_OUT = 20


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
    sides = box.max(axis=1) - box.min(axis=1)
    normaliser = np.sqrt(sides.prod(axis=-1))
    empty = np.flatnonzero(~(normaliser > 0))
    if len(empty):
        raise ValueError(
            f"the ground-truth box of face {empty[0]} is {sides[empty[0]]} px; expected landmarks "
            "that span an area"
        )
    return np.linalg.norm(predicted - target, axis=-1).mean(axis=-1) / normaliser


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
    means, counts = {}, {}
    for name, (low, high) in YAW_BINS.items():
        members = percent[(yaw > low) & (yaw <= high)]
        means[f"bin_{name}"] = float(members.mean()) if len(members) else float("nan")
        counts[f"count_{name}"] = float(len(members))
    bins = np.array(list(means.values()))
    best = np.sort(percent)[:-NUM_WORST_LEFT_OUT]
    return {
        **means,
        "mean_of_bins": float(bins.mean()),
        "std_of_bins": float(bins.std()),
        "mean_of_images": float(percent.mean()),
        f"mean_without_worst_{NUM_WORST_LEFT_OUT}": float(best.mean())
        if len(best)
        else float("nan"),
        "failure_rate_10": 100.0 * float((nme > FAILURE_NME).mean()),
        "auc_10": 100.0 * auc,
        "count": float(len(nme)),
        **counts,
    }

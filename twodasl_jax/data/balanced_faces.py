"""Faces that are rarer than others drawn more often: profiles among photographs."""

from collections.abc import Sequence

import numpy as np

YAW_BIN_EDGES = (30.0, 60.0)
"""Degrees of absolute yaw between the bins, as AFLW2000-3D is scored."""


def rows_by_yaw(yaw_degrees: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """The faces of one epoch, some of them several times.

    A weight of 1.5 takes every second face of its bin twice: which ones depends on their order
    alone, so that a run that goes on has the same.

    Args:
      yaw_degrees: ``(n,)`` of all faces.
      weights: how often a face of each bin of `YAW_BIN_EDGES` comes, at least 0.

    Returns:
      ``(m,)`` ascending indices of faces.

    Raises:
      ValueError: for another number of weights, negative ones, or where no face is left.
    """
    given = np.asarray(weights, np.float64)
    if given.shape != (len(YAW_BIN_EDGES) + 1,) or not (given >= 0).all():
        raise ValueError(
            f"yaw_weights are {tuple(weights)}; expected {len(YAW_BIN_EDGES) + 1} numbers of at "
            f"least 0, for yaws up to {', up to '.join(f'{e:g}' for e in YAW_BIN_EDGES)} and "
            "beyond"
        )
    bins = np.digitize(np.abs(yaw_degrees), YAW_BIN_EDGES, right=True)
    counts = np.zeros(len(bins), int)
    for number, weight in enumerate(given):
        own = np.flatnonzero(bins == number)
        so_far = np.floor(weight * np.arange(len(own) + 1) + 1e-9).astype(int)
        counts[own] = np.diff(so_far)
    if not counts.any():
        raise ValueError(f"yaw_weights {tuple(weights)} leave none of {len(bins)} faces")
    return np.repeat(np.arange(len(bins)), counts)

"""The cumulative error curve: which share of faces is aligned better than a threshold."""

import numpy as np
import numpy.typing as npt


def cumulative_error_curve(errors: npt.ArrayLike, thresholds: npt.ArrayLike) -> np.ndarray:
    """Share of errors at or below each threshold.

    Args:
      errors: ``(n,)``, n > 0, finite.
      thresholds: ``(m,)`` in the errors' unit.

    Returns:
      ``(m,)`` in [0, 1].

    Raises:
      ValueError: for no errors or ones that are not finite.
    """
    ordered = np.sort(_checked(errors))
    positions = np.searchsorted(ordered, np.asarray(thresholds, np.float64), side="right")
    return positions / len(ordered)


def without_largest(errors: npt.ArrayLike, count: int) -> np.ndarray:
    """The errors without the `count` largest, in their order: the paper's curves leave out 20.

    Args:
      errors: ``(n,)``, n > 0, finite.
      count: from 0 to n - 1.

    Raises:
      ValueError: for errors as above, or a count that leaves nothing.
    """
    checked = _checked(errors)
    if not 0 <= count < len(checked):
        raise ValueError(
            f"the {count} largest of {len(checked)} errors cannot be left out; expected 0 to "
            f"{len(checked) - 1}"
        )
    kept = np.argsort(checked, kind="stable")[: len(checked) - count]
    return checked[np.sort(kept)]


def area_under_curve(errors: npt.ArrayLike, limit: float) -> float:
    """Area under the cumulative error curve from 0 to `limit`, divided by `limit`.

    Exact, not sampled: the curve is a staircase, so the area is ``mean(max(0, 1 - e/limit))``.

    Args:
      errors: ``(n,)``, n > 0, finite, non-negative.
      limit: positive, in the errors' unit.

    Returns:
      In [0, 1]; 1 where every error is 0.
    """
    if not limit > 0:
        raise ValueError(f"limit is {limit}; expected a positive error")
    return float(np.maximum(0.0, 1.0 - _checked(errors) / limit).mean())


def _checked(errors: npt.ArrayLike) -> np.ndarray:
    errors = np.asarray(errors, np.float64)
    if errors.ndim != 1 or not len(errors) or not np.isfinite(errors).all():
        raise ValueError(
            f"errors of shape {errors.shape} with {int((~np.isfinite(errors)).sum())} not finite; "
            "expected a non-empty list of finite numbers"
        )
    return errors

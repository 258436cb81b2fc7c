"""Which labelled faces can be faces of their pictures; a set of another convention is refused."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from twodasl_jax.data.label_checks import why_no_face, why_outside, why_unusable
from twodasl_jax.data.label_sets import smaller_copies, why_not_of_pictures
from twodasl_jax.data.shown_faces import eye_contrast, pictures_prefer
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_68

FEWEST_POINTS = 8
"""A face with fewer labelled points than this is left out: pose alone has six unknowns."""

MOST_PICTURES = 64
"""Pictures that are looked at to decide between two readings of a set's labels."""


class Selection(NamedTuple):
    """What is left of a set.

    Attributes:
      kept: ``(n,)`` rows of the faces that can be fitted.
      picture_size: ``(n, 2)`` of their pictures, NaN where unreadable.
      left_out: name and reason of the others.
    """

    kept: np.ndarray
    picture_size: np.ndarray
    left_out: tuple[tuple[str, str], ...]


def select_faces(
    names: np.ndarray,
    points: np.ndarray,
    *,
    where: str,
    sizes_of: Callable[[np.ndarray], np.ndarray],
    read_picture: Callable[[int], np.ndarray | None],
    reach: Callable[[np.ndarray], np.ndarray] = lambda points: points,
) -> Selection:
    """Leaves out what is no face of its picture, face by face, with reasons.

    Args:
      names: ``(n,)`` file names.
      points: ``(n, m, 2)`` pixels of the pictures, NaN where not known; m is 68, 18 or both.
      where: the labels come from, for messages.
      sizes_of: rows -> ``(rows, 2)`` width and height of their pictures.
      read_picture: row -> its picture; None where unreadable.
      reach: labels -> the same, NaN where one is an annotator's slip.

    Raises:
      ValueError: where none is left, or most faces share a mistake; with its likely cause.
    """
    reasons: dict[int, str] = {}

    def leave_out(rows: np.ndarray, why: Callable[[int], str | None]) -> np.ndarray:
        found = {int(row): reason for row in rows if (reason := why(int(row))) is not None}
        reasons.update(found)
        rows = np.array([row for row in rows if int(row) not in found], int)
        if not len(rows):
            row, reason = next(iter(reasons.items()))
            raise ValueError(
                f"none of the {len(names)} faces of {where} can be fitted; the first, "
                f"{names[row]}: {reason}"
            )
        return rows

    rows = np.arange(len(names))
    rows = leave_out(rows, lambda row: why_unusable(points[row], fewest=FEWEST_POINTS))
    size = np.full((len(names), 2), np.nan)
    size[rows] = sizes_of(rows)
    wrong = why_not_of_pictures(points[rows], size[rows])
    if wrong is None:
        wrong = _why_of_smaller_copies(points, size, rows, read_picture)
    if wrong is not None:
        raise ValueError(f"{where}: {wrong} (the first face is {names[rows[0]]})")
    rows = leave_out(rows, lambda row: why_outside(points[row], size[row]))
    near = reach(points)
    rows = leave_out(rows, lambda row: why_unusable(near[row], fewest=FEWEST_POINTS))
    rows = leave_out(rows, lambda row: why_no_face(near[row]))
    left_out = tuple((str(names[row]), reason) for row, reason in sorted(reasons.items()))
    return Selection(rows, size[rows], left_out)


def _why_of_smaller_copies(
    points: np.ndarray,
    size: np.ndarray,
    rows: np.ndarray,
    read_picture: Callable[[int], np.ndarray | None],
) -> str | None:
    larger = smaller_copies(points[rows], size[rows])
    if larger is None:
        return None
    if pictures_show(points[rows], larger.points, lambda index: read_picture(int(rows[index]))):
        return None
    return f"the labels of {len(rows)} faces {larger.cause}"


def pictures_show(
    given: np.ndarray, other: np.ndarray, read_picture: Callable[[int], np.ndarray | None]
) -> bool:
    """Whether the pictures show faces at the labels rather than at another reading of them.

    Args:
      given: ``(n, m, 2)`` pixels, NaN where not known.
      other: the same by another reading.
      read_picture: row -> its picture; None where unreadable.
    """
    contrasts = reading_contrasts((given, other), read_picture)
    return bool(len(contrasts)) and pictures_prefer(contrasts[:, 0], contrasts[:, 1])


def reading_contrasts(
    readings: Sequence[np.ndarray], read_picture: Callable[[int], np.ndarray | None]
) -> np.ndarray:
    """How clearly some of the pictures show a face at each reading of their labels.

    Args:
      readings: ``(n, m, 2)`` each, pixels, NaN where not known.
      read_picture: row -> its picture; None where unreadable.

    Returns:
      ``(pictures, readings)`` of `eye_contrast`, of up to `MOST_PICTURES` readable ones.
    """
    count, found = len(readings[0]), []
    rows = np.unique(np.linspace(0, count - 1, MOST_PICTURES).astype(int)) if count else ()
    for row in rows:
        picture = read_picture(int(row))
        if picture is not None:
            found.append([eye_contrast(picture, _eighteen(points[row])) for points in readings])
    return np.array(found).reshape(-1, len(readings))


def _eighteen(points: np.ndarray) -> np.ndarray:
    if len(points) == 18:
        return points
    from_68 = points[LANDMARKS_18_FROM_68].mean(axis=1)
    return from_68 if len(points) == 68 else np.where(np.isfinite(from_68), from_68, points[68:])

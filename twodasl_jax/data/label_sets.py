"""What the labels of a whole set tell: mistakes that most of its faces share have one cause.

A single odd face is left out. Where most faces are odd in the same way, the labels are of another
convention than the one expected, and what is left of them would be wrong too: the set is refused
with the likeliest cause.
"""

from typing import NamedTuple

import numpy as np

from twodasl_jax.data.label_checks import LEAST_INSIDE, LEAST_SIDE_PX, MOSTLY_INSIDE, share_inside

FEWEST_FACES = 8
"""So many faces are needed before where and how they lie counts as evidence: one photograph may be
turned or show a face in its corner, eight of eight are no chance."""


class Alternative(NamedTuple):
    """Another reading of the labels.

    Attributes:
      points: ``(n, m, 2)`` what the labels would be.
      cause: what is wrong if they are that.
    """

    points: np.ndarray
    cause: str


def why_not_of_pictures(points: np.ndarray, size: np.ndarray) -> str | None:
    """Whether most labels have no face's size, or lie beside their pictures.

    Args:
      points: ``(n, m, 2)`` pixels, NaN where not known; of faces with enough finite points.
      size: ``(n, 2)`` width and height of each face's picture, NaN where it cannot be read.

    Returns:
      How many, what they have in common, and its likely cause; None where all is well.
    """
    if not len(points):
        return None
    sides = np.nanmax(np.nanmax(points, axis=1) - np.nanmin(points, axis=1), axis=1)
    tiny = sides < LEAST_SIDE_PX
    if tiny.mean() > 0.5:
        cause = "are they pixels of these pictures?"
        if np.median(sides) > 0 and np.nanmedian(np.nanmax(np.abs(points), axis=(1, 2))) <= 1.5:
            cause = "they look like shares of the picture's size: multiply them by width and height"
        median = np.median(sides[tiny])
        return f"the labels of {tiny.sum()} of {len(points)} faces span {median:.2g} px; {cause}"
    small = (size < LEAST_SIDE_PX).any(axis=1)
    if small.mean() > 0.5:
        width, height = size[small][0]
        counts = f"{small.sum()} of {len(points)} faces"
        return f"the pictures of {counts} are {width:.0f} x {height:.0f} px"
    share = share_inside(points, size)
    limit = MOSTLY_INSIDE if len(points) >= FEWEST_FACES else LEAST_INSIDE
    outside = share < limit  # NaN, of an unreadable picture, is not
    if outside.mean() > 0.5:
        cause = _why_outside(points[outside], size[outside])
        counts = f"{outside.sum()} of {len(points)} faces"
        return f"the labels of {counts} lie outside their pictures; {cause}"
    return None


def _why_outside(points: np.ndarray, size: np.ndarray) -> str:
    for alternative in _readings(points, size):
        if np.median(share_inside(alternative.points, size)) > MOSTLY_INSIDE:
            return alternative.cause
    return "are they of other pictures, or shifted?"


def _readings(points: np.ndarray, size: np.ndarray) -> list[Alternative]:
    negative = points * np.array([1.0, -1.0])
    readings = [
        Alternative(negative, "y is negative: it points down from the upper edge here"),
        Alternative(points[..., ::-1], "x and y look exchanged: (x, y) is expected"),
    ]
    highest, lowest = np.nanmax(points, axis=1), np.nanmin(points, axis=1)
    reach = np.median(highest / size, axis=0)
    factor = float(np.median((highest / size).max(axis=1)))
    sides = np.median((highest - lowest).max(axis=1) / size.min(axis=1))
    # Labels that are only far away would be tiny when scaled down; shifted ones leave by one edge.
    if factor > 1 and sides / factor > 0.1 and reach.min() > 0.8:
        cause = "they look like those of larger copies of the pictures: scale them to these"
        readings.append(Alternative(points / (1.02 * factor), cause))
    return readings


def smaller_copies(points: np.ndarray, size: np.ndarray) -> Alternative | None:
    """The labels scaled up, where all lie in the pictures' upper left quarter.

    So lie labels of smaller copies, such as 120 x 120 crops. Photographs may have their faces there
    by chance or by their framing, so the pictures have the last word (`data.shown_faces`).

    Args:
      points: ``(n, m, 2)`` pixels, NaN where not known.
      size: ``(n, 2)`` width and height.

    Returns:
      The larger labels, or None where they lie elsewhere or the set is small.
    """
    readable = np.isfinite(size).all(axis=1)
    if readable.sum() < FEWEST_FACES:
        return None
    reach = np.nanmax(points[readable], axis=1) / size[readable]
    farthest = np.percentile(reach, 95, axis=0)
    if (farthest > 0.5).any():
        return None
    width, height = np.nanmax(points[readable], axis=(0, 1))
    cause = (
        f"all lie in the upper left {width:.0f} x {height:.0f} px of larger pictures: they look "
        "like those of smaller copies; scale them to these pictures"
    )
    return Alternative(points * (0.9 / farthest.max()), cause)

"""Whether pictures show faces where the labels say: eyes and brows are darker than cheeks.

Labels that are turned, mirrored or scaled as a whole can be as good a face as the right ones; then
only the picture can tell. One face tells little (of 778 AFLW faces 97 % have darker eyes where they
are labelled, and 79 % where the labels are turned by 180 degrees), a set of them much.
"""

import cv2
import numpy as np

MOST_PREFER = 0.6
"""Share of faces whose pictures must show more contrast at one reading of the labels than at
another to decide between them; half do by chance, 79 % or more of AFLW's for right labels."""

OVERRULES = 0.7
"""Share from which pictures overrule labels that nothing else speaks against. At most 21 % of
AFLW's prefer labels that are mirrored or turned by 90 or 180 degrees to the right ones."""

_SIDES = ((7, 1, 15), (10, 4, 17))
"""Eye centre, middle of the brow and mouth corner of either side, among the 18 landmarks."""


def eye_contrast(picture: np.ndarray, landmarks18: np.ndarray) -> float:
    """How much brighter the cheeks are than eyes and brows, in grey levels.

    Args:
      picture: ``(h, w, 3)`` uint8 RGB.
      landmarks18: ``(18, 2)`` pixels of it, NaN where not known.

    Returns:
      The mean of the sides that are known and in the picture; 0 where none is.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    side = np.nanmax(landmarks18, axis=0) - np.nanmin(landmarks18, axis=0)
    radius = max(1, round(0.03 * float(side.max())))
    found = []
    for eye, brow, corner in _SIDES:
        cheek = (landmarks18[eye] + landmarks18[corner]) / 2
        values = [
            _patch_mean(grey, point, radius)
            for point in (cheek, landmarks18[eye], landmarks18[brow])
        ]
        if np.isfinite(values).all():
            found.append(values[0] - (values[1] + values[2]) / 2)
    return float(np.mean(found)) if found else 0.0


def _patch_mean(grey: np.ndarray, point: np.ndarray, radius: int) -> float:
    if not (np.isfinite(point).all() and (point >= 0).all() and (point < grey.shape[::-1]).all()):
        return float("nan")
    x, y = (int(value) for value in point)
    patch = grey[max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1]
    return float(patch.mean())


def pictures_prefer(
    given: np.ndarray, other: np.ndarray, *, least_share: float = MOST_PREFER
) -> bool:
    """Whether most pictures show faces at one reading of the labels rather than at another.

    Args:
      given: ``(n,)`` contrasts of `eye_contrast` at the one.
      other: ``(n,)`` at the other.
      least_share: of the pictures that must show more contrast at the one.

    Returns:
      False where the pictures cannot tell, as for pictures of one colour.
    """
    return bool(np.mean(given > other) > least_share)

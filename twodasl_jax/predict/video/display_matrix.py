"""How a video asks to be shown: its display matrix, by which stored frames become upright ones.

Phones store frames as the sensor lies and note how to turn them; front cameras and editors mirror
by the same note. The 3 x 3 matrix (ISO/IEC 14496-12, 8.3.2) carries a stored position ``(p, q)``,
right and down, to ``x = a·p + c·q`` and ``y = b·p + d·q``; its first row is ``a, b, u`` and its
second ``c, d, v``. Its shifts are left out: they move the whole picture.
"""

import math

import cv2
import numpy as np

_LARGEST_REST_DEGREES = 1.0
"""A turn so near to a quarter turn is one: FFmpeg's own bound."""


def as_displayed(image: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """A stored frame as it is to be looked at: turned by quarters and mirrored.

    Of a matrix that asks for another turn the nearest quarter turn is taken (`odd_turn`).

    Args:
      image: ``(height, width, channels)``.
      matrix: ``(3, 3)`` of any scale, None for none; one that names no direction turns nothing.

    Returns:
      ``(height, width, channels)``, or ``(width, height, channels)`` where it is laid on its side.
    """
    if matrix is None:
        return image
    (a, b), (c, d) = np.asarray(matrix, np.float64)[:2, :2]
    if abs(b) + abs(c) > abs(a) + abs(d):
        # The new row is the old column, by b; the new column is the old row, by c.
        image, across, down = image.swapaxes(0, 1), c, b
    else:
        across, down = a, d
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])


def odd_turn(matrix: np.ndarray | None) -> str | None:
    """What to say of a matrix that asks for another turn than by quarters; None of the others.

    Args:
      matrix: as for `as_displayed`.
    """
    if matrix is None:
        return None
    (a, b), _ = np.asarray(matrix, np.float64)[:2, :2]
    degrees = math.degrees(math.atan2(b, a))
    if abs(degrees - 90.0 * round(degrees / 90.0)) <= _LARGEST_REST_DEGREES:
        return None
    return f"it asks to be turned by {degrees:.0f}°: the nearest quarter turn was taken"


def fitted(image: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """A picture brought to a size, its proportions kept, with black beside or above it.

    Args:
      image: ``(h, w, 3)`` uint8; returned as it is where the size is right.
      height: of the result, pixels.
      width: of the result, pixels.
    """
    if image.shape[:2] == (height, width):
        return image
    scale = min(height / image.shape[0], width / image.shape[1])
    rows, columns = (max(1, round(side * scale)) for side in image.shape[:2])
    framed = np.zeros((height, width, 3), np.uint8)
    top, left = (height - rows) // 2, (width - columns) // 2
    framed[top : top + rows, left : left + columns] = cv2.resize(
        image, (columns, rows), interpolation=cv2.INTER_AREA
    )
    return framed

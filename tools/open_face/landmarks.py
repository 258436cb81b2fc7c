"""Where the 68 landmarks of iBUG lie on the mean head: read off a millimetre grid by eye.

Positions are of the image's left half (x ≤ 0) and the midline, in millimetres from between
the eyes; the nearest fitting vertex is taken, and the right half is its mirror image.
"""

import numpy as np

from tools.open_face.region import Region
from twodasl_jax.landmark_tables import MIRROR_68

CONTOUR = {
    0: (-71, -1, -46),
    1: (-70, -19, -43),
    2: (-67, -38, -40),
    3: (-62, -57, -34),
    4: (-54, -75, -24),
    5: (-43, -90, -13),
    6: (-30, -101, -2),
    7: (-15, -107, 8),
    8: (0, -109, 12),
}
"""Landmark -> (x, y, z): the jaw line."""

FRONT = {
    17: (-51, 8),
    18: (-44, 14),
    19: (-34, 16.5),
    20: (-24, 15.5),
    21: (-13.5, 11.5),
    27: (0, 1),
    28: (0, -11),
    29: (0, -22.5),
    30: (0, -34),
    31: (-13.5, -43),
    32: (-7, -45.5),
    33: (0, -48.5),
    36: (-42.5, -1),
    37: (-36, 3),
    38: (-26.5, 2.5),
    39: (-18.5, -3),
    40: (-26, -5.5),
    41: (-35.5, -5),
    48: (-23.5, -68.5),
    49: (-14, -61.5),
    50: (-5.5, -58),
    51: (0, -59),
    57: (0, -80),
    58: (-6.5, -79.5),
    59: (-14.5, -77),
}
"""Landmark -> (x, y) as seen from the front."""

INNER_LIPS = {60: (-20.5, -68), 61: (-8, -66.8), 62: (0, -67), 66: (0, -67.5), 67: (-8, -67.5)}
"""Landmark -> (x, y): on the line where the lips meet, 61-62 above it, 66-67 below."""

UPPER, LOWER = (61, 62), (66, 67)


def choose_landmarks(points: np.ndarray, region: Region, jaw_drop: np.ndarray) -> np.ndarray:
    """Vertex of each landmark.

    Args:
      points: ``(n, 3)`` mean vertices of the region.
      region: the kept surface.
      jaw_drop: ``(n,)`` how far each vertex sinks when the jaw opens, millimetres.

    Returns:
      ``(68,)`` vertex indices, mirror-symmetric.
    """
    midline = region.mirror == np.arange(len(points))
    skin = ~region.is_inside & ~region.is_eye
    in_front = skin & (points[:, 2] > -30)
    chosen = np.full(68, -1)
    for landmark, place in CONTOUR.items():
        chosen[landmark] = _nearest(points, place, skin, midline, landmark)
    for landmark, place in FRONT.items():
        chosen[landmark] = _nearest(points, place, in_front, midline, landmark)
    falls = jaw_drop > 0.35 * jaw_drop.max()
    for landmark, place in INNER_LIPS.items():
        fits = in_front.copy()
        if landmark in UPPER:
            fits &= ~falls
        if landmark in LOWER:
            fits &= falls
        chosen[landmark] = _nearest(points, place, fits, midline, landmark)
    left = np.flatnonzero(chosen < 0)
    chosen[left] = region.mirror[chosen[MIRROR_68[left]]]
    return chosen


def _nearest(
    points: np.ndarray,
    place: tuple[float, ...],
    fits: np.ndarray,
    midline: np.ndarray,
    landmark: int,
) -> int:
    """The nearest fitting vertex; landmarks that are their own mirror image stay on the midline."""
    on_midline = MIRROR_68[landmark] == landmark
    candidates = np.flatnonzero(fits & (midline if on_midline else ~midline))
    offset = points[candidates][:, : len(place)] - np.array(place)
    return int(candidates[np.linalg.norm(offset, axis=1).argmin()])

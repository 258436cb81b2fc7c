"""Small faces and large ones: a detector that knows faces of one size, shown a picture at several.

A small copy of the picture shows the large faces within milliseconds. Only where it shows none, or
hints at small ones, a larger copy is looked at: in tiles, so that memory does not grow with it.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from twodasl_jax.predict.faces.centerface import Detections, join, without_doubles

FindFaces = Callable[..., Detections]
"""``(h, w, 3)`` uint8 RGB and ``least_score=`` to what is seen in it."""

LEAST_SCORE = 0.35
"""Of a face. Drawn backgrounds and photographs without a face reach 0.3 at no size."""

_SURE_SCORE = 0.5
_HINT_SCORE = 0.1
"""With a sure face, a small one that has so much asks for a closer look."""


class Level(NamedTuple):
    """A copy of the picture.

    Attributes:
      side: its longer side, pixels.
      small: box sides below this are better seen at the next level, pixels.
      large: above this they were better seen at the level before, pixels.
    """

    side: int
    small: float
    large: float


LEVELS = (Level(224, 36.0, np.inf), Level(640, 30.0, 250.0), Level(2048, 0.0, 250.0))

QUICK_LEVELS = LEVELS[:2]
"""Without the largest copy, whose tiles are a hundred times the work of the smallest."""

_LARGEST_ENLARGEMENT = 2.0
"""Faces of 20 pixels are found in a picture of twice the size."""

_LEAST_STEP = 1.4
"""A copy that is larger by less than this shows nothing new."""

_TILE, _TILE_OVERLAP = 640, 160

_INSIDE = 0.6
"""Of a small box that lies in a face seen before: a part of that face."""


def find_at_all_scales(
    find: FindFaces, image: np.ndarray, *, levels: tuple[Level, ...] = LEVELS, closer: bool = False
) -> Detections:
    """Finds the faces of a photograph, large and small.

    Args:
      find: the detector.
      image: ``(height, width, 3)`` uint8 RGB.
      levels: copies to look at, from small to large.
      closer: look at all of them, whatever the smaller ones show.

    Returns:
      The surest first, image pixels.
    """
    longer = max(image.shape[:2])
    sides = [min(level.side, round(_LARGEST_ENLARGEMENT * longer)) for level in levels]
    faces, seen_side = join([]), 0
    for level, side in zip(levels, sides, strict=True):
        if seen_side and side < _LEAST_STEP * seen_side:
            break
        seen, seen_side = _find_at(find, image, side), side
        sizes = _sizes(seen) * (side / longer)
        taken = (seen.scores >= LEAST_SCORE) & (sizes <= level.large)
        new = seen.where(taken)
        faces = without_doubles(join([faces, new.where(~_are_parts(new, of=faces))]))
        hints = seen.where((seen.scores >= _HINT_SCORE) & (sizes < level.small))
        is_clear = (faces.scores >= _SURE_SCORE).any() and not (~_are_parts(hints, of=faces)).any()
        if is_clear and not closer:
            break
    return faces


def _find_at(find: FindFaces, image: np.ndarray, side: int) -> Detections:
    """What is seen at a longer side, tile by tile; image pixels."""
    height, width = image.shape[:2]
    ratio = side / max(height, width)
    size = (max(round(width * ratio), 1), max(round(height * ratio), 1))
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    copy = image if size == (width, height) else cv2.resize(image, size, interpolation=how)
    parts = [
        find(copy[top : top + _TILE, left : left + _TILE], least_score=_HINT_SCORE).moved(
            np.array([left, top], np.float64), 1.0
        )
        for top in _tile_starts(size[1])
        for left in _tile_starts(size[0])
    ]
    return without_doubles(join(parts)).moved(np.zeros(2), 1 / ratio)


def _tile_starts(length: int) -> list[int]:
    """Where tiles begin that overlap and cover a side."""
    count = max(-(-(length - _TILE_OVERLAP) // (_TILE - _TILE_OVERLAP)), 1)
    return np.linspace(0, max(length - _TILE, 0), count).round().astype(int).tolist()


def _sizes(found: Detections) -> np.ndarray:
    """``(n,)`` sides of squares of the boxes' areas."""
    return np.sqrt((found.boxes[:, 2:] - found.boxes[:, :2]).prod(axis=1))


def _are_parts(found: Detections, *, of: Detections) -> np.ndarray:
    """``(n,)`` whether each box lies in a larger one of others and is no other view of it."""
    low = np.maximum(found.boxes[:, None, :2], of.boxes[None, :, :2])
    high = np.minimum(found.boxes[:, None, 2:], of.boxes[None, :, 2:])
    shared = (high - low).clip(0).prod(axis=2)
    areas, others = _sizes(found)[:, None] ** 2, _sizes(of)[None] ** 2
    return ((shared > _INSIDE * areas) & (areas < others / 2)).any(axis=1)

"""Cutting the 120x120 crop out of a photograph."""

import cv2
import numpy as np

from twodasl_jax.crop_frame import CROP_SIZE

LARGEST_AREA_RATIO = 12
"""A box may have this many times the photograph's area: it is cut out with its black surroundings,
so this bounds memory to 12 photographs; beyond it, less than a tenth of the crop is photograph."""

SMALLEST_AREA_BOUND = 1 << 20
"""Pixels that any box may have, whatever the photograph's size: 3 MB."""


def roi_box_from_landmarks(landmarks_px: np.ndarray) -> np.ndarray:
    """The training crop's box: ``r = max(w, h)/2``, ``L = 2√2·r`` around the box's centre.

    ``sx, sy = round(c - L/2)``, ``ex, ey = sx, sy + round(L)`` (method.md section 2).

    Args:
      landmarks_px: ``(n, 2)`` or ``(n, 3)`` image pixels, all known.

    Returns:
      ``(4,)`` float32 ``(sx, sy, ex, ey)``, whole numbers.

    Raises:
      ValueError: for another shape, or where a position is unknown.
    """
    points = np.asarray(landmarks_px, np.float64)
    if points.ndim != 2 or points.shape[1] not in (2, 3) or len(points) < 2:
        raise ValueError(f"the landmarks are {points.shape}; expected (n, 2) or (n, 3), n > 1")
    points = points[:, :2]
    if not np.isfinite(points).all():
        raise ValueError("the landmarks hold NaN; the crop rule needs all of them")
    lowest, highest = points.min(axis=0), points.max(axis=0)
    side = 2 * np.sqrt(2) * (highest - lowest).max() / 2
    start = np.round((lowest + highest) / 2 - side / 2)
    return np.concatenate([start, start + np.round(side)]).astype(np.float32)


def roi_box_from_detection(box: np.ndarray) -> np.ndarray:
    """The crop's box for a face detector's ``(x1, y1, x2, y2)``.

    ``o = (w + h)/2``; centre x, centre y + 0.14·o, side ``int(1.58·o)`` (method.md section 2).

    Returns:
      ``(4,)`` float32 ``(sx, sy, ex, ey)``.

    Raises:
      ValueError: where the numbers are no box.
    """
    box = np.asarray(box, np.float64)
    if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] <= box[:2]).any():
        raise ValueError(f"the detection is {box}; expected (x1, y1, x2, y2), x1 < x2, y1 < y2")
    x1, y1, x2, y2 = (float(value) for value in box)
    mean_side = (x2 - x1 + y2 - y1) / 2
    centre = np.array([(x1 + x2) / 2, (y1 + y2) / 2 + 0.14 * mean_side])
    side = int(1.58 * mean_side)
    start = centre - side / 2
    return np.concatenate([start, start + side]).astype(np.float32)


def detection_from_roi_box(roi_box: np.ndarray) -> np.ndarray:
    """The square detection that `roi_box_from_detection` turns into a (square) crop's box.

    Exact but for the rounding of the side to whole pixels there.

    Args:
      roi_box: ``(4,)`` ``(sx, sy, ex, ey)``.

    Returns:
      ``(4,)`` float32 ``(x1, y1, x2, y2)``.
    """
    start, end = np.asarray(roi_box[:2], np.float64), np.asarray(roi_box[2:], np.float64)
    side = float((end - start).mean()) / 1.58
    centre = (start + end) / 2 - np.array([0.0, 0.14 * side])
    return np.concatenate([centre - side / 2, centre + side / 2]).astype(np.float32)


def can_be_cut(roi_box: np.ndarray, *, height: int, width: int) -> bool:
    """Whether a box is small enough, beside an image, for `crop_image`."""
    area = float(np.prod(np.asarray(roi_box[2:], np.float64) - roi_box[:2]))
    return area <= max(LARGEST_AREA_RATIO * width * height, SMALLEST_AREA_BOUND)


def crop_image(image: np.ndarray, roi_box: np.ndarray, *, crop_size: int = CROP_SIZE) -> np.ndarray:
    """Cuts a box out of a photograph, black outside it, and resizes it to a crop bilinearly.

    The box is rounded to whole pixels first, as the 3DDFA family does.

    Args:
      image: ``(height, width, 3)`` uint8.
      roi_box: ``(4,)`` ``(sx, sy, ex, ey)`` image pixels; an oblong one is resized with unequal
        scales, as the published benchmark's clipped boxes are.
      crop_size: side of the crop, pixels.

    Returns:
      ``(crop_size, crop_size, 3)`` uint8.

    Raises:
      ValueError: for an image of another kind, an empty box, or one far larger than the image
        (`LARGEST_AREA_RATIO`).
    """
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise ValueError(f"the image is {image.shape} {image.dtype}; expected (h, w, 3) uint8")
    if np.shape(roi_box) != (4,) or not np.isfinite(roi_box).all():
        raise ValueError(f"the box is {roi_box}; expected four finite numbers (sx, sy, ex, ey)")
    sx, sy, ex, ey = (round(float(edge)) for edge in roi_box)
    height, width = image.shape[:2]
    if ex <= sx or ey <= sy:
        raise ValueError(f"the box {sx, sy, ex, ey} is empty; expected sx < ex and sy < ey")
    if not can_be_cut(np.array([sx, sy, ex, ey]), height=height, width=width):
        raise ValueError(
            f"the box {sx, sy, ex, ey} has over {LARGEST_AREA_RATIO} times the area of the "
            f"{width} x {height} image; expected a box around a face in it"
        )
    patch = np.zeros((ey - sy, ex - sx, 3), np.uint8)
    top, bottom, left, right = max(sy, 0), min(ey, height), max(sx, 0), min(ex, width)
    if bottom > top and right > left:
        patch[top - sy : bottom - sy, left - sx : right - sx] = image[top:bottom, left:right]
    return cv2.resize(patch, (crop_size, crop_size), interpolation=cv2.INTER_LINEAR)

"""From one frame to the next: where a face can be, and which face is which."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from twodasl_jax.data.face_crop import can_be_cut, roi_box_from_landmarks
from twodasl_jax.predict.faces.reconstruct import Reconstruction
from twodasl_jax.predict.faces.same_face import are_one, tight_box

SMALLEST_SIDE = 16.0
"""A crop with a shorter side, in pixels of the frame, holds no face that can be followed."""

_LEAST_OVERLAP = 0.3
"""Crops of one face in two successive frames share at least this much of their union."""


def is_plausible(
    face: Reconstruction, box: np.ndarray | None, image_shape: tuple[int, ...]
) -> bool:
    """Whether a face can have been predicted there.

    Most of it must lie in the picture, and it must be neither tiny nor far larger than the picture.
    From one frame to the next it must stay where it was, at about its size.

    Args:
      face: the prediction.
      box: ``(4,)`` the crop's box of the frame before, or None for a face that was searched.
      image_shape: of the frame.
    """
    points = face.landmarks_px
    if not np.isfinite(points).all():
        return False
    height, width = image_shape[:2]
    inside = ((points >= 0) & (points <= (width, height))).all(axis=1).mean()
    now = roi_box_from_landmarks(points)
    side = float(now[2] - now[0])
    if inside < 0.5 or not SMALLEST_SIDE <= side <= 2.0 * max(height, width):
        return False
    if not can_be_cut(now, height=height, width=width):  # twice the length of a long, low frame
        return False
    # At 25 frames per second half a head's size per frame is five metres a second.
    return box is None or (
        overlap(now, box) >= _LEAST_OVERLAP and 0.6 <= side / float(box[2] - box[0]) <= 1 / 0.6
    )


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two boxes ``(x1, y1, x2, y2)``."""
    shared = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    area = float(shared.clip(0).prod())
    both = float((first[2:] - first[:2]).prod() + (second[2:] - second[:2]).prod())
    return area / (both - area)


def overlap_of_faces(first: Reconstruction, second: Reconstruction) -> float:
    """Intersection over union of the boxes around two faces' landmarks, without margins."""
    return overlap(tight_box(first), tight_box(second))


def match_faces(faces: list[Reconstruction], found: list[Reconstruction]) -> dict[int, int]:
    """Which of `found` each face is: index by index, the pairs that together overlap the most."""
    if not faces or not found:
        return {}
    overlaps = np.array([[overlap_of_faces(face, other) for other in found] for face in faces])
    pairs = zip(*linear_sum_assignment(overlaps, maximize=True), strict=True)
    return {int(row): int(column) for row, column in pairs if are_one(faces[row], found[column])}

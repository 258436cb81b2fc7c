"""Whether two reconstructions are of one face."""

from collections.abc import Iterable

import numpy as np

from twodasl_jax.predict.reconstruct import Reconstruction

_SAME_FACE_COVER = 0.5
"""Of two framings of one face, the smaller lies in the larger by at least this share. Faces are
measured by their tight boxes: two heads side by side share less."""


def tight_box(face: Reconstruction) -> np.ndarray:
    """``(4,)`` around the landmarks, without the crop's margin, image pixels."""
    points = face.landmarks_px
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def are_one(first: Reconstruction, second: Reconstruction) -> bool:
    """Whether the smaller face's tight box lies in the larger one's by half of it or more."""
    boxes = tight_box(first), tight_box(second)
    shared = np.minimum(boxes[0][2:], boxes[1][2:]) - np.maximum(boxes[0][:2], boxes[1][:2])
    smaller = min(float((box[2:] - box[:2]).prod()) for box in boxes)
    return float(shared.clip(0).prod()) >= _SAME_FACE_COVER * smaller


def without_doubles(faces: Iterable[Reconstruction]) -> list[Reconstruction]:
    """The faces in their order, less those that are one with an earlier face."""
    kept: list[Reconstruction] = []
    for face in faces:
        if not any(are_one(face, other) for other in kept):
            kept.append(face)
    return kept

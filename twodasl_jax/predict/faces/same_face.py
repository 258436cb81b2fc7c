"""Whether two reconstructions are of one face."""

from collections.abc import Iterable

import numpy as np

from twodasl_jax.predict.faces.reconstruct import Reconstruction

_SAME_FACE_COVER = 0.5
"""Of two framings of one face, the smaller lies in the larger by at least this share. Faces are
measured by their tight boxes: two heads side by side share less."""

_SAME_EYES = 0.25
"""The middles of the eyes of two fits of one head are less apart than so much of the face's size.
A fit that lies the wrong way up on a head shares its eyes, and not much more than these."""


def tight_box(face: Reconstruction) -> np.ndarray:
    """``(4,)`` around the landmarks, without the crop's margin, image pixels."""
    points = face.landmarks_px
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def are_one(first: Reconstruction, second: Reconstruction) -> bool:
    """Whether two fits are of one face: framed as one, or of the same eyes.

    That is, the smaller one's tight box lies in the larger one's by half of it or more, or the
    middles of their eyes are less than a quarter of the smaller one's size apart.
    """
    boxes = tight_box(first), tight_box(second)
    shared = np.minimum(boxes[0][2:], boxes[1][2:]) - np.maximum(boxes[0][:2], boxes[1][:2])
    smaller = min(float((box[2:] - box[:2]).prod()) for box in boxes)
    if float(shared.clip(0).prod()) >= _SAME_FACE_COVER * smaller:
        return True
    apart = np.linalg.norm(_middle_of_eyes(first) - _middle_of_eyes(second))
    return bool(apart < _SAME_EYES * np.sqrt(smaller))


def _middle_of_eyes(face: Reconstruction) -> np.ndarray:
    return face.landmarks_px[36:48].mean(axis=0)


def without_doubles(faces: Iterable[Reconstruction]) -> list[Reconstruction]:
    """The faces in their order, less those that are one with an earlier face."""
    kept: list[Reconstruction] = []
    for face in faces:
        if not any(are_one(face, other) for other in kept):
            kept.append(face)
    return kept

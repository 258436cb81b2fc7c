"""How far a fit can be trusted: an estimated probability that its landmarks are right.

A detector's score says that its box holds a face, and nothing of the fit. The fit itself is asked:
the network sees the face a second time, in another view (`second_view`: mirrored, turned by 20
degrees, a little smaller), and a right fit comes out the same, because the network follows the
face; a wrong one follows the crop. On 400 turned, shifted, hidden AFLW faces and two networks its
disagreement alone told fits with an NME under 10 % from others with an area under the ROC curve of
0.92 and 0.93; the norm of the whitened coefficients had 0.61 and 0.76, a mirrored view without a
turn 0.88 and 0.84, the first pass against the second 0.89 and 0.79.

    p = σ(b + w₁·log(disagreement + 0.5 %) + w₂·log(miss + 1 %)) · plausible

- *disagreement*: mean distance of the landmarks of both views, in % of the face's size;
- *miss*: mean distance of eyes, nose tip and mouth corners from the detector's own, likewise; where
  the detector gives none, this term is left out, and b and w₁ are others;
- *plausible*: 1, less where the fit is no human face that is turned to the camera, lies elsewhere
  than where it was looked for, or far from landmarks that were given.

Everything is relative to the face's own size, so that the map serves networks of other face models.
`benchmarks/fit_confidence.py` fits it and shows how well it holds.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from twodasl_jax.data.mirrored_faces import mirror_points
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.landmark_tables import MIRROR_68
from twodasl_jax.predict.faces.reconstruct import ReconstructCrops, Reconstruction
from twodasl_jax.predict.faces.upright import cut_upright, upright_to_image

UNSURE = 0.3
"""Below it a fit is called unsure, other turns are tried, and the user is warned."""

_SECOND_TURN_DEGREES = 20.0
_SECOND_SCALE = 1.09
"""The second view is turned by so much more, and cut so much wider."""

WITHOUT_POINTS = (8.74, -4.35)
WITH_POINTS = (10.93, -2.70, -2.25)
"""b, w₁ and w₂, by benchmarks/fit_confidence.py. The first: fitted on three networks together,
3DDFA_V2's (mb05), `configs/aflw.py:renders` and `configs/quickstart.py`. The second: fitted on
`aflw.py:renders` with MTCNN's points, and kept for CenterFace's: those of the three together,
(10.12, -2.28, -1.90), call half as many wrong fits more sure (docs/predict.md)."""

_COMMON_DEVIATION, _LARGEST_DEVIATION = 6.0, 12.0
"""% of the face's size that its shape (rms of the 68 landmarks) is off the mean face: nine of ten
fits are below 3.5 on either face model; faces beyond 12 do not exist."""

_COMMON_MISS, _LARGEST_MISS = 10.0, 25.0
"""% of the face's size that a fit is off landmarks that it was given."""

_COMMON_POINT_MISS, _LARGEST_POINT_MISS = 20.0, 50.0
"""The same of a detector's points, which are rougher; agreeing views must not outweigh it."""


class FitSigns(NamedTuple):
    """What speaks for a fit or against it.

    Attributes:
      disagreement: of the two views' landmarks, % of the face's size.
      miss: of the detector's points, % of the face's size; None where it gave none.
      plausible: 0 to 1.
    """

    disagreement: float
    miss: float | None
    plausible: float


def fit_confidence(signs: FitSigns) -> float:
    """The estimated probability that the face's NME is under 10 %, by the formula above.

    Args:
      signs: of the fit.

    Returns:
      0 to 1; 0 where a sign is not finite.
    """
    features = log_features(signs)
    weights = WITHOUT_POINTS if signs.miss is None else WITH_POINTS
    logit = weights[0] + float(np.dot(weights[1:], features))
    if not (np.isfinite(logit) and np.isfinite(signs.plausible)):
        return 0.0
    return float(signs.plausible / (1.0 + np.exp(-np.clip(logit, -50.0, 50.0))))


def log_features(signs: FitSigns) -> list[float]:
    """What the weights of the formula are for."""
    features = [float(np.log(signs.disagreement + 0.5))]
    return features if signs.miss is None else [*features, float(np.log(signs.miss + 1.0))]


def unsure_warning(face: Reconstruction) -> str | None:
    """What to tell of a face whose fit is unsure, for whoever looks at it; None where it is sure.

    Args:
      face: rated or not.
    """
    confidence = face.fit_confidence
    if confidence is None or confidence >= UNSURE:
        return None
    return (
        f"the fit is unsure ({confidence:.2f}): the head may be turned in the picture's plane, "
        "partly hidden, blurred or no face"
    )


def rate_fits(
    image: np.ndarray,
    faces: Sequence[Reconstruction],
    reconstruct_crops: ReconstructCrops,
    face_model: FaceModel,
    *,
    given_px: np.ndarray | None = None,
    points_px: Sequence[np.ndarray | None] | None = None,
) -> list[Reconstruction]:
    """The same faces with their `fit_confidence`; one call of the network for all.

    Args:
      image: ``(height, width, 3)`` uint8 RGB, the photograph.
      faces: in it.
      reconstruct_crops: the network.
      face_model: the model of their coefficients.
      given_px: ``(k, 68, 2)`` the landmarks that were given to the network, image pixels.
      points_px: of each face, the detector's ``(5, 2)`` points (`FaceBox.points_px`) or None.
    """
    signs = fit_signs(
        image, faces, reconstruct_crops, face_model, given_px=given_px, points_px=points_px
    )
    return [
        dataclasses.replace(face, fit_confidence=fit_confidence(sign))
        for face, sign in zip(faces, signs, strict=True)
    ]


def fit_signs(
    image: np.ndarray,
    faces: Sequence[Reconstruction],
    reconstruct_crops: ReconstructCrops,
    face_model: FaceModel,
    *,
    given_px: np.ndarray | None = None,
    points_px: Sequence[np.ndarray | None] | None = None,
) -> list[FitSigns]:
    """What speaks for each fit; arguments as for `rate_fits`."""
    if not faces:
        return []
    views = [second_view(image, face) for face in faces]
    unknown = np.full((len(faces), 18, 2), np.nan, np.float32)
    again = reconstruct_crops(np.stack(views), unknown)
    marks = np.asarray(face_model.landmark_vertices)
    signs = []
    for index, face in enumerate(faces):
        size = _size(face.landmarks_px)
        seen = from_second_view(np.asarray(again.vertices[index])[:2, marks].T, face)
        miss = 0.0 if given_px is None else 100 * _distance(face.landmarks_px, given_px[index])
        plausible = (
            _falling(shape_deviation(face, face_model), _COMMON_DEVIATION, _LARGEST_DEVIATION)
            * _falling(-float(np.asarray(face.camera.rotation)[2, 2]), 0.0, 0.5)
            * _falling(-_shared(face), -0.5, 0.0)
            * _falling(miss / size, _COMMON_MISS, _LARGEST_MISS)
        )
        disagreement = 100 * _distance(face.landmarks_px, seen) / size
        points = None if points_px is None else points_px[index]
        missed = _miss(face, points, size)
        plausible *= _falling(missed or 0.0, _COMMON_POINT_MISS, _LARGEST_POINT_MISS)
        signs.append(FitSigns(disagreement, missed, plausible))
    return signs


def second_view(image: np.ndarray, face: Reconstruction) -> np.ndarray:
    """The face as the network is shown it again: ``(size, size, 3)`` uint8 RGB."""
    turn = face.turn_degrees + _SECOND_TURN_DEGREES
    crop = cut_upright(image, _second_box(face), turn, crop_size=face.crop_size)
    return np.ascontiguousarray(crop[:, ::-1])


def from_second_view(landmarks: np.ndarray, face: Reconstruction) -> np.ndarray:
    """``(68, 2)`` landmarks in the crop of `second_view` as image pixels."""
    unmirrored = mirror_points(np.asarray(landmarks, np.float64), crop_size=face.crop_size)[
        MIRROR_68
    ]
    turn = face.turn_degrees + _SECOND_TURN_DEGREES
    return upright_to_image(unmirrored, _second_box(face), turn, crop_size=face.crop_size)


def shape_deviation(face: Reconstruction, face_model: FaceModel) -> float:
    """How far the face's 68 landmarks are off the mean face's, without its pose.

    Returns:
      The root mean square in % of the mean face's size.
    """
    marks = np.asarray(face_model.landmark_vertices)
    mean = np.asarray(face_model.linear.mean, np.float64)[:, marks]
    offset = face.points[:, marks].astype(np.float64) - mean
    offset -= offset.mean(axis=1, keepdims=True)
    return float(100 * np.sqrt((offset**2).sum(axis=0).mean()) / _size(mean.T[:, :2]))


def _second_box(face: Reconstruction) -> np.ndarray:
    start, end = (np.asarray(part, np.float64) for part in (face.roi_box[:2], face.roi_box[2:]))
    half = _SECOND_SCALE * (end - start).max() / 2
    middle = (start + end) / 2
    return np.concatenate([middle - half, middle + half])


def _size(points: np.ndarray) -> float:
    """The side of a square box with landmarks so far from their middle; whichever way up."""
    radius = np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean())
    return float(_SIDE_PER_RADIUS * max(radius, 1e-12))


def _miss(face: Reconstruction, points_px: np.ndarray | None, size: float) -> float | None:
    if points_px is None:
        return None
    marks = face.landmarks_px
    own = np.stack([marks[list(indices)].mean(axis=0) for indices in _POINT_LANDMARKS])
    return 100 * _distance(own, points_px) / size


_POINT_LANDMARKS = (range(36, 42), range(42, 48), (30,), (48,), (54,))
"""The iBUG-68 points whose means are a detector's two eyes, nose tip and mouth corners."""

_SIDE_PER_RADIUS = 2.6
"""Of √(w·h) of the frontal mean faces of both models by the radius in `_size`."""


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.linalg.norm(np.asarray(first, np.float64) - second, axis=1).mean())


def _shared(face: Reconstruction) -> float:
    """Share of the smaller of the landmarks' box and the box looked at that lies in the other."""
    points = face.landmarks_px
    low, high = points.min(axis=0), points.max(axis=0)
    both = np.minimum(high, face.box[2:]) - np.maximum(low, face.box[:2])
    smaller = min(float((high - low).prod()), float((face.box[2:] - face.box[:2]).prod()))
    return float(both.clip(0).prod()) / max(smaller, 1e-12)


def _falling(value: float, start: float, end: float) -> float:
    """1 up to `start`, 0 from `end` on, straight between."""
    return float(np.clip((end - value) / (end - start), 0.0, 1.0))

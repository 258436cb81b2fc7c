"""Faces that lie on their side or stand on their head: which way up fits best.

Face detectors and the network know upright heads. The detector misses others or frames them with a
score near 1, and the network then lays an upright face on them. What tells is the fit's own
confidence (`predict.fit_confidence`). Where it is low, or nothing was found, the photograph turned
by 90, 180 and 270 degrees is searched too: MTCNN sees heads within 45 degrees of upright, and its
points give the rest of the turn. A box without such points (a person's, the whole image) is tried
with every turn of 45 degrees instead. A photograph whose fits are sure costs nothing more.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.predict.face_detectors import FaceBox, FaceDetector
from twodasl_jax.predict.fit_confidence import UNSURE
from twodasl_jax.predict.landmark_detectors import Detector as LandmarkDetector
from twodasl_jax.predict.reconstruct import ReconstructCrops, Reconstruction
from twodasl_jax.predict.recrop import (
    check_image,
    reconstruct_each,
    reconstruct_from_landmarks,
    tell_lost,
)
from twodasl_jax.predict.same_face import without_doubles

OTHER_TURNS_DEGREES = (45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0)
"""One of these, or none, leaves a head within 22.5 degrees of upright; re-cropping does more."""

_LARGEST_SIDE = 1024
"""Turned photographs are searched at this longer side at most: faces of 2 % and more of it."""

DOUBTED = 0.5
"""Below this confidence other ways up are tried."""

_CLEARLY_BETTER = 0.1
"""Another way up must be surer by so much: heads mostly are upright."""


def reconstruct_any_way_up(
    image: np.ndarray,
    found: Sequence[FaceBox],
    reconstruct_crops: ReconstructCrops,
    face_model: FaceModel,
    *,
    num_refinements: int,
    detect: FaceDetector | None = None,
) -> list[Reconstruction]:
    """Reconstructs faces from their detections, whichever way up they are.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      found: where a detector or a person sees faces.
      reconstruct_crops: the network.
      face_model: the model it predicts coefficients of.
      num_refinements: as for `recrop.reconstruct_detected`.
      detect: to search the turned photograph with, where nothing was found or a fit is unsure;
        None searches no further.

    Returns:
      The faces in the order of `found`, less those that were lost (logged), then those that were
      found in a turned photograph; a face may be among both.

    Raises:
      ValueError: as `recrop.reconstruct_detected`.
    """
    check_image(image)
    network = reconstruct_crops, face_model
    first = reconstruct_each(image, found, *network, num_refinements=num_refinements)
    best = list(first)
    doubted = [
        k for k, face in enumerate(first) if _is_doubted(face) and found[k].points_px is None
    ]
    starts = [
        FaceBox(found[k].box, found[k].score, turn) for k in doubted for turn in OTHER_TURNS_DEGREES
    ]
    others = reconstruct_each(image, starts, *network, num_refinements=num_refinements)
    for index, face in enumerate(others):
        place = doubted[index // len(OTHER_TURNS_DEGREES)]
        if _is_surer(face, best[place], first[place]):
            best[place] = face
    for face, start in zip(best, found, strict=True):
        if face is None:
            tell_lost(start, image.shape)
    faces = [face for face in best if face is not None]
    if detect is None or (faces and not any(_is_doubted(face) for face in faces)):
        return faces
    turned = find_in_turned(image, detect)
    lying = reconstruct_each(image, turned, *network, num_refinements=num_refinements)
    # Detectors see faces in much that is turned: only sure ones count.
    return faces + [face for face in lying if face is not None and not is_unsure(face)]


def _is_doubted(face: Reconstruction | None) -> bool:
    return face is None or (face.fit_confidence or 0.0) < DOUBTED


def is_unsure(face: Reconstruction | None) -> bool:
    """Whether a fit is there that can be trusted (`UNSURE`)."""
    return face is None or face.fit_confidence is None or face.fit_confidence < UNSURE


def surest_first(faces: Sequence[Reconstruction]) -> list[Reconstruction]:
    """The faces, each once: of several fits of one face the surest.

    Fits that are beyond doubt go by their detector's score, which says how well they were framed.
    """

    def rank(face: Reconstruction) -> tuple[float, float]:
        return -min(face.fit_confidence or 0.0, DOUBTED), -(face.score or 0.0)

    return without_doubles(sorted(faces, key=rank))


def find_in_turned(image: np.ndarray, detect: FaceDetector) -> list[FaceBox]:
    """Faces in the photograph turned by 90, 180 and 270 degrees, in the photograph's own pixels.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      detect: the detector of upright faces.
    """
    height, width = image.shape[:2]
    ratio = min(1.0, _LARGEST_SIDE / max(height, width))
    small = image
    if ratio < 1.0:
        size = (max(round(width * ratio), 1), max(round(height * ratio), 1))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    scale = np.array([width / small.shape[1], height / small.shape[0]])
    found = []
    for quarters in (1, 2, 3):
        for face in detect(np.ascontiguousarray(np.rot90(small, quarters))):
            corners = points_of_unturned(face.box.reshape(2, 2), quarters, *small.shape[:2]) * scale
            box = np.concatenate([corners.min(axis=0), corners.max(axis=0)]).astype(np.float32)
            points = face.points_px
            if points is not None:
                points = points_of_unturned(points, quarters, *small.shape[:2]) * scale
            turn = (90.0 * quarters + face.turn_degrees + 180.0) % 360.0 - 180.0
            found.append(FaceBox(box, face.score, turn, points))
    return found


def reconstruct_detected_landmarks(
    image: np.ndarray,
    detect: LandmarkDetector,
    reconstruct_crops: ReconstructCrops,
    face_model: FaceModel,
) -> list[Reconstruction]:
    """The faces of a detector of 68 landmarks, whichever way up they are.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      detect: the detector of upright faces.
      reconstruct_crops: the network.
      face_model: the model it predicts coefficients of.

    Returns:
      The largest face first.
    """
    network = reconstruct_crops, face_model
    faces = reconstruct_from_landmarks(image, detect(image), *network)
    if faces and not any(_is_doubted(face) for face in faces):
        return faces
    size = image.shape[:2]
    turned = [
        points_of_unturned(points, quarters, *size)
        for quarters in (1, 2, 3)
        for points in detect(np.ascontiguousarray(np.rot90(image, quarters)))
    ]
    if not turned:
        return faces
    lying = reconstruct_from_landmarks(image, np.stack(turned), *network)
    every = faces + [face for face in lying if not is_unsure(face)]
    return sorted(surest_first(every), key=area, reverse=True)


def area(face: Reconstruction) -> float:
    """Of a face's crop, image pixels."""
    return float(np.prod(face.roi_box[2:] - face.roi_box[:2]))


def points_of_unturned(points: np.ndarray, quarters: int, height: int, width: int) -> np.ndarray:
    """Points of a picture that was turned counterclockwise, in the picture before that.

    Args:
      points: ``(n, 2)`` pixels of the turned picture.
      quarters: how often it was turned by 90 degrees.
      height: of the picture before.
      width: of the picture before.
    """
    moved = np.asarray(points, np.float64)
    for turned in range(quarters, 0, -1):
        # Before its last quarter the picture was as wide as it is high now: x = width - y, y = x.
        across = width if turned % 2 else height
        moved = np.column_stack([across - moved[:, 1], moved[:, 0]])
    return moved


def _is_surer(
    face: Reconstruction | None, best: Reconstruction | None, upright: Reconstruction | None
) -> bool:
    if face is None:
        return False
    confidence = face.fit_confidence or 0.0
    rival = 0.0 if best is None else best.fit_confidence or 0.0
    least = 0.0 if upright is None else (upright.fit_confidence or 0.0) + _CLEARLY_BETTER
    return confidence > rival and confidence >= least

"""Faces that lie on their side or stand on their head: which way up fits best.

Face detectors and the network know upright heads. The detector misses others or frames them all the
same, and the network then lays an upright face on them. What tells is the fit's own confidence
(`fit_confidence`). Where it is low, or nothing was found, the photograph turned by 90, 180 and 270
degrees is searched too, and where that gives nothing sure, turned by 45, 135, 225 and 315:
detectors see heads within 30 to 45 degrees of upright, and their points give the rest of the turn.
The same where a head lies on its side: others may, which the detector did not see. A box without
such points (a person's, the whole image) is tried with every turn of 45 degrees instead. A
photograph of upright heads whose fits are sure costs nothing more.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from twodasl_jax.crop_frame import image_to_raster
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.predict.faces.face_detectors import FaceBox, FaceDetector
from twodasl_jax.predict.faces.fit_confidence import UNSURE
from twodasl_jax.predict.faces.landmark_detectors import Detector as LandmarkDetector
from twodasl_jax.predict.faces.reconstruct import ReconstructCrops, Reconstruction
from twodasl_jax.predict.faces.recrop import (
    check_image,
    reconstruct_each,
    reconstruct_from_landmarks,
    tell_lost,
)
from twodasl_jax.predict.faces.same_face import are_one, without_doubles
from twodasl_jax.predict.faces.upright import turn_about_centre

OTHER_TURNS_DEGREES = (45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0)
"""One of these, or none, leaves a head within 22.5 degrees of upright; re-cropping does more."""

_TURNS_OF_SEARCHES = ((90.0, 180.0, 270.0), (45.0, 135.0, 225.0, 315.0))

_LARGEST_SIDE = 512
"""Turned photographs are searched at this longer side at most: faces of 4 % and more of it."""

DOUBTED = 0.5
"""Below this confidence other ways up are tried."""

_LYING_DEGREES = 45.0
"""Of a head; mostly it is then the photograph that lies on its side, with all that it shows."""

_CLEARLY_BETTER = 0.2
"""Another way up than an upright fit's must be surer by so much, and beyond doubt (`DOUBTED`).
Heads mostly are upright, and of eight fits, none of them good, one is the surest by chance."""


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
      num_refinements: as for `recrop.reconstruct_each`.
      detect: to search the turned photograph with, where nothing was found, a fit is unsure or a
        head lies on its side; None searches no further.

    Returns:
      The faces in the order of `found`, less those that were lost (logged), then those that were
      found in a turned photograph; a face may be among both.

    Raises:
      ValueError: as `recrop.reconstruct_each`; or where, at a box that no detector gave, the
        predicted face shrinks to nothing or leaves the image.
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
    # Boxes without points were tried every way up already.
    searched = [
        face for face, start in zip(best, found, strict=True) if start.points_px is not None
    ]
    if detect is None or (found and not any(_asks_for_a_search(face) for face in searched)):
        return faces
    for turns in _TURNS_OF_SEARCHES:
        turned = [face for face in find_in_turned(image, detect, turns) if face.is_clear]
        lying = reconstruct_each(image, turned, *network, num_refinements=num_refinements)
        sure = [face for face in lying if face is not None and _is_credible(face, faces)]
        if sure:
            return faces + sure
    return faces


def _is_credible(face: Reconstruction, others: Sequence[Reconstruction]) -> bool:
    """Whether to believe in a face that was found in a turned photograph."""
    if is_unsure(face):
        return False
    return all(_is_clearly_surer(face, other) for other in others if are_one(face, other))


def _is_doubted(face: Reconstruction | None) -> bool:
    return face is None or (face.fit_confidence or 0.0) < DOUBTED


def _asks_for_a_search(face: Reconstruction | None) -> bool:
    return face is None or _is_doubted(face) or abs(face.turn_degrees) >= _LYING_DEGREES


def is_unsure(face: Reconstruction | None) -> bool:
    """Whether there is no fit, or none that can be trusted (`UNSURE`)."""
    return face is None or face.fit_confidence is None or face.fit_confidence < UNSURE


def surest_first(faces: Sequence[Reconstruction]) -> list[Reconstruction]:
    """The faces, each once: of several fits of one face the surest.

    Fits that are beyond doubt go by their detector's score, which says how well they were framed.
    """

    def rank(face: Reconstruction) -> tuple[float, float]:
        return -min(face.fit_confidence or 0.0, DOUBTED), -(face.score or 0.0)

    return without_doubles(sorted(faces, key=rank))


def find_in_turned(
    image: np.ndarray, detect: FaceDetector, turns: Sequence[float] = OTHER_TURNS_DEGREES
) -> list[FaceBox]:
    """Faces in the photograph turned by some degrees, in the photograph's own pixels.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      detect: the detector of upright faces.
      turns: degrees counterclockwise.
    """
    found = []
    for turn in turns:
        picture, warp = turned_picture(image, turn)
        for face in detect(picture, quick=True):
            middle = unturned_points((face.box[:2] + face.box[2:])[None] / 2, warp)[0]
            half = float((face.box[2:] - face.box[:2]).mean()) / 2 / _scale_of(warp)
            points = face.points_px
            found.append(
                FaceBox(
                    np.concatenate([middle - half, middle + half]).astype(np.float32),
                    face.score,
                    (turn + face.turn_degrees + 180.0) % 360.0 - 180.0,
                    None if points is None else unturned_points(points, warp),
                    face.is_clear,
                )
            )
    return found


def turned_picture(image: np.ndarray, turn: float) -> tuple[np.ndarray, np.ndarray]:
    """A photograph turned counterclockwise, whole, at 512 pixels or less of its longer side.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      turn: degrees.

    Returns:
      The picture, black where the photograph ends, and ``(2, 3)``: image pixels to its pixels.
    """
    height, width = image.shape[:2]
    ratio = min(1.0, _LARGEST_SIDE / max(height, width))
    size = np.maximum(np.round(np.array([width, height]) * ratio), 1).astype(int)
    small = image
    if ratio < 1.0:
        small = cv2.resize(image, size.tolist(), interpolation=cv2.INTER_AREA)
    rotation = turn_about_centre(turn)[:, :2]
    # Rounded first: a quarter's cosine is not quite 0, and must not add a column.
    whole = np.ceil((np.abs(rotation) @ size).round(6)).astype(int)
    offset = whole / 2 - rotation @ (size / 2)
    raster = np.column_stack([rotation, image_to_raster(rotation @ (0.5, 0.5) + offset)])
    picture = cv2.warpAffine(small, raster, whole.tolist(), flags=cv2.INTER_LINEAR)
    return picture, np.column_stack([rotation * (size / (width, height)), offset])


def unturned_points(points: np.ndarray, warp: np.ndarray) -> np.ndarray:
    """``(n, 2)`` points of a turned picture in the photograph; `warp` is `turned_picture`'s."""
    return (np.asarray(points, np.float64) - warp[:, 2]) @ np.linalg.inv(warp[:, :2]).T


def _scale_of(warp: np.ndarray) -> float:
    return float(np.sqrt(np.linalg.det(warp[:, :2])))


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
    for turns in _TURNS_OF_SEARCHES:
        pictures = [turned_picture(image, turn) for turn in turns]
        turned = [unturned_points(p, warp) for picture, warp in pictures for p in detect(picture)]
        if turned:
            lying = reconstruct_from_landmarks(image, np.stack(turned), *network)
            sure = [face for face in lying if not is_unsure(face)]
            if sure:
                return sorted(surest_first([*faces, *sure]), key=area, reverse=True)
    return faces


def area(face: Reconstruction) -> float:
    """Of a face's crop, image pixels."""
    return float(np.prod(face.roi_box[2:] - face.roi_box[:2]))


def _is_surer(
    face: Reconstruction | None, best: Reconstruction | None, upright: Reconstruction | None
) -> bool:
    if face is None:
        return False
    if upright is not None and not _is_clearly_surer(face, upright):
        return False
    return best is None or (face.fit_confidence or 0.0) > (best.fit_confidence or 0.0)


def _is_clearly_surer(face: Reconstruction, upright: Reconstruction) -> bool:
    confidence = face.fit_confidence or 0.0
    return confidence >= max(DOUBTED, (upright.fit_confidence or 0.0) + _CLEARLY_BETTER)

"""From boxes in a photograph to reconstructions: crop, predict, crop anew around the landmarks."""

from collections.abc import Sequence

import numpy as np
from absl import logging

from twodasl_jax.crop_frame import image_to_crop
from twodasl_jax.data.face_crop import (
    can_be_cut,
    crop_image,
    roi_box_from_detection,
    roi_box_from_landmarks,
)
from twodasl_jax.data.label_checks import (
    require_not_black,
    why_no_face,
    why_outside,
    why_unusable,
)
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_68
from twodasl_jax.predict.face_detectors import FaceBox
from twodasl_jax.predict.reconstruct import (
    ReconstructCrops,
    Reconstruction,
    carry_to_image,
    check_box,
)

_LEAST_SEEN = 0.25
"""Share of the landmarks that lie in the image, of a face that is cut by its border."""

_SMALLEST_FACE_PX = 8.0
"""A refined crop with a shorter side than this holds no face: the prediction ran away."""


def check_image(image: np.ndarray) -> None:
    """Refuses what is no photograph.

    Raises:
      ValueError: naming what came.
    """
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(
            f"the image is {image.shape} {image.dtype}; expected (height, width, 3) uint8 RGB "
            "(load_image gives that)"
        )


def reconstruct_at(
    image: np.ndarray,
    roi_boxes: Sequence[np.ndarray],
    reconstruct_crops: ReconstructCrops,
    face_model: FaceModel,
    *,
    found: Sequence[FaceBox] | None = None,
    landmarks_px: np.ndarray | None = None,
) -> list[Reconstruction]:
    """Reconstructs the faces of crops cut exactly where told, all in one batch.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      roi_boxes: ``(k, 4)`` where to cut, image pixels; rounded to whole ones, as crops are.
      reconstruct_crops: the network.
      face_model: the model it predicts coefficients of.
      found: where each face was first looked for; by default the crops' own boxes.
      landmarks_px: ``(k, 68, 2)`` image pixels for the landmark map, else it is empty at first.
    """
    check_image(image)
    if not len(roi_boxes):
        return []
    boxes = np.asarray(roi_boxes, np.float32).round()
    for box in boxes:
        check_box(box)
    crops = np.stack([crop_image(image, box) for box in boxes])
    given = np.full((len(boxes), 18, 2), np.nan, np.float32)
    if landmarks_px is not None:
        in_crop = image_to_crop(np.asarray(landmarks_px, np.float64), boxes.astype(np.float64))
        given = in_crop[:, LANDMARKS_18_FROM_68].mean(axis=2).astype(np.float32)
    faces = reconstruct_crops(crops, given)
    starts = found if found is not None else [FaceBox(box) for box in boxes]
    return [
        carry_to_image(
            faces,
            index,
            boxes[index],
            face_model=face_model,
            crop=crops[index],
            box=start.box,
            score=start.score,
        )
        for index, start in enumerate(starts)
    ]


def reconstruct_detected(
    image: np.ndarray,
    found: Sequence[FaceBox],
    reconstruct_crops: ReconstructCrops,
    face_model: FaceModel,
    *,
    num_refinements: int,
) -> list[Reconstruction]:
    """Reconstructs faces from their detections.

    Each refinement cuts the crops anew around the predicted landmarks, as training crops were
    cut. From the whole image it finds one face that fills a good part of a portrait, not a small
    one in a crowd.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      found: where the faces are.
      reconstruct_crops: the network.
      face_model: the model it predicts coefficients of.
      num_refinements: how often to re-crop and predict again; 0 keeps the first crops.

    Returns:
      The faces in the order of `found`, less those where a detector was wrong: no face is left
      after re-cropping (logged).

    Raises:
      ValueError: on an image or box of the wrong kind, or when at a box that no detector gave the
        predicted face shrinks to nothing or leaves the image.
    """
    check_image(image)
    if num_refinements < 0:
        raise ValueError(f"num_refinements is {num_refinements}; expected 0 or more")
    for face in found:
        check_box(face.box)
    roi_boxes = [roi_box_from_detection(face.box) for face in found]

    def at(boxes: Sequence[np.ndarray], starts: Sequence[FaceBox]) -> list[Reconstruction]:
        faces = reconstruct_at(image, boxes, reconstruct_crops, face_model, found=starts)
        return [face for face in faces if _is_still_a_face(face, image.shape)]

    faces = at(roi_boxes, found)
    for _ in range(num_refinements):
        roi_boxes = [roi_box_from_landmarks(face.landmarks_px) for face in faces]
        faces = at(roi_boxes, [FaceBox(face.box, face.score) for face in faces])
    return faces


def reconstruct_from_landmarks(
    image: np.ndarray,
    landmarks_px: np.ndarray,
    reconstruct_crops: ReconstructCrops,
    face_model: FaceModel,
) -> list[Reconstruction]:
    """Reconstructs faces whose 2D landmarks are known: they give the crop and the landmark map.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      landmarks_px: ``(k, 68, 2)`` iBUG-68, image pixels, all known.
      reconstruct_crops: the network.
      face_model: the model it predicts coefficients of.

    Raises:
      ValueError: on another shape, or where landmarks cannot be those of a face in the image:
        not finite, on a spot or a line, beside the image, or where it is black.
    """
    check_image(image)
    points = np.asarray(landmarks_px, np.float64)
    if points.ndim != 3 or points.shape[1:] != (68, 2):
        raise ValueError(f"the landmarks are {points.shape}; expected (faces, 68, 2) image pixels")
    for number, face in enumerate(points):
        _check_landmarks(face, number, image)
    return reconstruct_at(
        image,
        [roi_box_from_landmarks(face) for face in points],
        reconstruct_crops,
        face_model,
        found=[FaceBox(np.concatenate([face.min(0), face.max(0)])) for face in points],
        landmarks_px=points,
    )


def _check_landmarks(points: np.ndarray, number: int, image: np.ndarray) -> None:
    """Refuses 68 points that can be no face of the image; the network would see one anywhere."""
    height, width = image.shape[:2]
    unknown = np.flatnonzero(np.isnan(points).any(axis=1))
    reason = f"landmark {unknown[0]} is NaN; all 68 are needed" if len(unknown) else None
    reason = reason or why_unusable(points, fewest=len(points)) or why_no_face(points)
    reason = reason or why_outside(points, np.array([width, height]))
    if reason is None:
        box = roi_box_from_landmarks(points)
        if not can_be_cut(box, height=height, width=width):
            reason = f"the face would be {box[2] - box[0]:.0f} px wide in an image of {width}"
        else:
            require_not_black(crop_image(image, box), f"the image of face {number}")
    if reason is not None:
        raise ValueError(f"the landmarks of face {number} are no face's in the image: {reason}")


def _is_still_a_face(face: Reconstruction, image_shape: tuple[int, ...]) -> bool:
    """Whether the predicted landmarks can be those of a face in the image; logs where not."""
    height, width = image_shape[:2]
    points = face.landmarks_px
    seen = ((points >= 0) & (points < (width, height))).all(axis=1).mean()
    box = roi_box_from_landmarks(points)
    side = (box[2:] - box[:2]).min()
    fits = side >= _SMALLEST_FACE_PX and can_be_cut(box, height=height, width=width)
    if fits and seen >= _LEAST_SEEN:
        return True
    where = np.array2string(face.box, precision=0)
    if face.score is None:
        raise ValueError(
            f"the face looked for at {where} was predicted at {np.array2string(box, precision=1)} "
            f"of a {width} x {height} image, where no face can be; frame the face more tightly"
        )
    logging.warning(
        "no face is left at %s (the detector's score: %.2f); left out", where, face.score
    )
    return False

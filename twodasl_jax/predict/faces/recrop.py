"""From boxes in a photograph to reconstructions: crop, predict, crop anew around the landmarks.

Crops of heads that are turned in the picture's plane are cut upright (`predict.faces.upright`).
"""

from collections.abc import Sequence

import numpy as np
from absl import logging

from twodasl_jax.data.face_crop import can_be_cut, crop_image, roi_box_from_landmarks
from twodasl_jax.data.label_checks import (
    require_not_black,
    why_no_face,
    why_outside,
    why_unusable,
)
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_68
from twodasl_jax.predict.faces.face_detectors import FaceBox
from twodasl_jax.predict.faces.fit_confidence import rate_fits
from twodasl_jax.predict.faces.reconstruct import (
    ReconstructCrops,
    Reconstruction,
    carry_to_image,
    check_box,
    under_another_camera,
)
from twodasl_jax.predict.faces.upright import (
    carry_back,
    cut_upright,
    image_to_upright,
    roi_box_around,
    roi_box_from_turned_detection,
    turn_of_rotation,
    upright_turn,
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
    turns_degrees: Sequence[float] | None = None,
) -> list[Reconstruction]:
    """Reconstructs the faces of crops cut exactly where told, all in one batch, and rates them.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      roi_boxes: ``(k, 4)`` where to cut, image pixels; rounded to whole ones, as crops are.
      reconstruct_crops: the network.
      face_model: the model it predicts coefficients of.
      turns_degrees: by which the photograph is turned about the middle of each box, for an upright
        head; None turns none.
    """
    check_image(image)
    starts = [FaceBox(np.asarray(box, np.float32).round()) for box in roi_boxes]
    faces = _fit(image, roi_boxes, starts, reconstruct_crops, face_model, turns=turns_degrees)
    return rate_fits(image, faces, reconstruct_crops, face_model)


def _fit(
    image: np.ndarray,
    roi_boxes: Sequence[np.ndarray],
    starts: Sequence[FaceBox],
    reconstruct_crops: ReconstructCrops,
    face_model: FaceModel,
    *,
    turns: Sequence[float] | None = None,
    landmarks_px: np.ndarray | None = None,
) -> list[Reconstruction]:
    """One call of the network for crops of boxes and turns, carried back to the photograph.

    Without landmarks the landmark map is empty at first. Boxes that are turned must be squares.
    """
    if not len(roi_boxes):
        return []
    boxes = np.asarray(roi_boxes, np.float32).round()
    for box in boxes:
        check_box(box)
    size = reconstruct_crops.crop_size
    turned = [0.0] * len(boxes) if turns is None else [float(turn) for turn in turns]
    seen = np.stack(
        [
            cut_upright(image, box, turn, crop_size=size)
            for box, turn in zip(boxes, turned, strict=True)
        ]
    )
    given = np.full((len(boxes), 18, 2), np.nan, np.float32)
    if landmarks_px is not None:
        for index, points in enumerate(landmarks_px):
            in_crop = image_to_upright(points, boxes[index], turned[index], crop_size=size)
            given[index] = in_crop[LANDMARKS_18_FROM_68].mean(axis=1)
    fits = reconstruct_crops(seen, given)
    faces = []
    for index, start in enumerate(starts):
        of_face = {"box": start.box, "score": start.score}
        crop, turn = seen[index], turned[index]
        face = carry_to_image(
            fits, index, boxes[index], face_model=face_model, crop=crop, **of_face
        )
        if turn:
            face = under_another_camera(
                face,
                carry_back(face.camera_matrix, turn, crop_size=size),
                face_model,
                crop=crop_image(image, boxes[index], crop_size=size),
                turn_degrees=turn,
            )
        faces.append(face)
    return faces


def reconstruct_each(
    image: np.ndarray,
    found: Sequence[FaceBox],
    reconstruct_crops: ReconstructCrops,
    face_model: FaceModel,
    *,
    num_refinements: int,
) -> list[Reconstruction | None]:
    """Reconstructs faces from their detections, and rates the fits.

    Each refinement cuts the crops anew around the predicted landmarks, as training crops were
    cut, and upright. From the whole image it finds one face that fills a good part of a portrait,
    not a small one in a crowd.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      found: where the faces are, and which way up.
      reconstruct_crops: the network.
      face_model: whose vertices its points are.
      num_refinements: how often to re-crop and predict again; 0 keeps the first crops.

    Returns:
      In the order of `found`; None where no face was left after re-cropping (`tell_lost`).

    Raises:
      ValueError: on an image or box of the wrong kind.
    """
    check_image(image)
    if num_refinements < 0:
        raise ValueError(f"num_refinements is {num_refinements}; expected 0 or more")
    for face in found:
        check_box(face.box)
    starts = list(found)
    turns = [start.turn_degrees for start in starts]
    boxes = [roi_box_from_turned_detection(start.box, start.turn_degrees) for start in starts]
    places = list(range(len(found)))
    faces: list[Reconstruction] = []
    for step in range(num_refinements + 1):
        if step:
            turns = [turn_of_rotation(np.asarray(face.camera.rotation)) for face in faces]
            boxes = [
                roi_box_around(face.landmarks_px, turn)
                for face, turn in zip(faces, turns, strict=True)
            ]
        fits = _fit(image, boxes, starts, reconstruct_crops, face_model, turns=turns)
        kept = [k for k, face in enumerate(fits) if is_still_a_face(face, image.shape)]
        faces = [fits[k] for k in kept]
        starts, places = [starts[k] for k in kept], [places[k] for k in kept]
    points = [start.points_px for start in starts]
    rated = rate_fits(image, faces, reconstruct_crops, face_model, points_px=points)
    by_place = dict(zip(places, rated, strict=True))
    return [by_place.get(place) for place in range(len(found))]


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
    turns = [upright_turn(face) for face in points]
    faces = _fit(
        image,
        [roi_box_around(face, turn) for face, turn in zip(points, turns, strict=True)],
        [FaceBox(np.concatenate([face.min(0), face.max(0)])) for face in points],
        reconstruct_crops,
        face_model,
        turns=turns,
        landmarks_px=points,
    )
    return rate_fits(image, faces, reconstruct_crops, face_model, given_px=points)


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


def is_still_a_face(face: Reconstruction, image_shape: tuple[int, ...]) -> bool:
    """Whether the predicted landmarks can be those of a face in the image."""
    height, width = image_shape[:2]
    points = face.landmarks_px
    seen = ((points >= 0) & (points < (width, height))).all(axis=1).mean()
    box = roi_box_from_landmarks(points)
    side = (box[2:] - box[:2]).min()
    fits = side >= _SMALLEST_FACE_PX and can_be_cut(box, height=height, width=width)
    return bool(fits and seen >= _LEAST_SEEN)


def tell_lost(start: FaceBox, image_shape: tuple[int, ...]) -> None:
    """Says that no face was left where one was looked for.

    Raises:
      ValueError: where no detector but a person had framed it.
    """
    height, width = image_shape[:2]
    where = np.array2string(start.box, precision=0)
    if start.score is None:
        raise ValueError(
            f"the face looked for at {where} was predicted where no face can be in a "
            f"{width} x {height} image; frame the face more tightly"
        )
    logging.warning(
        "no face is left at %s (the detector's score: %.2f); left out", where, start.score
    )

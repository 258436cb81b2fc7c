"""CenterFace (Xu et al. 2019, arXiv 1911.03599): face boxes and five points, by OpenCV.

The network gives four maps at a quarter of the picture's resolution: how likely a face has its
middle here, the logarithm of its height and width, where in the cell its middle lies, and five
points relative to its box. Its weights and their licence lie in `centerface_network/`.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

WEIGHTS = Path(__file__).parent / "centerface_network" / "centerface.onnx"

WEIGHTS_SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
"""As published (`centerface_bnmerged.onnx`), unchanged."""

_MAPS = ("537", "538", "539", "540")
"""Likelihood, size, offset, points: names of the file's outputs."""

_STRIDE = 4
"""Pixels of the picture in one cell of the maps."""

_SIDE_MULTIPLE = 32
"""The network halves the picture five times."""

_LEAST_OPENCV = 5

_OVERLAP = 0.3
"""Boxes that share more than this of their union are one face."""


class Detections(NamedTuple):
    """What a detector sees in a picture.

    Attributes:
      boxes: ``(n, 4)`` float64 ``(x1, y1, x2, y2)``, pixels.
      scores: ``(n,)`` 0 to 1.
      points: ``(n, 5, 2)`` eyes, nose tip and mouth corners, image-left first, pixels.
    """

    boxes: np.ndarray
    scores: np.ndarray
    points: np.ndarray

    def where(self, kept: np.ndarray) -> "Detections":
        """Those of a mask or of indices."""
        return Detections(self.boxes[kept], self.scores[kept], self.points[kept])

    def moved(self, offset: np.ndarray, scale: float) -> "Detections":
        """All times `scale` about the origin, then shifted by ``(2,)`` `offset`."""
        boxes = self.boxes * scale + np.tile(offset, 2)
        return Detections(boxes, self.scores, self.points * scale + offset)


def join(parts: list[Detections]) -> Detections:
    """All detections of several lists."""
    empty = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)))
    return Detections(*(np.concatenate(arrays) for arrays in zip(empty, *parts, strict=True)))


def read_weights() -> bytes:
    """The network's file.

    Raises:
      ValueError: where it is absent, or is not what was published.
    """
    if not WEIGHTS.is_file():
        raise ValueError(
            f"the face detector's weights are not at {WEIGHTS}; install the package anew"
        )
    data = WEIGHTS.read_bytes()
    if hashlib.sha256(data).hexdigest() != WEIGHTS_SHA256:
        raise ValueError(
            f"the face detector's weights are damaged: {WEIGHTS} has another checksum than the "
            "file that was published; install the package anew"
        )
    return data


class CenterFace:
    """The network; of one thread at a time."""

    def __init__(self) -> None:
        """Reads the weights.

        Raises:
          ValueError: as `read_weights`, and with an OpenCV whose network is right for pictures of
            one size alone (measured: 4.11 sees faces all over the second size it is shown).
        """
        if int(cv2.__version__.split(".")[0]) < _LEAST_OPENCV:
            raise ValueError(
                f"OpenCV {cv2.__version__} finds faces where none are; version {_LEAST_OPENCV} is "
                "needed: pip uninstall opencv-python, then pip install 'opencv-python-headless>=5'"
            )
        self._network = cv2.dnn.readNetFromONNX(np.frombuffer(read_weights(), np.uint8))

    def __call__(self, picture: np.ndarray, *, least_score: float) -> Detections:
        """Finds the faces of a picture, best those of 60 to 250 pixels.

        Args:
          picture: ``(height, width, 3)`` uint8 RGB.
          least_score: of what is returned.

        Returns:
          Each face once, the surest first; pixels of the picture.
        """
        self._network.setInput(cv2.dnn.blobFromImage(_padded(picture)))
        maps = self._network.forward(_MAPS)
        return without_doubles(_decode(*(part[0] for part in maps), least_score=least_score))


def _padded(picture: np.ndarray) -> np.ndarray:
    """Black below and to the right, up to a size that the network can halve."""
    height, width = (-size % _SIDE_MULTIPLE for size in picture.shape[:2])
    return cv2.copyMakeBorder(picture, 0, height, 0, width, cv2.BORDER_CONSTANT)


def _decode(
    likelihood: np.ndarray,
    log_size: np.ndarray,
    offset: np.ndarray,
    points: np.ndarray,
    *,
    least_score: float,
) -> Detections:
    """Maps ``(1, h, w)``, ``(2, h, w)`` (y first), ``(2, h, w)`` and ``(10, h, w)`` to faces."""
    rows, columns = np.nonzero(likelihood[0] >= least_score)
    cells = np.stack([columns, rows], axis=1)
    middles = _STRIDE * (cells + 0.5 + offset[::-1, rows, columns].T)
    sizes = _STRIDE * np.exp(log_size[::-1, rows, columns].T.astype(np.float64))
    starts = middles - sizes / 2
    inside = points[:, rows, columns].T.reshape(-1, 5, 2)[..., ::-1]
    return Detections(
        np.concatenate([starts, starts + sizes], axis=1),
        likelihood[0, rows, columns].astype(np.float64),
        starts[:, None] + inside * sizes[:, None],
    )


def without_doubles(found: Detections) -> Detections:
    """Of boxes that overlap the surest; the surest first (non-maximum suppression)."""
    corners = np.concatenate([found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(corners.tolist(), found.scores.tolist(), 0.0, _OVERLAP)
    return found.where(np.asarray(kept, int).reshape(-1))

"""AFLW-LFPA's test images as they are published: 1,299 faces with 34 points.

``TestImages/{1..n}.jpg``, ``BoundingBox.mat`` (``bboxesT``) and ``Landmark.mat`` (``phisT``).
"""

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np

from twodasl_jax.crop_frame import image_to_crop
from twodasl_jax.data.face_crop import crop_image, roi_box_from_detection
from twodasl_jax.data.original.files import (
    in_either_case,
    read_mat,
    read_photo,
    require_file,
    require_finite,
    require_folder,
)
from twodasl_jax.data.original.incomplete import LACKING

IMAGES = "TestImages"
NUM_FACES = 1299
NUM_POINTS = 34

BoxOrder = Literal["x1 y1 x2 y2", "x y width height"]

CONTAINED_SHARE = 0.9
"""Of all visible points that the boxes must contain for their order to be believed. Boxes were
drawn around these points; a wrong order leaves most of them outside."""


@dataclasses.dataclass(frozen=True, slots=True)
class LfpaFace:
    """One row of the two tables.

    Attributes:
      root: the folder that holds ``TestImages``.
      number: of the image, from 1.
      face_box: ``(4,)`` as the file has it.
      box_order: what its four numbers are, decided over all faces (`box_order`).
      points: ``(34, 3)`` x, y, visibility.
    """

    root: Path
    number: int
    face_box: np.ndarray
    box_order: BoxOrder
    points: np.ndarray

    @property
    def file_name(self) -> str:
        """``TestImages/1.jpg``, also where the file ends in upper case."""
        return f"{IMAGES}/{self.number}.jpg"

    @property
    def path(self) -> Path:
        """Of the photograph."""
        return in_either_case(self.root / self.file_name)

    @property
    def group(self) -> str:
        """The only folder."""
        return IMAGES


def find_aflw_lfpa(manual_dir: Path) -> dict[str, list[LfpaFace]]:
    """Checks the layout and lists the faces by number.

    Returns:
      Split -> faces; the only split is ``test``.

    Raises:
      FileNotFoundError: naming the first missing folder or file.
      ValueError: where a table lacks its key, the two differ in length, or no order of the
        boxes' numbers contains the landmarks.
    """
    require_folder(manual_dir / IMAGES, holds="1.jpg, 2.jpg, …")
    tables = []
    for name, key, width in (
        ("BoundingBox.mat", "bboxesT", 4),
        ("Landmark.mat", "phisT", 3 * NUM_POINTS),
    ):
        require_file(manual_dir / name, holds=f"a table {key} (n, {width}), one row per image")
        tables.append(read_mat(manual_dir / name, {key: (-1, width)})[key])
    boxes, points = tables
    if len(boxes) != len(points):
        raise ValueError(f"bboxesT has {len(boxes)} rows and phisT {len(points)}; expected as many")
    # x of all points, then y of all, then their visibility.
    points = points.reshape(-1, 3, NUM_POINTS).swapaxes(1, 2)
    order = find_box_order(boxes, points)
    return {
        "test": [
            LfpaFace(manual_dir, row + 1, boxes[row], order, points[row])
            for row in range(len(boxes))
        ]
    }


def find_box_order(boxes: np.ndarray, points: np.ndarray) -> BoxOrder:
    """What the four numbers of ``bboxesT`` are: nobody documents it, the landmarks tell.

    Corners are tried first: read as corners, a width and height contain next to nothing, but
    corners read as width and height contain everything.

    Args:
      boxes: ``(n, 4)``.
      points: ``(n, 34, 3)`` x, y, visibility.

    Raises:
      ValueError: where neither order contains nine in ten of the visible points.
    """
    # What holds NaN has no say: it costs its own face or point.
    visible = (points[..., 2] > 0) & np.isfinite(points).all(axis=-1)
    visible &= np.isfinite(boxes).all(axis=-1, keepdims=True)
    shares: dict[BoxOrder, float] = {}
    for order in ("x1 y1 x2 y2", "x y width height"):
        start, end = np.split(corners(boxes, order)[:, None], 2, axis=-1)
        inside = np.all((points[..., :2] >= start) & (points[..., :2] <= end), axis=-1)
        shares[order] = float(inside[visible].mean()) if visible.any() else 0.0
        if shares[order] >= CONTAINED_SHARE:
            return order
    told = ", ".join(f"({order}): {share:.0%}" for order, share in shares.items())
    raise ValueError(
        f"no order of bboxesT contains {CONTAINED_SHARE:.0%} of the visible points of phisT "
        f"({told}); expected boxes around the landmarks, one row per image"
    )


def corners(boxes: np.ndarray, order: BoxOrder) -> np.ndarray:
    """``(*batch, 4)`` boxes of either order as ``(x1, y1, x2, y2)``."""
    if order == "x1 y1 x2 y2":
        return boxes
    return np.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=-1)


def read_aflw_lfpa(face: LfpaFace) -> dict[str, Any]:
    """Reads one face and cuts its crop around the face box.

    Returns:
      ``image`` ``(120, 120, 3)`` RGB; ``landmarks34_px`` ``(34, 2)`` image pixels and
      ``landmarks34`` crop pixels, NaN where not visible; ``visibility`` ``(34,)``; ``face_box``
      ``(4,)`` ``(x1, y1, x2, y2)``; ``roi_box`` ``(4,)``; ``file_name``. A point that is said to
      be visible and has no position is not, and is named under `LACKING`; so is one of which the
      visibility is not known.

    Raises:
      ValueError, OSError: where the image is absent or broken, or the box holds NaN.
    """
    box = corners(face.face_box, face.box_order)
    require_finite({"bboxesT": box})
    photo = read_photo(face.path)
    known = np.isfinite(face.points).all(axis=1)
    visible = known & (face.points[:, 2] > 0)
    hidden_by_mark = np.isfinite(face.points[:, 2]) & (face.points[:, 2] <= 0)
    unknown = np.flatnonzero(~known & ~hidden_by_mark)
    points = np.where(visible[:, None], face.points[:, :2], np.nan)
    # To whole pixels, as `crop_image` cuts: the points then fit the picture exactly.
    roi_box = np.round(roi_box_from_detection(box))
    return {
        "image": crop_image(photo, roi_box),
        "landmarks34_px": points,
        "landmarks34": image_to_crop(points, roi_box),
        "visibility": visible,
        "face_box": box,
        "roi_box": roi_box,
        "file_name": face.file_name,
        LACKING: {"point": f"{unknown[0] + 1} holds NaN in phisT"} if len(unknown) else {},
    }

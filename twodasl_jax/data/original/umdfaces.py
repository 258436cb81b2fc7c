"""UMDFaces' still images as they are published: 367,888 faces with 21 points, in three batches.

``umdfaces_batchK/SUBJECT/FILE.jpg`` for K = 1, 2, 3, with ``umdfaces_batchK_ultraface.csv`` in
that folder or beside it. Columns are found by the names in its header.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from twodasl_jax.crop_frame import image_to_crop
from twodasl_jax.data.face_crop import crop_image, roi_box_from_detection
from twodasl_jax.data.folder_listing import printable
from twodasl_jax.data.original.files import in_either_case, read_photo, require_folder
from twodasl_jax.data.original.incomplete import LACKING
from twodasl_jax.data.original.umdfaces_table import (
    BOX_COLUMNS,
    POINT_COLUMNS,
    POSE_COLUMNS,
    UNKNOWN_SUBJECT,
    read_table,
)

BATCHES = ("batch1", "batch2", "batch3")
NUM_FACES = {"batch1": 77_228, "batch2": 115_126, "batch3": 175_534}


@dataclasses.dataclass(frozen=True, slots=True)
class UmdFace:
    """One row of a batch's CSV file.

    Attributes:
      folder: of the batch.
      group: ``batch1``, …
      path: of the image in that folder, the column ``FILE``.
      subject_id: a number of UMDFaces, or -1.
      numbers: ``(70,)`` float32 in the order of `NUMBER_COLUMNS`; NaN where the row has none.
    """

    folder: Path
    group: str
    path: str
    subject_id: int
    numbers: np.ndarray

    @property
    def file_name(self) -> str:
        """``umdfaces_batch1/SUBJECT/FILE.jpg``."""
        return f"{self.folder.name}/{printable(self.path)}"


def find_umdfaces(manual_dir: Path) -> dict[str, list[UmdFace]]:
    """Checks the layout and lists the faces, in the order of their CSV files.

    Returns:
      Split -> faces: ``batch1``, ``batch2``, ``batch3``.

    Raises:
      FileNotFoundError: naming the first missing folder or CSV file.
      ValueError: naming the first missing column, or what else is wrong with a table.
    """
    splits = {}
    for batch in BATCHES:
        folder = manual_dir / f"umdfaces_{batch}"
        require_folder(folder, holds="SUBJECT/FILE.jpg (UMDFaces has umdfaces_batch1, 2 and 3)")
        name = f"umdfaces_{batch}_ultraface.csv"
        tables = [path for path in (folder / name, manual_dir / name) if path.is_file()]
        if not tables:
            raise FileNotFoundError(f"no {name} in {folder} or {manual_dir}; expected one of them")
        splits[batch] = [UmdFace(folder, batch, *row) for row in read_table(tables[0])]
    return splits


def read_umdfaces(face: UmdFace) -> dict[str, Any]:
    """Reads one face and cuts its crop around the face box.

    Returns:
      ``image`` ``(120, 120, 3)`` RGB; ``landmarks21`` ``(21, 2)`` crop pixels and
      ``landmarks21_px`` image pixels, AFLW's order; ``visibility`` ``(21,)``, the file's own
      numbers; ``face_box`` ``(4,)`` ``(x, y, width, height)``; ``roi_box`` ``(4,)``;
      ``yaw_degrees``, ``pitch_degrees``, ``roll_degrees``; ``subject_id``; ``file_name``;
      ``batch``. What the row lacks is NaN (a subject -1, a visibility 0) and named under
      `LACKING`.

    Raises:
      ValueError, OSError: where the image is absent or broken, the box is no box, or no point has
        a position.
    """
    box = face.numbers[: len(BOX_COLUMNS)]
    unknown = np.flatnonzero(~np.isfinite(box))
    if len(unknown):
        raise ValueError(f"its row has no number in the column {BOX_COLUMNS[unknown[0]]}")
    pose = face.numbers[len(BOX_COLUMNS) :][: len(POSE_COLUMNS)]
    points = face.numbers[-len(POINT_COLUMNS) :].reshape(21, 3)
    placed = np.asarray(np.isfinite(points[:, :2]).all(axis=1))
    if not placed.any():
        raise ValueError("its row has no position of any of the 21 points")
    photo = read_photo(in_either_case(face.folder / face.path))
    x, y, width, height = box
    # To whole pixels, as `crop_image` cuts: the points then fit the picture exactly.
    roi_box = np.round(roi_box_from_detection(np.array([x, y, x + width, y + height])))
    landmarks_px = np.where(placed[:, None], points[:, :2], np.nan)
    yaw, pitch, roll = np.where(np.isfinite(pose), pose, np.nan)
    return {
        "image": crop_image(photo, roi_box),
        "landmarks21": image_to_crop(landmarks_px, roi_box),
        "landmarks21_px": landmarks_px,
        "visibility": np.where(placed & np.isfinite(points[:, 2]), points[:, 2], 0),
        "face_box": box,
        "roi_box": roi_box,
        "yaw_degrees": yaw,
        "pitch_degrees": pitch,
        "roll_degrees": roll,
        "subject_id": face.subject_id,
        "file_name": face.file_name,
        "batch": face.group,
        LACKING: _lacking(face, pose, points),
    }


def _lacking(face: UmdFace, pose: np.ndarray, points: np.ndarray) -> dict[str, str]:
    known = (face.subject_id != UNKNOWN_SUBJECT, *np.isfinite(pose))
    lacking = {
        column: "is no number"
        for column, is_known in zip(("SUBJECT_ID", *POSE_COLUMNS), known, strict=True)
        if not is_known
    }
    unknown = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(unknown):
        lacking["point"] = f"{unknown[0] + 1} has not its three numbers"
    return lacking

"""UMDFaces' still images as they are published: 367,888 faces with 21 points, in three batches.

``umdfaces_batchK/SUBJECT/FILE.jpg`` for K = 1, 2, 3, with ``umdfaces_batchK_ultraface.csv`` in
that folder or beside it. Columns are found by the names in its header.
"""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from twodasl_jax.crop_frame import image_to_crop
from twodasl_jax.data.face_crop import crop_image, roi_box_from_detection
from twodasl_jax.data.original.files import read_photo, require_folder

BATCHES = ("batch1", "batch2", "batch3")
NUM_FACES = {"batch1": 77_228, "batch2": 115_126, "batch3": 175_534}

BOX_COLUMNS = ("FACE_X", "FACE_Y", "FACE_WIDTH", "FACE_HEIGHT")
POSE_COLUMNS = ("YAW", "PITCH", "ROLL")
POINT_COLUMNS = tuple(column for i in range(1, 22) for column in (f"P{i}X", f"P{i}Y", f"VIS{i}"))
NUMBER_COLUMNS = BOX_COLUMNS + POSE_COLUMNS + POINT_COLUMNS
COLUMNS = ("SUBJECT_ID", "FILE", *NUMBER_COLUMNS)


@dataclasses.dataclass(frozen=True, slots=True)
class UmdFace:
    """One row of a batch's CSV file.

    Attributes:
      folder: of the batch.
      group: ``batch1``, …
      path: of the image in that folder, the column ``FILE``.
      subject_id: a number of UMDFaces.
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
        return f"{self.folder.name}/{self.path}"


def find_umdfaces(manual_dir: Path) -> dict[str, list[UmdFace]]:
    """Checks the layout and lists the faces, in the order of their CSV files.

    Returns:
      Split -> faces: ``batch1``, ``batch2``, ``batch3``.

    Raises:
      FileNotFoundError: naming the first missing folder or CSV file.
      ValueError: naming the first missing column.
    """
    splits = {}
    for batch in BATCHES:
        folder = manual_dir / f"umdfaces_{batch}"
        require_folder(folder, holds="SUBJECT/FILE.jpg (UMDFaces has umdfaces_batch1, 2 and 3)")
        name = f"umdfaces_{batch}_ultraface.csv"
        tables = [path for path in (folder / name, manual_dir / name) if path.is_file()]
        if not tables:
            raise FileNotFoundError(f"no {name} in {folder} or {manual_dir}; expected one of them")
        splits[batch] = _read_table(tables[0], folder, batch)
    return splits


def _read_table(path: Path, folder: Path, batch: str) -> list[UmdFace]:
    # utf-8-sig: the published files begin with a byte order mark.
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        header = [name.strip() for name in next(rows, [])]
        missing = [column for column in COLUMNS if column not in header]
        if missing:
            raise ValueError(
                f"{path.name} lacks the column {missing[0]} (and {len(missing) - 1} others); "
                f"expected {', '.join(COLUMNS[:9])}, P1X, P1Y, VIS1, … VIS21"
            )
        subject, name = header.index("SUBJECT_ID"), header.index("FILE")
        columns = [header.index(column) for column in NUMBER_COLUMNS]
        faces = []
        for line, row in enumerate(rows, start=2):
            if len(row) != len(header):
                raise ValueError(
                    f"{path.name}, line {line}, has {len(row)} columns; expected {len(header)}"
                )
            numbers = np.array([_number(row[column]) for column in columns], np.float32)
            identity = _number(row[subject])
            subject_id = int(identity) if identity == identity else -1
            faces.append(UmdFace(folder, batch, row[name].strip(), subject_id, numbers))
    if not faces:
        raise ValueError(f"{path.name} has a header and no faces")
    return faces


def _number(text: str) -> float:
    """A cell's number; NaN, which is reported with its face, where it has none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def read_umdfaces(face: UmdFace) -> dict[str, Any]:
    """Reads one face and cuts its crop around the face box.

    Returns:
      ``image`` ``(120, 120, 3)`` RGB; ``landmarks21`` ``(21, 2)`` crop pixels and
      ``landmarks21_px`` image pixels, AFLW's order; ``visibility`` ``(21,)``, the file's own
      numbers; ``face_box`` ``(4,)`` ``(x, y, width, height)``; ``roi_box`` ``(4,)``;
      ``yaw_degrees``, ``pitch_degrees``, ``roll_degrees``; ``subject_id``; ``file_name``;
      ``batch``.

    Raises:
      ValueError, OSError: where the image is absent or broken, or a number is missing.
    """
    unknown = np.flatnonzero(~np.isfinite(face.numbers))
    if len(unknown) or face.subject_id < 0:
        column = NUMBER_COLUMNS[unknown[0]] if len(unknown) else "SUBJECT_ID"
        raise ValueError(f"its row has no number in the column {column}")
    photo = read_photo(face.folder / face.path)
    x, y, width, height = box = face.numbers[: len(BOX_COLUMNS)]
    yaw, pitch, roll = face.numbers[len(BOX_COLUMNS) :][: len(POSE_COLUMNS)]
    points = face.numbers[-len(POINT_COLUMNS) :].reshape(21, 3)
    # To whole pixels, as `crop_image` cuts: the points then fit the picture exactly.
    roi_box = np.round(roi_box_from_detection(np.array([x, y, x + width, y + height])))
    return {
        "image": crop_image(photo, roi_box),
        "landmarks21": image_to_crop(points[:, :2], roi_box),
        "landmarks21_px": points[:, :2],
        "visibility": points[:, 2],
        "face_box": box,
        "roi_box": roi_box,
        "yaw_degrees": yaw,
        "pitch_degrees": pitch,
        "roll_degrees": roll,
        "subject_id": face.subject_id,
        "file_name": face.file_name,
        "batch": face.group,
    }

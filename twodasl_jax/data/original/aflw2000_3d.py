"""AFLW2000-3D as it is published: 2,000 photographs with fitted 3D faces, the benchmark.

``AFLW2000/image00002.jpg …`` with ``.mat``; beside that folder, where given, annotations that
are joined by file name (`aflw2000_3d_lists`).
"""

import dataclasses
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from twodasl_jax.crop_frame import image_to_crop
from twodasl_jax.data.face_crop import crop_image, roi_box_from_landmarks
from twodasl_jax.data.folder_listing import printable
from twodasl_jax.data.original.aflw2000_3d_lists import ARCHIVE, Lists, find_lists
from twodasl_jax.data.original.files import (
    decode_photo,
    in_either_case,
    list_stems,
    read_mat,
    read_mat_fields,
    require_readable,
)
from twodasl_jax.data.original.incomplete import LACKING
from twodasl_jax.user_files.picture import read_picture_bytes

ROOT = "AFLW2000"
NUM_FACES = 2000

LABELS = {"pt3d_68": (3, 68)}
"""What the benchmark is for: a folder without it is another data set."""

OTHERS = {"Pose_Para": (7,), "Shape_Para": (199,), "Exp_Para": (29,), "pt2d": (2, 21)}
"""What single metrics or nobody needs: the published files image01198, image02899 and image03189
have a ``pt2d`` of 2 x 23."""

NOT_VISIBLE = -1
"""The x of a point of ``pt2d`` that is not visible. Its y is the image's height + 2: what the
flip of the y axis made of the same mark."""

LARGEST_DISAGREEMENT_PX = 2.0
"""Mean distance, per face, of the annotations' original landmarks from the ``.mat`` file's: they
are the same numbers, so more means that a list belongs to other images."""


@dataclasses.dataclass(frozen=True, slots=True)
class Aflw2000Face:
    """One face.

    Attributes:
      root: the folder ``AFLW2000``.
      stem: the file's name without suffix.
      lists: the annotations beside the folder.
      is_absent: the annotations name it, and the folder has neither photograph nor ``.mat``.
    """

    root: Path
    stem: str
    lists: Lists
    is_absent: bool = False

    @property
    def file_name(self) -> str:
        """``image00002.jpg``, also where the file ends in upper case: annotations name it so."""
        return f"{printable(self.stem)}.jpg"

    @property
    def path(self) -> Path:
        """Of the photograph."""
        return in_either_case(self.root / f"{self.stem}.jpg")

    @property
    def group(self) -> str:
        """The only folder."""
        return ROOT


def find_aflw2000_3d(manual_dir: Path) -> dict[str, list[Aflw2000Face]]:
    """Checks the layout and lists the faces by name.

    Returns:
      Split -> faces; the only split is ``test``. Faces that ``annotations.npz`` names and the
      folder does not hold are among them; they cannot be read.

    Raises:
      FileNotFoundError: naming the first missing folder or file.
      ValueError: where the first annotations lack the labels, or lists beside the folder do not
        fit it.
    """
    root = manual_dir / ROOT
    stems = list_stems(root, holds="image00002.jpg … with their .mat")
    require_readable(stems, lambda stem: read_mat(_mat_path(root, stem), LABELS))
    stem_of = {f"{printable(stem)}.jpg": stem for stem in stems}
    lists = find_lists(manual_dir, sorted(stem_of))
    faces = [
        Aflw2000Face(root, stem_of.get(name, PurePath(name).stem), rows, name not in stem_of)
        for name, rows in sorted(lists.items())
    ]
    return {"test": faces}


def _mat_path(root: Path, stem: str) -> Path:
    return in_either_case(root / f"{stem}.mat")


def read_aflw2000_3d(face: Aflw2000Face) -> dict[str, Any]:
    """Reads one face and cuts its crop by the benchmark's box.

    The box is the published one where the annotations have it, else it comes from the 68
    landmarks and is clipped to ``[1, width] x [1, height]``, as the published ones are.

    Returns:
      ``image`` ``(120, 120, 3)`` RGB, ``photo`` the untouched bytes of the file, ``file_name``;
      ``roi_box`` ``(4,)`` and ``roi_box_is_published``; ``landmarks_px`` ``(68, 3)`` image pixels
      and ``landmarks`` ``(68, 2)`` crop pixels; ``landmarks21_px`` ``(21, 2)``, NaN where not
      visible, and ``visibility`` ``(21,)``; ``yaw_degrees``; ``image_height``; ``pose_para``,
      ``shape_para``, ``exp_para``; `Lists`' other fields. What the ``.mat`` file lacks is NaN, not
      visible, and named under `LACKING`.

    Raises:
      ValueError, OSError: where a file is absent or broken, or the crop's box is unknown.
    """
    if face.is_absent:
        raise FileNotFoundError(f"{ARCHIVE} names it, and {ROOT} holds no such photograph")
    annotation, lacking = _read_annotation(face)
    landmarks, points21 = annotation["pt3d_68"].T, annotation["pt2d"].T
    _require_same_face(face, landmarks)
    encoded = read_picture_bytes(face.path)
    photo = decode_photo(encoded, face.path)
    height, width = photo.shape[:2]
    published = bool(np.isfinite(face.lists.roi_box).all())
    if not published and "pt3d_68" in lacking:
        raise ValueError(f"pt3d_68 {lacking['pt3d_68']}, and without it the crop's box is unknown")
    box = face.lists.roi_box if published else clipped_box(landmarks, width, height)
    visible = (points21[:, 0] != NOT_VISIBLE) & np.isfinite(points21).all(axis=1)
    return {
        "image": crop_image(photo, box),
        "photo": encoded,
        "file_name": face.file_name,
        "roi_box": box,
        "roi_box_is_published": published,
        "landmarks_px": landmarks,
        "landmarks": image_to_crop(landmarks[:, :2], box),
        "landmarks21_px": np.where(visible[:, None], points21, np.nan),
        "visibility": visible,
        "has_landmarks21": "pt2d" not in lacking,
        "yaw_degrees": np.rad2deg(annotation["Pose_Para"][1]),
        "image_height": height,
        "pose_para": annotation["Pose_Para"],
        "shape_para": annotation["Shape_Para"],
        "exp_para": annotation["Exp_Para"],
        "benchmark_yaw_degrees": face.lists.yaw_degrees,
        "reannotated_landmarks_px": face.lists.reannotated,
        "has_reannotated": bool(np.isfinite(face.lists.reannotated).all()),
        "detected_landmarks": face.lists.detected,
        "has_detected": bool(np.isfinite(face.lists.detected).all()),
        LACKING: lacking,
    }


def _read_annotation(face: Aflw2000Face) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The ``.mat`` file's fields, NaN throughout where one is of no use, and which those are."""
    arrays, lacking = read_mat_fields(_mat_path(face.root, face.stem), {}, LABELS | OTHERS)
    for name, array in arrays.items():
        # Of 21 points each stands for itself; of all else a part is of no use.
        if name not in lacking and name != "pt2d" and not np.isfinite(array).all():
            lacking[name] = "holds NaN or infinity"
            arrays[name] = np.full_like(array, np.nan)
    return arrays, lacking


def clipped_box(landmarks_px: np.ndarray, width: int, height: int) -> np.ndarray:
    """The benchmark's box: the landmarks' crop box, clipped to the image, counted from one.

    Args:
      landmarks_px: ``(68, 2)`` or ``(68, 3)`` image pixels.
      width: of the image.
      height: of the image.

    Returns:
      ``(4,)`` float32 ``(sx, sy, ex, ey)``.
    """
    limits = np.array([width, height, width, height], np.float32)
    return np.clip(roi_box_from_landmarks(landmarks_px), 1, limits)


def _require_same_face(face: Aflw2000Face, landmarks: np.ndarray) -> None:
    given = face.lists.landmarks
    if not (np.isfinite(given).all() and np.isfinite(landmarks).all()):
        return
    distance = np.linalg.norm(given - landmarks[:, :2], axis=1).mean()
    if distance > LARGEST_DISAGREEMENT_PX:
        raise ValueError(
            f"the annotations' landmarks are {distance:.0f} px from those of the .mat file: they "
            "are of another image"
        )

"""AFLW2000-3D as it is published: 2,000 photographs with fitted 3D faces, the benchmark.

``AFLW2000/image00002.jpg …`` with ``.mat``; beside that folder, where given, annotations that
are joined by file name (`aflw2000_3d_lists`).
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from twodasl_jax.crop_frame import image_to_crop
from twodasl_jax.data.face_crop import crop_image, roi_box_from_landmarks
from twodasl_jax.data.original.aflw2000_3d_lists import Lists, find_lists
from twodasl_jax.data.original.files import (
    decode_photo,
    list_stems,
    read_mat,
    require_finite,
    require_readable,
)

ROOT = "AFLW2000"
NUM_FACES = 2000

FIELDS = {
    "Pose_Para": (7,),
    "Shape_Para": (199,),
    "Exp_Para": (29,),
    "pt3d_68": (3, 68),
    "pt2d": (2, 21),
}

NOT_VISIBLE = -1
"""The x of a point of ``pt2d`` that is not visible. Its y is the image's height + 2: what the
flip of the y axis made of the same mark."""

LARGEST_DISAGREEMENT_PX = 2.0
"""Mean distance, per face, of the annotations' original landmarks from the ``.mat`` file's: they
are the same numbers, so more means that a list belongs to other images."""


@dataclasses.dataclass(frozen=True, slots=True)
class Aflw2000Face:
    """One face: the folder ``AFLW2000``, its file's name, and the annotations beside it."""

    root: Path
    file_name: str
    lists: Lists

    @property
    def group(self) -> str:
        """The only folder."""
        return ROOT


def find_aflw2000_3d(manual_dir: Path) -> dict[str, list[Aflw2000Face]]:
    """Checks the layout and lists the faces by name.

    Returns:
      Split -> faces; the only split is ``test``.

    Raises:
      FileNotFoundError: naming the first missing folder or file.
      ValueError: where the first annotations lack a key, or lists beside the folder do not fit it.
    """
    root = manual_dir / ROOT
    stems = list_stems(root, holds="image00002.jpg … with their .mat")
    names = [f"{stem}.jpg" for stem in stems]
    require_readable(stems, lambda stem: read_mat(root / f"{stem}.mat", FIELDS))
    lists = find_lists(manual_dir, names)
    return {"test": [Aflw2000Face(root, name, lists[name]) for name in names]}


def read_aflw2000_3d(face: Aflw2000Face) -> dict[str, Any]:
    """Reads one face and cuts its crop by the benchmark's box.

    The box is the published one where the annotations have it, else it comes from the 68
    landmarks and is clipped to ``[1, width] x [1, height]``, as the published ones are.

    Returns:
      ``image`` ``(120, 120, 3)`` RGB, ``photo`` the untouched bytes of the file, ``file_name``;
      ``roi_box`` ``(4,)`` and ``roi_box_is_published``; ``landmarks_px`` ``(68, 3)`` image pixels
      and ``landmarks`` ``(68, 2)`` crop pixels; ``landmarks21_px`` ``(21, 2)``, NaN where not
      visible, and ``visibility`` ``(21,)``; ``yaw_degrees``; ``image_height``; ``pose_para``,
      ``shape_para``, ``exp_para``; `Lists`' other fields.

    Raises:
      ValueError, OSError: where a file is absent or broken, or a number is NaN.
    """
    path = face.root / face.file_name
    annotation = read_mat(path.with_suffix(".mat"), FIELDS)
    landmarks21 = annotation.pop("pt2d").T
    require_finite(annotation)
    landmarks = annotation["pt3d_68"].T
    _require_same_face(face, landmarks)
    encoded = path.read_bytes()
    photo = decode_photo(encoded, path)
    height, width = photo.shape[:2]
    published = bool(np.isfinite(face.lists.roi_box).all())
    box = face.lists.roi_box if published else clipped_box(landmarks, width, height)
    visible = (landmarks21[:, 0] != NOT_VISIBLE) & np.isfinite(landmarks21).all(axis=1)
    return {
        "image": crop_image(photo, box),
        "photo": encoded,
        "file_name": face.file_name,
        "roi_box": box,
        "roi_box_is_published": published,
        "landmarks_px": landmarks,
        "landmarks": image_to_crop(landmarks[:, :2], box),
        "landmarks21_px": np.where(visible[:, None], landmarks21, np.nan),
        "visibility": visible,
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
    }


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
    if not np.isfinite(given).all():
        return
    distance = np.linalg.norm(given - landmarks[:, :2], axis=1).mean()
    if distance > LARGEST_DISAGREEMENT_PX:
        raise ValueError(
            f"the annotations' landmarks are {distance:.0f} px from those of the .mat file: they "
            "are of another image"
        )

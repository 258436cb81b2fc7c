"""300W-LP as it is published: 122,450 photographs with fitted 3D faces.

``300W_LP/{AFW,HELEN,IBUG,LFPW}[_Flip]/NAME.jpg`` with ``NAME.mat``, and where present
``300W_LP/landmarks/SUBSET/NAME_pts.mat``.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from twodasl_jax.crop_frame import image_to_crop
from twodasl_jax.data.face_crop import crop_image, roi_box_from_landmarks
from twodasl_jax.data.folder_listing import printable
from twodasl_jax.data.original.files import (
    in_either_case,
    list_stems,
    read_mat,
    read_photo,
    require_finite,
    require_readable,
)
from twodasl_jax.data.original.incomplete import LACKING

ROOT = "300W_LP"
FLIP = "_Flip"
SUBSETS = ("AFW", "HELEN", "IBUG", "LFPW")
FOLDERS = tuple(sorted([*SUBSETS, *(subset + FLIP for subset in SUBSETS)]))
NUM_FACES = 122_450

PARAMETERS = {"Pose_Para": (7,), "Shape_Para": (199,), "Exp_Para": (29,)}
FITTED_LANDMARKS = {"pts_3d": (68, 2)}
DRAWN_LANDMARKS = {"pt2d": (2, 68)}


@dataclasses.dataclass(frozen=True, slots=True)
class W300LpFace:
    """One face.

    Attributes:
      root: the folder ``300W_LP``.
      group: ``AFW``, ``AFW_Flip``, …: the folder of the image.
      stem: the file's name without suffix.
      has_fitted_landmarks: whether ``landmarks/`` has this subset's folder.
    """

    root: Path
    group: str
    stem: str
    has_fitted_landmarks: bool

    @property
    def file_name(self) -> str:
        """``AFW/AFW_1051618982_1_0``: folder and name, as lists of 300W-LP have it."""
        return f"{self.group}/{printable(self.stem)}"


def find_w300_lp(manual_dir: Path) -> dict[str, list[W300LpFace]]:
    """Checks the layout and lists the faces, by folder and name.

    Returns:
      Split -> faces; the only split is ``train``.

    Raises:
      FileNotFoundError: naming the first missing folder or file.
      ValueError: where the first annotations of a folder lack a key or has another shape.
    """
    root = manual_dir / ROOT
    faces = []
    for group in FOLDERS:
        stems = list_stems(
            root / group, holds=f"NAME.jpg with NAME.mat (300W-LP has {', '.join(FOLDERS)})"
        )
        fitted = (root / "landmarks" / group).is_dir()
        found = [W300LpFace(root, group, stem, fitted) for stem in stems]
        require_readable(found, _read_annotation)
        faces += found
    return {"train": faces}


def read_w300_lp(face: W300LpFace) -> dict[str, Any]:
    """Reads one face and cuts its crop.

    Returns:
      ``image`` ``(120, 120, 3)`` RGB; ``landmarks`` ``(68, 2)`` crop pixels; ``landmark_source``
      ``pts_3d`` (the fitted model's, self-occluded ones included) or ``pt2d``; ``file_name``,
      ``subset``, ``is_flipped``; ``roi_box`` ``(4,)``; ``image_height``; ``pose_para``,
      ``shape_para``, ``exp_para``. A face of a subset with fitted landmarks that has none itself
      is read with its ``pt2d``, and says so under `LACKING`.

    Raises:
      ValueError, OSError: where a file is absent or broken, or a number is NaN.
    """
    landmarks_px, annotation, lacking = _read_annotation(face)
    require_finite({"landmarks": landmarks_px} | annotation)
    photo = read_photo(in_either_case(face.root / face.group / f"{face.stem}.jpg"))
    roi_box = roi_box_from_landmarks(landmarks_px)
    is_fitted = face.has_fitted_landmarks and not lacking
    return {
        "image": crop_image(photo, roi_box),
        "landmarks": image_to_crop(landmarks_px, roi_box),
        "landmark_source": "pts_3d" if is_fitted else "pt2d",
        "file_name": face.file_name,
        "subset": face.group.removesuffix(FLIP),
        "is_flipped": face.group.endswith(FLIP),
        "roi_box": roi_box,
        "image_height": photo.shape[0],
        "pose_para": annotation["Pose_Para"],
        "shape_para": annotation["Shape_Para"],
        "exp_para": annotation["Exp_Para"],
        LACKING: lacking,
    }


def _read_annotation(
    face: W300LpFace,
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, str]]:
    """``(68, 2)`` landmarks in image pixels, the parameters, and why none are fitted ones."""
    path, lacking = in_either_case(face.root / face.group / f"{face.stem}.mat"), {}
    if face.has_fitted_landmarks:
        try:
            return _fitted_landmarks(face), read_mat(path, PARAMETERS), lacking
        except _NoFittedLandmarksError as error:
            lacking = {"pts_3d": f"cannot be read ({error}), and pt2d is taken"}
    annotation = read_mat(path, PARAMETERS | DRAWN_LANDMARKS)
    return annotation.pop("pt2d").T, annotation, lacking


class _NoFittedLandmarksError(ValueError):
    """The optional file of one face is absent or of no use."""


def _fitted_landmarks(face: W300LpFace) -> np.ndarray:
    path = face.root / "landmarks" / face.group / f"{face.stem}_pts.mat"
    try:
        fitted = read_mat(in_either_case(path), FITTED_LANDMARKS)
        require_finite(fitted)
    except (ValueError, OSError) as error:
        raise _NoFittedLandmarksError(str(error)) from error
    return fitted["pts_3d"]

"""Published annotations of AFLW2000-3D that come apart from it, joined by file name.

Beside the folder ``AFLW2000`` may lie *either* ``annotations.npz``, joined by ``file_name (n,)``,
with any of ``roi_box (n, 4)``, ``yaw_degrees (n,)``, ``landmarks_px (n, 68, 2 or 3)``,
``reannotated_landmarks_px (n, 68, 2)`` and ``detected_landmarks_crop_px (n, 68, 2)``, *or* some of
the 3DDFA family's lists, whose rows are those of the sorted file names:

- ``AFLW2000-3D.pts68.npy`` ``(n, 2 or 3, 68)``, original landmarks (points of either kind of
  file may come as ``(n, 68, 2 or 3)`` as well);
- ``AFLW2000-3D-Reannotated.pts68.npy`` ``(n, 2 or 3, 68)``;
- ``AFLW2000-3D_crop.roi_box.npy`` ``(n, 4)``;
- ``AFLW2000-3D.pose.npy`` ``(n,)``, yaw in degrees.
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

import numpy as np

from twodasl_jax.user_files.arrays import read_npy, read_npz

ARCHIVE = "annotations.npz"
FILE_OF = {
    "landmarks": "AFLW2000-3D.pts68.npy",
    "reannotated": "AFLW2000-3D-Reannotated.pts68.npy",
    "roi_box": "AFLW2000-3D_crop.roi_box.npy",
    "yaw_degrees": "AFLW2000-3D.pose.npy",
}
KEY_OF = {
    "landmarks": "landmarks_px",
    "reannotated": "reannotated_landmarks_px",
    "detected": "detected_landmarks_crop_px",
    "roi_box": "roi_box",
    "yaw_degrees": "yaw_degrees",
}
_SHAPE_OF = {
    "landmarks": (68, 2),
    "reannotated": (68, 2),
    "detected": (68, 2),
    "roi_box": (4,),
    "yaw_degrees": (),
}
LOST = {
    "landmarks": "that they fit the photographs is not checked",
    "reannotated": "there are no re-annotated labels",
    "detected": "there are no published detections",
    "yaw_degrees": "the published yaw, which nothing is scored by, is not known",
}
"""What it costs if an array is of another shape. Of the boxes it would cost the crops."""

_logger = logging.getLogger(__name__)


def _unknown(*shape: int) -> np.ndarray:
    return np.full(shape, np.nan, np.float32)


@dataclasses.dataclass(frozen=True, slots=True)
class Lists:
    """One face's rows; NaN where there is no such list.

    Attributes:
      landmarks: ``(68, 2)`` original labels, image pixels.
      reannotated: ``(68, 2)`` re-annotated labels, image pixels.
      detected: ``(68, 2)`` a detector's, crop pixels.
      roi_box: ``(4,)`` the published benchmark box.
      yaw_degrees: ``()`` the benchmark's.
    """

    landmarks: np.ndarray = dataclasses.field(default_factory=lambda: _unknown(68, 2))
    reannotated: np.ndarray = dataclasses.field(default_factory=lambda: _unknown(68, 2))
    detected: np.ndarray = dataclasses.field(default_factory=lambda: _unknown(68, 2))
    roi_box: np.ndarray = dataclasses.field(default_factory=lambda: _unknown(4))
    yaw_degrees: np.ndarray = dataclasses.field(default_factory=lambda: _unknown())


def find_lists(folder: Path, names: Sequence[str]) -> dict[str, Lists]:
    """The annotations beside the images, per file name.

    An array of another shape that no crop depends on is passed over, and logged with what that
    costs.

    Args:
      folder: holds the archive or the lists, or neither.
      names: sorted file names of all images, their endings in lower case.

    Returns:
      Every name, and every other that the archive has -> its rows.

    Raises:
      ValueError: where a list has another length, the boxes another shape, the archive names no
        image or one twice, or both kinds are there.
    """
    lists = {key: folder / file for key, file in FILE_OF.items() if (folder / file).exists()}
    if not (folder / ARCHIVE).exists():
        arrays = {key: _read_list(key, path, len(names)) for key, path in lists.items()}
        return _by_name(names, arrays) if arrays else {name: Lists() for name in names}
    if lists:
        raise ValueError(
            f"{folder} holds {ARCHIVE} and {next(iter(lists.values())).name}; expected one of "
            "them: move the other away"
        )
    archived, arrays = _read_archive(folder / ARCHIVE)
    if archived and not set(archived) & set(names):
        raise ValueError(
            f"{folder / ARCHIVE} names {archived[0]}, and none of its {len(archived)} names is "
            f"among the {len(names)} images; expected names like {names[0]}"
        )
    return {name: Lists() for name in names} | _by_name(archived, arrays)


def _read_list(key: str, path: Path, count: int) -> np.ndarray | None:
    array = read_npy(path, expected="expected the 3DDFA family's list of that name")
    if array.shape[:1] != (count,) and key != "yaw_degrees":
        raise ValueError(
            f"{path.name} is {array.shape} and there are {count} images; its rows are those of the "
            "sorted file names, so it can be joined to all images only: complete them, or move the "
            "list away"
        )
    return _checked(key, array, count, path.name)


def _read_archive(path: Path) -> tuple[list[str], dict[str, np.ndarray | None]]:
    expected = "expected annotations of AFLW2000-3D, joined by file_name"
    found = read_npz(path, expected=expected, only=("file_name", *KEY_OF.values()))
    if "file_name" not in found:
        raise ValueError(f"{path} lacks file_name; its rows cannot be joined to images")
    given = [PurePath(str(name)) for name in np.ravel(found["file_name"])]
    names = [str(name.with_suffix(name.suffix.lower())) for name in given]
    if len(set(names)) != len(names):
        raise ValueError(f"{path} names an image twice")
    arrays = {}
    for key, name in KEY_OF.items():
        if name in found:
            arrays[key] = _checked(key, found[name], len(names), f"{path.name}: {name}")
    return names, arrays


def _checked(key: str, array: np.ndarray, count: int, name: str) -> np.ndarray | None:
    """The array in float32; None where it is of no use, and the crops do not depend on it."""
    expected = (count, *_SHAPE_OF[key])
    if array.shape in ((count, 2, 68), (count, 3, 68)):
        array = array.swapaxes(1, 2)
    if array.shape == (count, 68, 3):
        array = array[..., :2]
    if array.shape == expected and array.dtype.kind in "iuf":
        return array.astype(np.float32)
    message = f"{name} is {array.shape} {array.dtype}; expected {expected} numbers"
    if key not in LOST:
        raise ValueError(message)
    _logger.warning("%s: it is passed over, and %s", message, LOST[key])
    return None


def _by_name(names: Sequence[str], arrays: Mapping[str, np.ndarray | None]) -> dict[str, Lists]:
    known = {key: array for key, array in arrays.items() if array is not None}
    return {
        name: Lists(**{key: np.asarray(array[row]) for key, array in known.items()})
        for row, name in enumerate(names)
    }

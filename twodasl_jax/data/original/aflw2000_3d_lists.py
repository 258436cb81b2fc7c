"""Published annotations of AFLW2000-3D that come apart from it, joined by file name.

Beside the folder ``AFLW2000`` may lie *either* ``annotations.npz`` (layout: head of
`twodasl_jax.evaluation.aflw2000`) *or* some of the 3DDFA family's lists, whose rows are those of
the sorted file names:

- ``AFLW2000-3D.pts68.npy`` ``(n, 2 or 3, 68)``, original landmarks;
- ``AFLW2000-3D-Reannotated.pts68.npy`` ``(n, 2 or 3, 68)``;
- ``AFLW2000-3D_crop.roi_box.npy`` ``(n, 4)``;
- ``AFLW2000-3D.pose.npy`` ``(n,)``, yaw in degrees.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

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

    Args:
      folder: holds the archive or the lists, or neither.
      names: sorted file names of all images.

    Returns:
      Every name -> its rows.

    Raises:
      ValueError: where a list has another length or shape, the archive names no such image or
        the same one twice, or both kinds are there.
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
    unknown = sorted(set(archived) - set(names))
    if unknown:
        raise ValueError(
            f"{folder / ARCHIVE} names {unknown[0]}, which is not among the {len(names)} images"
        )
    return {name: Lists() for name in names} | _by_name(archived, arrays)


def _read_list(key: str, path: Path, count: int) -> np.ndarray:
    with path.open("rb") as file:
        array = np.load(file, allow_pickle=False)
    if len(array) != count:
        raise ValueError(
            f"{path.name} has {len(array)} rows and there are {count} images; its rows are those "
            "of the sorted file names, so it can be joined to all images only"
        )
    if len(_SHAPE_OF[key]) == 2:
        if array.ndim != 3 or array.shape[1] not in (2, 3) or array.shape[2] != 68:
            raise ValueError(f"{path.name} is {array.shape}; expected (n, 2 or 3, 68)")
        array = array[:, :2].swapaxes(1, 2)
    return _checked(key, array, count, path.name)


def _read_archive(path: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        found = {key: archive[key] for key in ("file_name", *KEY_OF.values()) if key in archive}
    if "file_name" not in found:
        raise ValueError(f"{path} lacks file_name; its rows cannot be joined to images")
    names = [str(name) for name in found["file_name"]]
    if len(set(names)) != len(names):
        raise ValueError(f"{path} names an image twice")
    arrays = {}
    for key, name in KEY_OF.items():
        if name in found:
            array = found[name][..., :2] if key == "landmarks" else found[name]
            arrays[key] = _checked(key, array, len(names), f"{path.name}: {name}")
    return names, arrays


def _checked(key: str, array: np.ndarray, count: int, name: str) -> np.ndarray:
    if array.shape != (count, *_SHAPE_OF[key]):
        raise ValueError(f"{name} is {array.shape}; expected {(count, *_SHAPE_OF[key])}")
    return array.astype(np.float32)


def _by_name(names: Sequence[str], arrays: dict[str, np.ndarray]) -> dict[str, Lists]:
    return {
        name: Lists(**{key: np.asarray(array[row]) for key, array in arrays.items()})
        for row, name in enumerate(names)
    }

"""Where training faces come from: random access to one face at a time, as numpy.

A source has ``__len__`` and ``__getitem__``; every element has ``image`` ``(120, 120, 3)``
uint8 RGB, ``landmarks18`` ``(18, 2)`` and ``landmark18_weights`` ``(18,)``, and

- annotated: ``coefficients`` ``(62,)``;
- in the wild: ``landmarks`` ``(68, 2)`` and ``landmark_weights`` ``(68,)``.

Positions are crop pixels; a missing or self-occluded point is 0 with weight 0 everywhere.
"""

import json
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.data.detector_noise import DetectorNoise, detector_like
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_21, LANDMARKS_18_FROM_68

Role = Literal["annotated", "in_the_wild"]

CONTOUR_WEIGHT = 0.15
"""Of the 17 jaw points among 68 labels: annotators place them on the silhouette, which is not
where the model's jaw vertices are once the head turns."""

OCCLUDED_WEIGHT = 0.5
"""Of a point behind a hand or hair: its position was estimated by the annotator."""


def landmarks18_and_weights(
    landmarks: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The 18 landmarks of 68 labelled ones; a centre needs both of its points.

    Args:
      landmarks: ``(68, 2)``, unknown positions 0.
      weights: ``(68,)``, unknown 0.

    Returns:
      ``(18, 2)`` and ``(18,)``.
    """
    first, second = LANDMARKS_18_FROM_68.T
    pair_weights = np.minimum(weights[first], weights[second])
    points = 0.5 * (landmarks[first] + landmarks[second])
    return np.where(pair_weights[:, None] > 0, points, 0).astype(np.float32), pair_weights


class RenderedSource:
    """Faces rendered into a folder by `write_rendered`; images stay on disk (memory-mapped)."""

    def __init__(self, folder: str | Path, *, role: Role = "annotated") -> None:
        """Opens the folder.

        Args:
          folder: written by `write_rendered`.
          role: ``annotated`` gives coefficients; ``in_the_wild`` gives only what a 2D detector
            would: 18 noisy landmarks, some missing, the same at every visit.

        Raises:
          FileNotFoundError: where there is no complete set.
        """
        self._folder, self._role = Path(folder), role
        if not (self._folder / "settings.json").exists():
            raise FileNotFoundError(f"{folder} holds no complete set of rendered faces")
        self.images = np.load(self._folder / "image.npy", mmap_mode="r")
        with np.load(self._folder / "labels.npz") as file:
            self.labels = {key: file[key] for key in file.files}

    @property
    def coefficients(self) -> np.ndarray:
        """``(n, 62)`` raw, of all faces."""
        return self.labels["coefficients"]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> dict[str, np.ndarray]:
        index = int(index)
        landmarks = self.labels["landmarks"][index]
        everywhere = np.ones(68, np.float32)
        points, weights = landmarks18_and_weights(landmarks, everywhere)
        element = {"image": np.array(self.images[index])}
        if self._role == "annotated":
            element["coefficients"] = self.labels["coefficients"][index]
            return element | {"landmarks18": points, "landmark18_weights": weights}
        # Seeded by the index: a photograph's labels are wrong in the same way at every visit.
        noise = DetectorNoise(failure_probability=0.0, outlier_probability=0.0)
        found = detector_like(points, np.random.default_rng(index), noise)
        seen = np.isfinite(found).all(axis=1)
        return element | {
            "landmarks": np.zeros((68, 2), np.float32),
            "landmark_weights": np.zeros(68, np.float32),
            "landmarks18": np.where(seen[:, None], found, 0).astype(np.float32),
            "landmark18_weights": seen.astype(np.float32),
        }


def write_rendered(
    folder: str | Path,
    *,
    images: np.ndarray,
    coefficients: np.ndarray,
    landmarks: np.ndarray,
    yaw_degrees: np.ndarray,
    settings: Mapping[str, Any],
) -> None:
    """Writes a set of rendered faces; the folder appears when it is complete.

    Args:
      folder: replaced if it holds another set.
      images: ``(n, 120, 120, 3)`` uint8 RGB.
      coefficients: ``(n, 62)`` raw.
      landmarks: ``(n, 68, 2)`` crop pixels.
      yaw_degrees: ``(n,)``.
      settings: what the set was made with, plain values; see `is_rendered_with`.

    Raises:
      ValueError: where lengths differ.
    """
    arrays = {"coefficients": coefficients, "landmarks": landmarks, "yaw_degrees": yaw_degrees}
    lengths = {name: len(array) for name, array in arrays.items()} | {"images": len(images)}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"a rendered set of unequal lengths {lengths}; expected one per face")
    folder = Path(folder)
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    np.save(unfinished / "image.npy", images)
    np.savez(unfinished / "labels.npz", **arrays)  # pyright: ignore[reportArgumentType]
    (unfinished / "settings.json").write_text(json.dumps(dict(settings), indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


def is_rendered_with(folder: str | Path, settings: Mapping[str, Any]) -> bool:
    """Whether the folder holds a complete set made with just these settings."""
    path = Path(folder) / "settings.json"
    return path.exists() and json.loads(path.read_text()) == dict(settings)


class CropSource:
    """Real 120x120 face crops with 21 or 68 landmarks: a tar or folder and annotations.npz.

    ``annotations.npz``: ``file_name (n,)``, ``landmarks21_crop_px (n, 21, 2)`` (AFLW's order,
    NaN = not visible) and optionally ``landmarks68_crop_px (n, 68, 2)`` with
    ``landmarks68_visibility (n, 68)``: 2 visible, 1 externally occluded, 0 self-occluded,
    -1 no such label. Where a face has 68 points its 18 come from them, else from the 21.
    """

    def __init__(self, folder: str | Path, *, only_68: bool = False) -> None:
        """Reads annotations and encoded images into memory.

        Args:
          folder: holds ``crops.tar`` or a folder ``crops``, and ``annotations.npz``.
          only_68: keep only the faces with 68 labels.

        Raises:
          FileNotFoundError: naming what is missing.
          ValueError: where annotations are incomplete, or name images that are not there.
        """
        folder = Path(folder)
        annotations = _read_crop_annotations(folder / "annotations.npz")
        count = len(annotations["file_name"])
        visibility = annotations.get("landmarks68_visibility", np.full((count, 68), -1, np.int8))
        positions = annotations.get("landmarks68_crop_px", np.full((count, 68, 2), np.nan))
        kept = np.flatnonzero((visibility >= 0).any(axis=1)) if only_68 else np.arange(count)
        if not len(kept):
            raise ValueError(f"{folder} has no face with 68 labels; set only_68=False")
        self._names = annotations["file_name"][kept].astype(str)
        self._landmarks21 = annotations["landmarks21_crop_px"][kept]
        self._landmarks68, self._visibility = positions[kept], visibility[kept]
        self._encoded = _read_encoded(folder, set(self._names))

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: Any) -> dict[str, np.ndarray]:
        index = int(index)
        known = np.isfinite(self._landmarks68[index]).all(axis=1)
        weights = np.select(
            [self._visibility[index] == 2, self._visibility[index] == 1], [1.0, OCCLUDED_WEIGHT]
        )
        weights = np.where(known, weights, 0).astype(np.float32)
        landmarks = np.where(known[:, None], self._landmarks68[index], 0).astype(np.float32)
        if weights.any():
            points, weights18 = landmarks18_and_weights(landmarks, weights)
        else:
            points = self._landmarks21[index][LANDMARKS_18_FROM_21]
            seen = np.isfinite(points).all(axis=1)
            points = np.where(seen[:, None], points, 0).astype(np.float32)
            weights18 = seen.astype(np.float32)
        weights[:17] *= CONTOUR_WEIGHT
        return {
            "image": decode_crop(self._encoded[self._names[index]], self._names[index]),
            "landmarks": landmarks,
            "landmark_weights": weights,
            "landmarks18": points,
            "landmark18_weights": weights18,
        }


def decode_crop(encoded: bytes, name: str) -> np.ndarray:
    """Decodes one 120x120 picture to RGB.

    Raises:
      ValueError: naming the record, if it is corrupt or of another size.
    """
    picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    if picture is None or picture.shape != (CROP_SIZE, CROP_SIZE, 3):
        came = "unreadable" if picture is None else f"{picture.shape}"
        raise ValueError(f"the crop {name} is {came}; expected a (120, 120, 3) image")
    return picture


def _read_crop_annotations(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        raise FileNotFoundError(
            f"no {path}; expected a folder with crops.tar and annotations.npz (docs/extending.md)"
        )
    with np.load(path, allow_pickle=False) as file:
        annotations = {key: file[key] for key in file.files}
    missing = [key for key in ("file_name", "landmarks21_crop_px") if key not in annotations]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; it has {', '.join(annotations)}")
    return annotations


def _read_encoded(folder: Path, names: set[str]) -> dict[str, bytes]:
    if (folder / "crops.tar").exists():
        with tarfile.open(folder / "crops.tar") as archive:
            encoded = {
                member.name: archive.extractfile(member).read()  # pyright: ignore[reportOptionalMemberAccess]
                for member in archive
                if member.isfile() and member.name in names
            }
    elif (folder / "crops").is_dir():
        paths = {name: folder / "crops" / name for name in names}
        encoded = {name: path.read_bytes() for name, path in paths.items() if path.exists()}
    else:
        raise FileNotFoundError(f"no crops.tar and no folder crops in {folder}")
    missing = sorted(names - set(encoded))
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(names)} annotated crops are absent from {folder}, "
            f"first {missing[0]}"
        )
    return encoded

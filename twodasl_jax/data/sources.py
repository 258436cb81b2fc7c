"""Where training faces come from: rendered sets and folders of crops, see `source_protocol`."""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twodasl_jax.coefficient_layout import NUM_COEFFICIENTS, TRANSLATION_X, TRANSLATION_Y
from twodasl_jax.crop_frame import CROP_SIZE, HALF_PIXEL
from twodasl_jax.data import crop_files
from twodasl_jax.data.crop_files import CHECKSUMS, decode_crop, require_written
from twodasl_jax.data.detector_noise import DetectorNoise, detector_like
from twodasl_jax.data.source_protocol import Role
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_21, LANDMARKS_18_FROM_68
from twodasl_jax.replaced_files import finish_replacing, replaced_files
from twodasl_jax.user_files.arrays import read_npz
from twodasl_jax.user_files.json_file import read_json
from twodasl_jax.user_files.record_file import RecordFile

CONTOUR_WEIGHT = 0.15
"""Of the 17 jaw points among 68 labels: annotators place them on the silhouette, which is not
where the model's jaw vertices are once the head turns."""

OCCLUDED_WEIGHT = 0.5
"""Of a point behind a hand or hair: its position was estimated by the annotator."""

FARTHEST_OUTSIDE_PX = 20.0
"""A label farther outside the crop than this is an annotator's slip (AFLW has a few hundreds of
pixels away, on another face; MERL-RAV 47 points) and counts as not visible: squared or not, one
would outweigh the rest of its batch."""

RENDERED = "expected a set of rendered faces: delete the folder, to render it again"

RENDERED_MARKER = "settings.json"
"""What a set of rendered faces was made with; without it a set is not complete."""

RENDER_TO_CROP_PX = HALF_PIXEL
"""The renderer puts the centre of pixel c at c, the crop frame of photographs at c + 1/2."""


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
    """Faces rendered into a folder by `write_rendered`; images stay on disk, read one by one."""

    def __init__(self, folder: str | Path, *, role: Role = "annotated") -> None:
        """Opens the folder.

        The labels are carried from the renderer's pixel centres to the photographs'
        (`RENDER_TO_CROP_PX`): points by a shift, coefficients by their translation.

        Args:
          folder: written by `write_rendered`.
          role: ``annotated`` gives coefficients; ``in_the_wild`` gives only what a 2D detector
            would: 18 noisy landmarks, some missing, the same at every visit.

        Raises:
          FileNotFoundError: where there is no complete set.
          ValueError: where its arrays do not belong together.
        """
        folder = Path(folder)
        self.role: Role = role
        finish_replacing(folder, marker=RENDERED_MARKER)
        for name in (RENDERED_MARKER, "image.npy", "labels.npz"):
            if not (folder / name).exists():
                raise FileNotFoundError(
                    f"{folder} holds no complete set of rendered faces: no {name}"
                )
        self.images = RecordFile(folder / "image.npy", expected=RENDERED)
        labels = read_npz(folder / "labels.npz", expected=RENDERED)
        _check_rendered(folder, self.images, labels)
        labels["landmarks"] = labels["landmarks"] + np.float32(RENDER_TO_CROP_PX)
        labels["coefficients"] = labels["coefficients"].copy()
        labels["coefficients"][:, TRANSLATION_X] += RENDER_TO_CROP_PX
        labels["coefficients"][:, TRANSLATION_Y] -= RENDER_TO_CROP_PX  # upwards
        self.labels = labels

    @property
    def coefficients(self) -> np.ndarray:
        """``(n, 62)`` raw, of all faces."""
        return self.labels["coefficients"]

    def record_name(self, index: int) -> str:
        """The face's number in the set, for messages."""
        return f"picture {index}"

    def identities(self) -> list[str]:
        """One string per face; equal where two rendered sets, whatever their names, share it."""
        rows = np.ascontiguousarray(self.coefficients)
        return [hashlib.sha256(row.tobytes()).hexdigest() for row in rows]

    def __len__(self) -> int:
        return len(self.images)

    def read_pictures(self) -> np.ndarray:
        """``(n, size, size, 3)`` uint8 RGB, in memory; refuses a damaged one by a ValueError."""
        return np.stack([self._picture(index) for index in range(len(self))])

    def _picture(self, index: int) -> np.ndarray:
        picture, checksums = self.images[index], self.labels.get(CHECKSUMS)
        if checksums is not None:
            what = f"picture {index} in {self.images.path} (delete its folder to render it again)"
            require_written(picture.data, int(checksums[index]), what)
        return picture

    def __getitem__(self, index: Any) -> dict[str, np.ndarray]:
        index = int(index)
        landmarks = self.labels["landmarks"][index]
        points, weights = landmarks18_and_weights(landmarks, np.ones(68, np.float32))
        element = {"image": self._picture(index)}
        if self.role == "annotated":
            element["coefficients"] = self.labels["coefficients"][index]
            return element | {"landmarks18": points, "landmark18_weights": weights}
        # Seeded by the index: a photograph's labels are wrong in the same way at every visit.
        noise = DetectorNoise(failure_probability=0.0, outlier_probability=0.0)
        found = detector_like(
            points, np.random.default_rng(index), noise, crop_size=element["image"].shape[0]
        )
        seen = np.asarray(np.isfinite(found).all(axis=1))
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
    """Writes a set of rendered faces, whole or not at all.

    Args:
      folder: another set in it is replaced; other files stay.
      images: ``(n, size, size, 3)`` uint8 RGB.
      coefficients: ``(n, 62)`` raw.
      landmarks: ``(n, 68, 2)`` crop pixels.
      yaw_degrees: ``(n,)``.
      settings: what the set was made with, plain values; see `is_rendered_with`.

    Raises:
      ValueError: where shapes or lengths differ, or a label is not finite.
      OSError: where the folder cannot be written; what it held before is left.
    """
    arrays = {"coefficients": coefficients, "landmarks": landmarks, "yaw_degrees": yaw_degrees}
    arrays[CHECKSUMS] = crop_files.picture_checksums(images)
    folder = Path(folder)
    _check_rendered(folder, images, arrays)
    with replaced_files(folder, marker=RENDERED_MARKER) as unfinished:
        np.save(unfinished / "image.npy", images)
        np.savez(unfinished / "labels.npz", **arrays)  # pyright: ignore[reportArgumentType]
        (unfinished / RENDERED_MARKER).write_text(json.dumps(dict(settings), indent=2) + "\n")


def _check_rendered(
    folder: Path, images: np.ndarray | RecordFile, labels: Mapping[str, np.ndarray]
) -> None:
    side = images.shape[1] if len(images.shape) == 4 else 0
    if images.shape[1:] != (side, side, 3) or images.dtype != np.uint8:
        raise ValueError(
            f"{folder}: images are {images.shape} {images.dtype}; expected (n, size, size, 3) uint8"
        )
    shapes = {"coefficients": (NUM_COEFFICIENTS,), "landmarks": (68, 2), "yaw_degrees": ()}
    shapes |= {CHECKSUMS: ()} if CHECKSUMS in labels else {}  # sets of before have none
    for name, shape in shapes.items():
        if name not in labels:
            raise ValueError(f"{folder} lacks {name}; it has {', '.join(labels)}")
        if labels[name].shape != (len(images), *shape) or labels[name].dtype.kind not in "iuf":
            raise ValueError(
                f"{folder}: {name} are {labels[name].shape} {labels[name].dtype}; expected "
                f"{(len(images), *shape)}, one per image"
            )
        finite = np.asarray(np.isfinite(labels[name]).reshape(len(images), -1).all(axis=1))
        if not finite.all():
            raise ValueError(
                f"{folder}: {name} of {len(finite) - finite.sum()} faces hold NaN or infinity, "
                f"first face {finite.argmin()}; render the set again"
            )


def is_rendered_with(folder: str | Path, settings: Mapping[str, Any]) -> bool:
    """Whether the folder holds a complete set made with just these settings."""
    finish_replacing(Path(folder), marker=RENDERED_MARKER)
    path = Path(folder) / RENDERED_MARKER
    return path.exists() and read_json(path, expected=RENDERED) == dict(settings)


class CropSource:
    """Real 120x120 face crops with 21 or 68 landmarks: a tar or folder and annotations.npz.

    ``annotations.npz``: ``file_name (n,)``, ``landmarks21_crop_px (n, 21, 2)`` (AFLW's order,
    NaN = not visible) and optionally ``landmarks68_crop_px (n, 68, 2)`` with
    ``landmarks68_visibility (n, 68)``: 2 visible, 1 externally occluded, 0 self-occluded,
    -1 no such label. Where a face has 68 points its 18 come from them, else from the 21, which a
    folder with 68 need not have. ``crop_crc32 (n,)``, optional, tells a damaged picture.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        only_68: bool = False,
        without: Collection[str] = frozenset(),
    ) -> None:
        """Reads annotations and encoded images into memory.

        Args:
          folder: holds ``crops.tar`` or a folder ``crops``, and ``annotations.npz``.
          only_68: keep only the faces with 68 labels.
          without: file names to leave out, of faces that another source has.

        Raises:
          FileNotFoundError: naming what is missing.
          ValueError: where annotations are incomplete, or name images that are not there.
        """
        folder = Path(folder)
        annotations = crop_files.read_crop_annotations(folder / "annotations.npz")
        count = len(annotations["file_name"])
        visibility = annotations.get("landmarks68_visibility", np.full((count, 68), -1, np.int8))
        positions = annotations.get("landmarks68_crop_px", np.full((count, 68, 2), np.nan))
        kept = np.flatnonzero((visibility >= 0).any(axis=1)) if only_68 else np.arange(count)
        if only_68 and not len(kept):
            raise ValueError(f"{folder} has no face with 68 labels; set only_68=False")
        if without:
            kept = kept[~np.isin(annotations["file_name"][kept], sorted(without))]
            if not len(kept):
                raise ValueError(f"all faces of {folder} are left out; nothing remains to train on")
        self.role: Role = "in_the_wild"
        self._names = [str(name) for name in annotations["file_name"][kept]]
        self._landmarks21 = annotations["landmarks21_crop_px"][kept]
        self._landmarks68, self._visibility = positions[kept], visibility[kept]
        self._checksums = annotations[CHECKSUMS][kept] if CHECKSUMS in annotations else None
        self._encoded = crop_files.read_encoded(folder, set(self._names))

    def __len__(self) -> int:
        return len(self._names)

    def record_name(self, index: int) -> str:
        """The face's file, for messages."""
        return self._names[index]

    def identities(self) -> list[str]:
        """One string per face, its file's name: the same in a source fitted to these crops."""
        return list(self._names)

    def __getitem__(self, index: Any) -> dict[str, np.ndarray]:
        index = int(index)
        visibility = self._visibility[index]
        weights = np.select([visibility == 2, visibility == 1], [1.0, OCCLUDED_WEIGHT])
        known = _within_reach(self._landmarks68[index]) & (weights > 0)
        weights = np.where(known, weights, 0).astype(np.float32)
        landmarks = np.where(known[:, None], self._landmarks68[index], 0).astype(np.float32)
        if weights.any():
            points, weights18 = landmarks18_and_weights(landmarks, weights)
        else:
            points = self._landmarks21[index][LANDMARKS_18_FROM_21]
            seen = _within_reach(points)
            points = np.where(seen[:, None], points, 0).astype(np.float32)
            weights18 = seen.astype(np.float32)
        weights[:17] *= CONTOUR_WEIGHT
        name, checksums = self._names[index], self._checksums
        crc32 = None if checksums is None else int(checksums[index])
        return {
            "image": decode_crop(self._encoded[name], name, crc32=crc32),
            "landmarks": landmarks,
            "landmark_weights": weights,
            "landmarks18": points,
            "landmark18_weights": weights18,
        }


def _within_reach(points: np.ndarray) -> np.ndarray:
    """``(n,)`` whether points are known (not NaN) and not `FARTHEST_OUTSIDE_PX` astray."""
    return np.maximum(-points, points - CROP_SIZE).max(axis=1) <= FARTHEST_OUTSIDE_PX

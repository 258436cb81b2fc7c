"""Prepared TFDS data sets (array_record), read without TensorFlow.

Features, per example (other features are left alone):

- both: ``image`` ``(120, 120, 3)`` uint8 RGB crop;
- annotated (300W-LP): ``coefficients`` ``(62,)`` raw, crop frame, and ``landmarks``
  ``(68, 2)`` crop pixels, and for 300W-LP ``roi_box`` ``(4,)``: its labels count from one;
- in the wild (UMDFaces): ``landmarks21`` ``(21, 2)`` crop pixels in AFLW's order, and
  ``visibility`` ``(21,)``, 0.5 or more where the point is visible.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from twodasl_jax.coefficient_layout import NUM_COEFFICIENTS
from twodasl_jax.crop_frame import CROP_SIZE, HALF_PIXEL
from twodasl_jax.data.crop_resize import LABEL_OFFSET
from twodasl_jax.data.prepared_files import PreparedRecords, open_prepared
from twodasl_jax.data.source_protocol import Role
from twodasl_jax.data.sources import landmarks18_and_weights
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_21

DEFAULT_DATA_DIR = Path("~/tensorflow_datasets")

WITHOUT_DATA = (
    "To train without any data: python run.py --config=configs/quickstart.py "
    "--workdir=runs/quickstart"
)

COUNTED_FROM_ONE = ("w300_lp",)
"""Data sets whose labels have the centre of the photograph's first pixel at 1 and not at 1/2."""

MANUAL_FOLDERS = {
    "w300_lp": "300W_LP/",
    "umdfaces": "umdfaces_batch1/, 2 and 3 with their CSV files",
    "aflw2000_3d": "AFLW2000/",
    "aflw_lfpa": "TestImages/, BoundingBox.mat and Landmark.mat",
}
"""What the folder given to ``--manual_dir`` must hold, per data set."""


class TfdsSource:
    """One split of a prepared data set; random access, nothing in memory."""

    def __init__(
        self, name: str, *, split: str, role: Role, data_dir: str | Path | None = None
    ) -> None:
        """Opens the newest prepared version.

        Args:
          name: ``w300_lp``, ``umdfaces``.
          split: of the data set; sums (``batch1+batch2``) and parts (``train[:10%]``) are splits.
          role: which features to read.
          data_dir: where TFDS keeps data sets; None is ``~/tensorflow_datasets``.

        Raises:
          FileNotFoundError: if it is not prepared; with the command that prepares it.
          ValueError: where the split or a feature is missing.
        """
        root = Path(data_dir or DEFAULT_DATA_DIR).expanduser()
        folder = newest_version(root / name)
        if folder is None:
            raise FileNotFoundError(f"{absent_message(name, root)}. {WITHOUT_DATA}")
        import tensorflow_datasets as tfds  # two seconds, and only this kind of source needs it

        builder = open_prepared(folder)
        for part in split.split("+"):
            if part.split("[")[0].strip() not in builder.info.splits:
                raise ValueError(
                    f"{folder} has no split '{part}'; it has {', '.join(builder.info.splits)}"
                )
        self.role: Role = role
        self._counts_from_one = role == "annotated" and name in COUNTED_FROM_ONE
        needed = _FEATURES[role] + (("roi_box",) if self._counts_from_one else ())
        features: Any = builder.info.features or {}
        missing = [key for key in needed if key not in features]
        if missing:
            raise ValueError(
                f"{folder} lacks {', '.join(missing)}; it has {', '.join(sorted(features))}"
            )
        shapes: Any = {key: features[key].shape for key in needed}
        for key, shape in shapes.items():
            if shape != _SHAPES[key]:
                raise ValueError(f"{folder}: {key} is {shape}; expected {_SHAPES[key]}")
        self._identity = f"{folder}:{split}"
        self._data = PreparedRecords(builder, split)
        # A record whose picture is damaged must still be able to say its name.
        decoders: Any = {"image": tfds.decode.SkipDecoding()}
        self._undecoded = PreparedRecords(builder, split, decoders=decoders)
        self._has_names = "file_name" in features

    def __len__(self) -> int:
        return len(self._data)

    def record_name(self, index: int) -> str:
        """The file that a record was made from, or its number where the set keeps no names."""
        if not self._has_names:
            return str(index)
        return self._undecoded[int(index)]["file_name"].decode()

    def identities(self) -> list[str]:
        """One string per face, of this split alone: no other source shows the same faces."""
        return [f"{self._identity}:{index}" for index in range(len(self))]

    def __getitem__(self, index: Any) -> dict[str, np.ndarray]:
        example = self._data[int(index)]
        if self.role == "annotated":
            landmarks = np.asarray(example["landmarks"], np.float32)
            points, weights = landmarks18_and_weights(landmarks, np.ones(68, np.float32))
            element = {
                "image": example["image"],
                "coefficients": np.asarray(example["coefficients"], np.float32),
                "landmarks18": points,
                "landmark18_weights": weights,
            }
            if self._counts_from_one:
                element[LABEL_OFFSET] = offset_from_one(np.asarray(example["roi_box"]))
            return element
        points = np.asarray(example["landmarks21"], np.float32)[LANDMARKS_18_FROM_21]
        seen = np.asarray(example["visibility"])[LANDMARKS_18_FROM_21] >= 0.5
        seen &= np.isfinite(points).all(axis=1)
        return {
            "image": example["image"],
            "landmarks": np.zeros((68, 2), np.float32),
            "landmark_weights": np.zeros(68, np.float32),
            "landmarks18": np.where(seen[:, None], points, 0).astype(np.float32),
            "landmark18_weights": seen.astype(np.float32),
        }

    @property
    def coefficients(self) -> np.ndarray:
        """``(m, 62)`` of at most 4,096 evenly spread examples: enough for whitening statistics."""
        rows = np.unique(np.linspace(0, len(self) - 1, 4096).astype(int))
        read = self._undecoded
        return np.stack([np.asarray(read[int(row)]["coefficients"]) for row in rows])


_FEATURES: dict[Role, tuple[str, ...]] = {
    "annotated": ("image", "coefficients", "landmarks"),
    "in_the_wild": ("image", "landmarks21", "visibility"),
}

_SHAPES = {
    "image": (CROP_SIZE, CROP_SIZE, 3),
    "coefficients": (NUM_COEFFICIENTS,),
    "landmarks": (68, 2),
    "roi_box": (4,),
    "landmarks21": (21, 2),
    "visibility": (21,),
}


def offset_from_one(roi_box: np.ndarray) -> np.float32:
    """How far right and down of a crop its labels lie that count pixels from one, crop pixels.

    Args:
      roi_box: ``(4,)`` ``(sx, sy, ex, ey)``, the crop's square in the photograph's pixels.
    """
    return np.float32(HALF_PIXEL * CROP_SIZE / (roi_box[2] - roi_box[0]))


def newest_version(folder: Path) -> Path | None:
    """The prepared version folder with the highest number, or None."""
    versions = {
        tuple(int(number) for number in path.parent.name.split(".")): path.parent
        for path in folder.glob("*/dataset_info.json")
        if re.fullmatch(r"\d+(\.\d+)*", path.parent.name, re.ASCII)
    }
    return versions[max(versions)] if versions else None


def absent_message(name: str, root: Path) -> str:
    """What is missing, and the command that prepares it."""
    holds = MANUAL_FOLDERS.get(name, "its original files")
    return (
        f"the data set '{name}' is not prepared in {root}. Request the original files from their "
        f"owners, then: python run.py --mode=prepare --dataset={name} --manual_dir=FOLDER "
        f"--data_dir={root}, where FOLDER holds {holds} (tfds_builders/{name}/README.md)"
    )

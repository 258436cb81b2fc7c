"""What the network is shown of a benchmark: crops and detected landmarks, never the labels.

Nothing here takes a `Benchmark`, whose labels would be within reach: only photographs, boxes and
what a detector found.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from twodasl_jax.crop_frame import crop_to_image, image_to_crop
from twodasl_jax.data.face_crop import crop_image, roi_box_from_landmarks
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_68
from twodasl_jax.predict.faces.landmark_detectors import Detector
from twodasl_jax.user_files.arrays import names_of, numbers_of, read_npz

CROP_SOURCES = ("landmarks", "detector")
DETECTIONS = ("detected_landmarks_px", "detected_landmarks_crop_px")
LANDMARK_MAP_SOURCES = ("none", "detector", "file")

ReadPhoto = Callable[[int], np.ndarray]
"""Index of a face to its ``(h, w, 3)`` uint8 RGB photograph."""


class InputSources(NamedTuple):
    """Where the network's input comes from.

    Attributes:
      crop_source: one of `CROP_SOURCES`: the benchmark's own boxes, or the detector's points.
      landmark_map_source: one of `LANDMARK_MAP_SOURCES`.
      detector: of landmarks, for either source.
      landmarks_file: of the map; '' takes the detections that came with the benchmark.
    """

    crop_source: str = "landmarks"
    landmark_map_source: str = "none"
    detector: str = ""
    landmarks_file: str = ""


class NetworkInput(NamedTuple):
    """Arrays of ``n`` faces.

    Attributes:
      crops: ``(n, size, size, 3)`` uint8 RGB.
      detected_landmarks: ``(n, 18, 2)`` crop pixels, NaN where nothing is known: an empty map.
      roi_box: ``(n, 4)`` where the crops were cut, image pixels.
    """

    crops: np.ndarray
    detected_landmarks: np.ndarray
    roi_box: np.ndarray


def require_choice(name: str, came: str, choices: tuple[str, ...]) -> None:
    """Refuses an unknown setting.

    Raises:
      ValueError: listing the choices.
    """
    if came not in choices:
        raise ValueError(f"{name} is '{came}'; choose one of {', '.join(choices)}")


def detect_landmarks(
    read_photo: ReadPhoto, count: int, detect: Detector, console: Console
) -> np.ndarray:
    """Runs a landmark detector on every photograph.

    Returns:
      ``(count, 68, 2)`` image pixels; NaN where no face was found.

    Raises:
      ValueError: where a detector gives something else than 68 points.
    """
    found = np.full((count, 68, 2), np.nan)
    for index in track(range(count), "detecting landmarks", console=console):
        faces = detect(read_photo(index))
        if np.shape(faces)[1:] != (68, 2) or not np.isfinite(faces).all():
            raise ValueError(
                f"the detector gave {np.shape(faces)}; expected (faces, 68, 2) finite numbers"
            )
        if len(faces):
            found[index] = faces[0]  # the largest
    return found


def crops_of_size(
    crops: np.ndarray, roi_box: np.ndarray, read_photo: ReadPhoto | None, *, crop_size: int
) -> np.ndarray:
    """A benchmark's crops for a network that reads crops of another size, cut anew.

    Args:
      crops: ``(n, size, size, 3)`` uint8 RGB; they are the answer where they have the size.
      roi_box: ``(n, 4)`` where they were cut, image pixels.
      read_photo: gives the photographs; None where there are none, and crops are resized.
      crop_size: wanted side, pixels.
    """
    size = crops.shape[1]
    if size == crop_size:
        return crops
    if read_photo is None:
        whole_crop = np.array([0, 0, size, size])
        return np.stack([crop_image(crop, whole_crop, crop_size=crop_size) for crop in crops])
    return np.stack(
        [
            crop_image(read_photo(index), box, crop_size=crop_size)
            for index, box in enumerate(roi_box)
        ]
    )


def cut_detected(
    read_photo: ReadPhoto, detected_px: np.ndarray, *, crop_size: int, console: Console
) -> tuple[np.ndarray, np.ndarray]:
    """Crops around detected landmarks, as training crops are cut: padded, not clipped.

    Args:
      read_photo: gives the photographs.
      detected_px: ``(n, 68, 2)`` image pixels, all known.
      crop_size: side of the crops, pixels.
      console: where progress is shown.

    Returns:
      ``(n, crop_size, crop_size, 3)`` crops and ``(n, 4)`` their boxes.
    """
    boxes = np.stack([roi_box_from_landmarks(points) for points in detected_px])
    crops = [
        crop_image(read_photo(index), box, crop_size=crop_size)
        for index, box in enumerate(track(boxes, "cutting crops", console=console))
    ]
    return np.stack(crops), boxes.astype(np.float64)


def map_landmarks(
    detected_px: np.ndarray | None, roi_box: np.ndarray, *, crop_size: int
) -> np.ndarray:
    """The 18 landmarks of the map, in crop pixels.

    Args:
      detected_px: ``(n, 68, 2)`` a detector's, image pixels, NaN where unknown; None: no map.
      roi_box: ``(n, 4)`` of the crops.
      crop_size: side of the crops, pixels.

    Returns:
      ``(n, 18, 2)`` float32.
    """
    if detected_px is None:
        return np.full((len(roi_box), 18, 2), np.nan, np.float32)
    points, box = np.asarray(detected_px, np.float64), np.asarray(roi_box, np.float64)
    crop = image_to_crop(points, box, crop_size=crop_size)
    return crop[:, LANDMARKS_18_FROM_68].mean(axis=2).astype(np.float32)


def read_detections(
    path: str | Path, file_names: tuple[str, ...], roi_box: np.ndarray
) -> np.ndarray:
    """A file of detected landmarks, joined by file name.

    Args:
      path: ``.npz`` with ``file_name (m,)`` and ``detected_landmarks_px (m, 68, 2)`` image pixels
        or ``detected_landmarks_crop_px (m, 68, 2)`` pixels of the benchmark's crops.
      file_names: of the benchmark.
      roi_box: ``(n, 4)`` the benchmark's.

    Returns:
      ``(n, 68, 2)`` image pixels, NaN for faces that the file does not have.

    Raises:
      FileNotFoundError, ValueError: where the file is absent or not of this kind.
    """
    path = Path(path)
    wanted = "expected file_name and one of detected_landmarks_px, detected_landmarks_crop_px"
    arrays = read_npz(path, expected=wanted, only=("file_name", *DETECTIONS))
    keys = [key for key in DETECTIONS if key in arrays]
    if "file_name" not in arrays or len(keys) != 1:
        raise ValueError(f"{path} has {', '.join(arrays)}; {wanted}")
    names = names_of(path, arrays, "file_name")
    points = numbers_of(path, arrays, keys[0], (len(names), 68, 2)).astype(np.float64)
    if np.isinf(points).any():
        raise ValueError(
            f"{path}: {keys[0]} holds infinity; expected pixels, or NaN where none is known"
        )
    found = np.full((len(file_names), 68, 2), np.nan)
    row_of = {name: row for row, name in enumerate(names)}
    known = [(here, row_of[name]) for here, name in enumerate(file_names) if name in row_of]
    if not known:
        raise ValueError(f"{path} has none of the benchmark's {len(file_names)} faces")
    here, there = (np.array(rows) for rows in zip(*known, strict=True))
    found[here] = points[there]
    if keys[0] == "detected_landmarks_crop_px":
        found = crop_to_image(found, np.asarray(roi_box, np.float64))
    return found

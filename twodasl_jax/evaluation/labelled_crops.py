"""Opens a folder of labelled crops as a benchmark: visible manual points, and fits of all 68.

What a photograph hides has no manual label, so two truths stand beside each other: the points that
were seen and labelled, and all 68 of coefficients that were fitted to them (`--mode=annotate`).
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console

from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.data.crop_files import decode_crop, read_crop_annotations, read_encoded
from twodasl_jax.data.fitted_source import read_fitted_landmarks
from twodasl_jax.data.sources import FARTHEST_OUTSIDE_PX
from twodasl_jax.evaluation.benchmark import Benchmark
from twodasl_jax.evaluation.benchmark_faces import checksum_of, with_visible_points
from twodasl_jax.evaluation.benchmark_layouts import stacked
from twodasl_jax.evaluation.benchmark_metrics import FITS, MANUAL, with_21
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.landmarks import landmark_model
from twodasl_jax.face_model.model import OPEN_FACE_FILE

CROP_FACE_SIDE = CROP_SIZE / np.sqrt(2)
"""Side of the face box that a crop by the landmarks' rule was cut around: the longer side of the
68 points' box; a crop has √2 times it."""

VISIBLE = 2
"""In ``landmarks68_visibility``: seen by the annotator, behind nothing."""

_ON_OUTLINES = np.r_[:17, 68 + np.array([12, 16, 20])]
"""Contour, ears and chin among the 68 + 21 points: where a head's outline is hangs on its yaw."""

_SMALLEST_SPREAD = 1e-3
"""Of the least spread direction of some points, beside the most, to count: nearly flat sets of
points say nothing about it."""


def open_aflw(data_dir: Path, console: Console, *, allow_missing: bool = False) -> Benchmark:
    """AFLW crops with 21 points, some with 68: ``crops.tar`` or ``crops/``, ``annotations.npz``.

    Arguments and errors are those of `open_aflw2000_3d`.
    """
    annotations = read_crop_annotations(data_dir / "annotations.npz")
    names = [str(name) for name in annotations["file_name"]]
    encoded = read_encoded(data_dir, set(names), allow_missing=True)

    def read(name: str) -> dict[str, np.ndarray]:
        if name not in encoded:
            raise FileNotFoundError(f"annotations.npz names it, and {data_dir} has no such crop")
        return {"image": decode_crop(encoded[name], name)}

    opened = stacked(names, read, ("image",), console, allow_missing=allow_missing)
    crops, kept, count = opened.fields["image"], opened.kept, len(names)
    yaw_degrees, notes = _yaw(annotations, count)
    landmarks68 = annotations.get("landmarks68_crop_px", np.full((count, 68, 2), np.nan))
    manual = manual_points(annotations)[kept]
    benchmark = Benchmark(
        name="aflw",
        file_names=tuple(names[row] for row in kept),
        crops=crops,
        roi_box=np.tile(np.array([0.0, 0.0, CROP_SIZE, CROP_SIZE]), (len(kept), 1)),
        yaw_degrees=yaw_degrees[kept],
        truth={
            MANUAL: manual,
            "landmarks21_px": annotations["landmarks21_crop_px"].astype(np.float64)[kept],
            "size": _sizes(annotations, count)[kept],
            # Not scored; known, so that they cannot come back as detections.
            "landmarks68_px": np.asarray(landmarks68, np.float64)[kept],
        },
        label_sets=(),
        published_detections=None,
        # A crop's own pixels are the image: its labels count them.
        read_photo=lambda index: crops[index],
        roll_degrees=roll_of_points(manual),
        left_out=opened.left_out,
        notes=notes,
        conventions={
            "crop_source": "landmarks: the crops as they are",
            "yaw_source": "annotations.npz",
            "roll_source": "the labels: the turn in the picture of the vertical axis of a mean "
            "face's affine image that fits them best",
            "normaliser": "sqrt(w*h) of the 68-point box where all 68 are labelled, else the side "
            f"of the face box that the crop was cut around, {CROP_FACE_SIDE:.2f} px",
        },
    )
    return with_visible_points(benchmark, MANUAL)


def with_fits(benchmark: Benchmark, folder: Path) -> Benchmark:
    """The benchmark with all 68 points of fits as a label set.

    Args:
      benchmark: from `open_aflw`.
      folder: of fits to the same crops (`--mode=annotate`); faces are joined by file name, and one
        without a fit is without this label.

    Raises:
      FileNotFoundError, ValueError: where it holds no fits, or of none of the faces.
    """
    names, fitted = read_fitted_landmarks(folder)
    row_of = {name: row for row, name in enumerate(names)}
    rows = np.array([row_of.get(name, -1) for name in benchmark.file_names])
    if not (rows >= 0).any():
        raise ValueError(
            f"{folder} has fits of none of the {len(benchmark)} faces; give those that were fitted "
            "to the same crops"
        )
    points = np.where((rows >= 0)[:, None, None], fitted[rows], np.nan)
    told = f"{(rows >= 0).sum()} of {len(rows)} faces, {checksum_of(points)}"
    return dataclasses.replace(
        benchmark,
        truth={**benchmark.truth, FITS: points},
        label_sets=(FITS,),
        conventions={
            **benchmark.conventions,
            FITS: f"all 68 points of coefficients fitted to the crops: {told}; normalised by "
            "sqrt(w*h) of their own box",
        },
    )


def manual_points(annotations: Mapping[str, np.ndarray]) -> np.ndarray:
    """The visible manual points of a crops folder, of each face from one label set.

    Args:
      annotations: from `read_crop_annotations`.

    Returns:
      ``(n, 68 + 21, 2)`` float64 crop pixels: the visible ones of 68 where any is, else the 21 in
      AFLW's order. NaN is not visible, or an annotator's slip farther outside the crop than
      `FARTHEST_OUTSIDE_PX`.
    """
    points21 = annotations["landmarks21_crop_px"].astype(np.float64)
    points68 = np.full((len(points21), 68, 2), np.nan)
    if "landmarks68_crop_px" in annotations:
        visible = annotations["landmarks68_visibility"] == VISIBLE
        points68 = np.where(visible[..., None], annotations["landmarks68_crop_px"], np.nan)
    of_68: np.ndarray = np.asarray(np.isfinite(points68).all(axis=-1).any(axis=-1))
    points21 = np.where(of_68[:, None, None], np.nan, points21)
    points = np.concatenate([points68, points21], axis=1, dtype=np.float64)
    outside = np.maximum(-points, points - CROP_SIZE).max(axis=-1)
    # NaN compares False.
    return np.where((outside <= FARTHEST_OUTSIDE_PX)[..., None], points, np.nan)


def roll_of_points(points: np.ndarray) -> np.ndarray:
    """How far heads are turned in the picture's plane, by the affine camera that fits best.

    Of 2,527 real faces it is 1.5 (within 30° of yaw) to 3.4 degrees (beyond 60°) from the cameras
    of fits, in the median; the line from the eyes' to the mouth's middle 1.9 to 15.5.

    Args:
      points: ``(n, 68 + 21, 2)`` from `manual_points`, y down.

    Returns:
      ``(n,)`` degrees from -180 to 180, NaN for a face with fewer than four points within its
      outline.
    """
    landmarks = np.asarray(landmark_model(face_model_from_file(OPEN_FACE_FILE)).mean, np.float64).T
    model = with_21(landmarks[None])[0]
    model = (model - model.mean(axis=0)) / model.std()
    known: np.ndarray = np.asarray(np.isfinite(points).all(axis=-1))
    known[:, _ON_OUTLINES] = False
    enough = known.sum(axis=1) >= 4
    design = np.concatenate([model, np.ones((len(model), 1))], axis=1) * known[..., None]
    camera = np.linalg.pinv(design, rcond=_SMALLEST_SPREAD) @ np.where(known[..., None], points, 0)
    vertical = camera[:, 1]  # what one up in the model is in the picture
    return np.where(enough, np.degrees(np.arctan2(vertical[:, 0], -vertical[:, 1])), np.nan)


def _yaw(annotations: Mapping[str, np.ndarray], count: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """``(count,)`` degrees, NaN where not known; and a line where the array is of no use."""
    yaw = annotations.get("yaw_degrees", np.full(count, np.nan))
    if yaw.shape == (count,) and yaw.dtype.kind in "iuf":
        return yaw.astype(np.float64), ()
    came = f"yaw_degrees of annotations.npz is {yaw.shape} {yaw.dtype}"
    return np.full(count, np.nan), (f"{came}; expected ({count},) numbers: there are no yaw bins",)


def _sizes(annotations: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    sizes = np.full(count, CROP_FACE_SIDE)
    if "landmarks68_crop_px" in annotations:
        points = annotations["landmarks68_crop_px"].astype(np.float64)
        complete = np.isfinite(points).all(axis=(1, 2))
        complete &= (annotations["landmarks68_visibility"] > 0).all(axis=1)
        sizes[complete] = np.sqrt(np.ptp(points[complete], axis=1).prod(axis=1))
    return sizes

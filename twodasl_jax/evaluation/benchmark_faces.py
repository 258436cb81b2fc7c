"""Opens benchmarks: folders in their owners' layout, prepared with TFDS, or sets of renders."""

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console

from twodasl_jax.crop_frame import CROP_SIZE, crop_to_image
from twodasl_jax.data.crop_files import decode_crop, read_crop_annotations, read_encoded
from twodasl_jax.data.sources import RenderedSource
from twodasl_jax.evaluation.benchmark import Benchmark
from twodasl_jax.evaluation.benchmark_layouts import (
    read_aflw2000_3d_faces,
    read_aflw_lfpa_faces,
    stacked,
)
from twodasl_jax.face_model.annotation import coefficients_from_annotation

BASEL_VERTICES = 53_215
"""Of the model that AFLW2000-3D's coefficients belong to: Basel 2009 as the 3DDFA family
cut it."""

NO_VISIBLE_POINT = "no visible point is labelled"

CROP_FACE_SIDE = CROP_SIZE / np.sqrt(2)
"""Side of the face box that a crop by the landmarks' rule was cut around: the longer side of the
68 points' box; a crop has √2 times it."""


def open_aflw2000_3d(data_dir: Path, console: Console, *, allow_missing: bool = False) -> Benchmark:
    """AFLW2000-3D: ``AFLW2000/`` with annotations beside it, or prepared.

    Args:
      data_dir: the folder.
      console: where progress is shown.
      allow_missing: leave faces out that are absent or broken.

    Raises:
      FileNotFoundError, ValueError: where files are absent, broken or do not fit together.
    """
    opened = read_aflw2000_3d_faces(data_dir, console, allow_missing=allow_missing)
    fields = opened.fields
    roi_box = fields["roi_box"].astype(np.float64)
    landmarks = fields["landmarks_px"].astype(np.float64)
    detected = crop_to_image(fields["detected_landmarks"].astype(np.float64), roi_box)
    return Benchmark(
        name="aflw2000_3d",
        file_names=tuple(fields["file_name"]),
        crops=fields["image"],
        roi_box=roi_box,
        yaw_degrees=fields["yaw_degrees"].astype(np.float64),
        truth={
            "original": landmarks,
            "reannotated": fields["reannotated_landmarks_px"].astype(np.float64),
            "pose_para": fields["pose_para"].astype(np.float64),
            "coefficients": coefficients_from_annotation(
                fields["pose_para"],
                fields["shape_para"],
                fields["exp_para"],
                roi_box,
                fields["image_height"],
            ),
        },
        label_sets=("original", "reannotated"),
        published_detections=detected if np.isfinite(detected).any() else None,
        read_photo=opened.read_photo,
        annotated_vertices=BASEL_VERTICES,
        left_out=opened.left_out,
        notes=opened.notes,
        conventions={
            "crop_source": "landmarks: benchmark boxes from the ground truth's 68 points (a leak, "
            "shared with every such table), clipped to the image",
            "yaw_source": "Pose_Para",
            "normaliser": "sqrt(w*h) of the ground truth's 68-point box, original or re-annotated "
            "as the labels are",
        },
    )


def open_aflw_lfpa(data_dir: Path, console: Console, *, allow_missing: bool = False) -> Benchmark:
    """AFLW-LFPA: ``TestImages/`` with its two tables, or prepared (crops without photographs).

    Arguments and errors are those of `open_aflw2000_3d`.
    """
    opened = read_aflw_lfpa_faces(data_dir, console, allow_missing=allow_missing)
    fields = opened.fields
    benchmark = Benchmark(
        name="aflw_lfpa",
        file_names=tuple(fields["file_name"]),
        crops=fields["image"],
        roi_box=fields["roi_box"].astype(np.float64),
        yaw_degrees=np.full(len(fields["image"]), np.nan),
        truth={
            "landmarks34_px": fields["landmarks34_px"].astype(np.float64),
            "face_box": fields["face_box"].astype(np.float64),
        },
        label_sets=(),
        published_detections=None,
        read_photo=opened.read_photo,
        left_out=opened.left_out,
        notes=opened.notes,
        conventions={
            "crop_source": "landmarks: the benchmark's face boxes, by the rule for detections",
            "yaw_source": "none: the benchmark has no yaw, so there are no bins",
            "normaliser": "sqrt(w*h) of the benchmark's face box",
        },
    )
    return _with_visible_points(benchmark, "landmarks34_px")


def open_aflw(data_dir: Path, console: Console, *, allow_missing: bool = False) -> Benchmark:
    """AFLW crops with 21 points: ``crops.tar`` or ``crops/``, and ``annotations.npz``.

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
    yaw_degrees, notes = _aflw_yaw(annotations, count)
    landmarks68 = annotations.get("landmarks68_crop_px", np.full((count, 68, 2), np.nan))
    benchmark = Benchmark(
        name="aflw",
        file_names=tuple(names[row] for row in kept),
        crops=crops,
        roi_box=np.tile(np.array([0.0, 0.0, CROP_SIZE, CROP_SIZE]), (len(kept), 1)),
        yaw_degrees=yaw_degrees[kept],
        truth={
            "landmarks21_px": annotations["landmarks21_crop_px"].astype(np.float64)[kept],
            "size": _aflw_sizes(annotations, count)[kept],
            # Not scored; known, so that they cannot come back as detections.
            "landmarks68_px": np.asarray(landmarks68, np.float64)[kept],
        },
        label_sets=(),
        published_detections=None,
        # A crop's own pixels are the image: its labels count them.
        read_photo=lambda index: crops[index],
        left_out=opened.left_out,
        notes=notes,
        conventions={
            "crop_source": "landmarks: the crops as they are",
            "yaw_source": "annotations.npz",
            "normaliser": "sqrt(w*h) of the 68-point box where all 68 are labelled, else the side "
            f"of the face box that the crop was cut around, {CROP_FACE_SIDE:.2f} px",
        },
    )
    return _with_visible_points(benchmark, "landmarks21_px")


def open_rendered(data_dir: Path, console: Console, *, allow_missing: bool = False) -> Benchmark:
    """A set of renders, as training writes them: every crop is its own image.

    Args:
      data_dir: the set's folder, named as the set.
      console: of no use here: a set is read at once.
      allow_missing: of no use either: a set is whole, or refused.

    Raises:
      FileNotFoundError, ValueError: where there is no such set, or it is damaged.
    """
    del console, allow_missing
    source = RenderedSource(data_dir)
    crops, labels, count = source.read_pictures(), source.labels, len(source)
    size = crops.shape[1]
    return Benchmark(
        name="rendered",
        file_names=tuple(f"{data_dir.name}_{index:05d}" for index in range(count)),
        crops=crops,
        roi_box=np.tile(np.array([0.0, 0.0, size, size]), (count, 1)),
        yaw_degrees=labels["yaw_degrees"],
        truth={"true": labels["landmarks"].astype(np.float64)},
        label_sets=("true",),
        published_detections=None,
        read_photo=lambda index: crops[index],
        conventions={
            "renders": f"{count} faces, {_checksum(crops, labels['landmarks'])}",
            "crop_source": "landmarks: from the true landmarks, jittered",
            "yaw_source": "true",
            "normaliser": "sqrt(w*h) of the true 68-point box",
        },
    )


def _checksum(*arrays: np.ndarray) -> str:
    """Two sets that are called the same, of the same size, may show other faces."""
    checksum = 0
    for array in arrays:
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return f"{checksum:08x}"


def _aflw_yaw(
    annotations: Mapping[str, np.ndarray], count: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """``(count,)`` degrees, NaN where not known; and a line where the array is of no use."""
    yaw = annotations.get("yaw_degrees", np.full(count, np.nan))
    if yaw.shape == (count,) and yaw.dtype.kind in "iuf":
        return yaw.astype(np.float64), ()
    came = f"yaw_degrees of annotations.npz is {yaw.shape} {yaw.dtype}"
    return np.full(count, np.nan), (f"{came}; expected ({count},) numbers: there are no yaw bins",)


def _aflw_sizes(annotations: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    sizes = np.full(count, CROP_FACE_SIDE)
    if "landmarks68_crop_px" in annotations:
        points = annotations["landmarks68_crop_px"].astype(np.float64)
        complete = np.isfinite(points).all(axis=(1, 2))
        complete &= (annotations["landmarks68_visibility"] > 0).all(axis=1)
        sizes[complete] = np.sqrt(np.ptp(points[complete], axis=1).prod(axis=1))
    return sizes


def _with_visible_points(benchmark: Benchmark, key: str) -> Benchmark:
    visible = np.isfinite(benchmark.truth[key]).all(axis=-1).any(axis=-1)
    return benchmark.without(np.flatnonzero(~visible), NO_VISIBLE_POINT)

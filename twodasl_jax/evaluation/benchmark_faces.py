"""Opens benchmarks: folders in their owners' layout, prepared with TFDS, or sets of renders."""

import zlib
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from rich.console import Console

from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.crop_frame import crop_to_image
from twodasl_jax.data.sources import RenderedSource
from twodasl_jax.evaluation.benchmark import Benchmark
from twodasl_jax.evaluation.benchmark_layouts import (
    read_aflw2000_3d_faces,
    read_aflw_lfpa_faces,
)
from twodasl_jax.face_model.annotation import coefficients_from_annotation
from twodasl_jax.geometry.camera import camera_parts
from twodasl_jax.geometry.rotation import in_plane_angle, rotation_from_euler

BASEL_VERTICES = 53_215
"""Of the model that AFLW2000-3D's coefficients belong to: Basel 2009 as the 3DDFA family
cut it."""

NO_VISIBLE_POINT = "no visible point is labelled"


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
        roll_degrees=_annotated_roll(fields["pose_para"]),
        annotated_vertices=BASEL_VERTICES,
        left_out=opened.left_out,
        notes=opened.notes,
        conventions={
            "crop_source": "landmarks: benchmark boxes from the ground truth's 68 points (a leak, "
            "shared with every such table), clipped to the image",
            "yaw_source": "Pose_Para",
            "roll_source": "Pose_Para: the turn of the head's vertical axis in the picture",
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
    return with_visible_points(benchmark, "landmarks34_px")


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
        roll_degrees=_camera_roll(labels["coefficients"]),
        conventions={
            "renders": f"{count} faces, {checksum_of(crops, labels['landmarks'])}",
            "crop_source": "landmarks: from the true landmarks, jittered",
            "yaw_source": "true",
            "roll_source": "true: the turn of the head's vertical axis in the picture",
            "normaliser": "sqrt(w*h) of the true 68-point box",
        },
    )


def _annotated_roll(pose_para: np.ndarray) -> np.ndarray:
    """``(n,)`` degrees in the picture's plane, of 300W-LP's three angles; NaN without them."""
    pitch, yaw, roll = jnp.asarray(pose_para, jnp.float32).T[:3]
    return np.degrees(np.asarray(in_plane_angle(rotation_from_euler(pitch, yaw, roll)), float))


def _camera_roll(coefficients: np.ndarray) -> np.ndarray:
    """``(n,)`` degrees in the picture's plane, of raw coefficients."""
    camera = split_coefficients(jnp.asarray(coefficients)).camera
    return np.degrees(np.asarray(in_plane_angle(camera_parts(camera).rotation), np.float64))


def checksum_of(*arrays: np.ndarray) -> str:
    """Tells arrays apart: two sets that are called the same, of one size, may be others."""
    checksum = 0
    for array in arrays:
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return f"{checksum:08x}"


def with_visible_points(benchmark: Benchmark, key: str) -> Benchmark:
    """Without the faces that have no point among the labels ``truth[key]``, ``(n, m, 2)``."""
    visible = np.isfinite(benchmark.truth[key]).all(axis=-1).any(axis=-1)
    return benchmark.without(np.flatnonzero(~visible), NO_VISIBLE_POINT)

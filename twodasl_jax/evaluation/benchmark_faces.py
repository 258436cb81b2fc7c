"""Opens benchmarks: folders in their owners' layout, or data sets prepared with TFDS."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from twodasl_jax.crop_frame import CROP_SIZE, crop_to_image
from twodasl_jax.data.crop_files import decode_crop, read_crop_annotations, read_encoded
from twodasl_jax.data.original.aflw2000_3d import find_aflw2000_3d, read_aflw2000_3d
from twodasl_jax.data.original.aflw_lfpa import find_aflw_lfpa, read_aflw_lfpa
from twodasl_jax.data.original.files import decode_photo, read_photo
from twodasl_jax.data.tfds_source import newest_version
from twodasl_jax.evaluation.benchmark import Benchmark, LeftOut
from twodasl_jax.face_model.annotation import coefficients_from_annotation

BASEL_VERTICES = 53_215
"""Of the model that AFLW2000-3D's coefficients belong to: Basel 2009 as the 3DDFA family
cut it."""

NO_VISIBLE_POINT = "no visible point is labelled"

AFLW2000_FIELDS = (
    *("image", "file_name", "roi_box", "landmarks_px", "yaw_degrees", "image_height"),
    *("pose_para", "shape_para", "exp_para", "reannotated_landmarks_px", "detected_landmarks"),
)
LFPA_FIELDS = ("image", "file_name", "roi_box", "face_box", "landmarks34_px")

CROP_FACE_SIDE = CROP_SIZE / np.sqrt(2)
"""Side of the face box that a crop by the landmarks' rule was cut around: the longer side of the
68 points' box; a crop has √2 times it."""


def open_aflw2000_3d(data_dir: Path, console: Console) -> Benchmark:
    """AFLW2000-3D: ``AFLW2000/`` with annotations beside it, or prepared.

    Raises:
      FileNotFoundError, ValueError: where files are absent, broken or do not fit together.
    """
    fields, read, left_out = _read(
        data_dir, "aflw2000_3d", "AFLW2000", AFLW2000_FIELDS, _original_aflw2000_3d, console
    )
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
        published_detections=detected if np.isfinite(detected).any() else None,
        read_photo=read,
        annotated_vertices=BASEL_VERTICES,
        left_out=left_out,
        conventions={
            "crop_source": "landmarks: benchmark boxes from the ground truth's 68 points (a leak, "
            "shared with every such table), clipped to the image",
            "yaw_source": "Pose_Para",
            "normaliser": "sqrt(w*h) of the ground truth's 68-point box, original or re-annotated "
            "as the labels are",
        },
    )


def open_aflw_lfpa(data_dir: Path, console: Console) -> Benchmark:
    """AFLW-LFPA: ``TestImages/`` with its two tables, or prepared (crops without photographs)."""
    fields, read, left_out = _read(
        data_dir, "aflw_lfpa", "TestImages", LFPA_FIELDS, _original_aflw_lfpa, console
    )
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
        published_detections=None,
        read_photo=read,
        left_out=left_out,
        conventions={
            "crop_source": "landmarks: the benchmark's face boxes, by the rule for detections",
            "yaw_source": "none: the benchmark has no yaw, so there are no bins",
            "normaliser": "sqrt(w*h) of the benchmark's face box",
        },
    )
    return _with_visible_points(benchmark, "landmarks34_px")


def open_aflw(data_dir: Path, console: Console) -> Benchmark:
    """AFLW crops with 21 points: ``crops.tar`` or ``crops/``, and ``annotations.npz``."""
    annotations = read_crop_annotations(data_dir / "annotations.npz")
    names = tuple(str(name) for name in annotations["file_name"])
    count = len(names)
    encoded = read_encoded(data_dir, set(names))
    crops = np.empty((count, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    for row, name in enumerate(track(names, "reading crops", console=console)):
        crops[row] = decode_crop(encoded[name], name)
    benchmark = Benchmark(
        name="aflw",
        file_names=names,
        crops=crops,
        roi_box=np.tile(np.array([0.0, 0.0, CROP_SIZE, CROP_SIZE]), (count, 1)),
        yaw_degrees=np.asarray(annotations.get("yaw_degrees", np.full(count, np.nan)), np.float64),
        truth={
            "landmarks21_px": annotations["landmarks21_crop_px"].astype(np.float64),
            "size": _aflw_sizes(annotations, count),
            # Not scored; known, so that they cannot come back as detections.
            "landmarks68_px": np.asarray(
                annotations.get("landmarks68_crop_px", np.full((count, 68, 2), np.nan)), np.float64
            ),
        },
        published_detections=None,
        # A crop's own pixels are the image: its labels count them.
        read_photo=lambda index: crops[index],
        conventions={
            "crop_source": "landmarks: the crops as they are",
            "yaw_source": "annotations.npz",
            "normaliser": "sqrt(w*h) of the 68-point box where all 68 are labelled, else the side "
            f"of the face box that the crop was cut around, {CROP_FACE_SIDE:.2f} px",
        },
    )
    return _with_visible_points(benchmark, "landmarks21_px")


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


Fields = dict[str, Any]
Opened = tuple[Fields, Callable[[int], np.ndarray] | None, tuple[LeftOut, ...]]


def _read(
    data_dir: Path,
    name: str,
    folder: str,
    keys: Sequence[str],
    read_original: Callable[[Path, Sequence[str], Console], Opened],
    console: Console,
) -> Opened:
    """Stacked fields of all faces, from whichever of the two layouts the folder has."""
    if not data_dir.is_dir():
        raise FileNotFoundError(f"no folder {data_dir}; give --config.data_dir")
    if (data_dir / folder).is_dir():
        return read_original(data_dir, keys, console)
    for root in (data_dir / name, data_dir, data_dir.parent):
        version = newest_version(root)
        if version is not None and (root != data_dir.parent or version == data_dir):
            return _prepared(version, keys, console)
    raise FileNotFoundError(
        f"{data_dir} holds neither {folder}/ nor a prepared data set {name}; see "
        f"tfds_builders/{name}/README.md for both"
    )


def _original_aflw2000_3d(data_dir: Path, keys: Sequence[str], console: Console) -> Opened:
    faces = find_aflw2000_3d(data_dir)["test"]
    fields = _stacked(faces, read_aflw2000_3d, keys, console)
    return fields, lambda index: read_photo(faces[index].root / faces[index].file_name), ()


def _original_aflw_lfpa(data_dir: Path, keys: Sequence[str], console: Console) -> Opened:
    faces = find_aflw_lfpa(data_dir)["test"]
    fields = _stacked(faces, read_aflw_lfpa, keys, console)
    return fields, lambda index: read_photo(faces[index].root / faces[index].file_name), ()


def _prepared(folder: Path, keys: Sequence[str], console: Console) -> Opened:
    import tensorflow_datasets as tfds  # two seconds, and only prepared data sets need it

    builder = tfds.builder_from_directory(str(folder))
    features: Any = builder.info.features or {}
    missing = [key for key in keys if key not in features]
    if missing or "test" not in builder.info.splits:
        raise ValueError(
            f"{folder} lacks {', '.join(missing) or 'a split test'}; prepare it again, or give the "
            "data set of this benchmark"
        )
    # Encoded: the photographs are needed one by one, and decoded as the original files are.
    pictures: Any = {
        key: tfds.decode.SkipDecoding() for key in ("image", "photo") if key in features
    }
    data: Any = builder.as_data_source("test", decoders=pictures)  # pyright: ignore[reportCallIssue]

    def read(index: int) -> dict[str, Any]:
        example = dict(data[index])
        example["file_name"] = example["file_name"].decode()
        example["image"] = decode_crop(example["image"], example["file_name"])
        return example

    fields = _stacked(range(len(data)), read, keys, console)

    def read_one_photo(index: int) -> np.ndarray:
        example = data[index]
        return decode_photo(example["photo"], Path(example["file_name"].decode()))

    return fields, read_one_photo if "photo" in features else None, _skipped(folder)


def _skipped(folder: Path) -> tuple[LeftOut, ...]:
    """The faces that were left out when the data set was prepared."""
    path = folder / "skipped.csv"
    if not path.exists():
        return ()
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(
            LeftOut(row["file_name"], f"not prepared: {row['reason']}")
            for row in csv.DictReader(file)
        )


def _stacked(
    faces: Sequence[Any],
    read: Callable[[Any], Mapping[str, Any]],
    keys: Sequence[str],
    console: Console,
) -> Fields:
    columns: dict[str, list[Any]] = {key: [] for key in keys}
    for face in track(faces, "reading faces", console=console):
        try:
            example = read(face)
        except (ValueError, OSError) as error:
            name = getattr(face, "file_name", f"record {face}")
            raise ValueError(f"{name}: {error}; a benchmark is scored whole, repair it") from error
        for key in keys:
            columns[key].append(example[key])
    if not len(faces):
        raise ValueError("the benchmark has no face")
    return {
        key: values if key == "file_name" else np.stack(values) for key, values in columns.items()
    }

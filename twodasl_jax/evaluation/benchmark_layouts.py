"""Reads a benchmark's faces from whichever layout a folder has: its owners', or prepared."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from twodasl_jax.data.crop_files import decode_crop
from twodasl_jax.data.folder_listing import printable
from twodasl_jax.data.original.aflw2000_3d import find_aflw2000_3d, read_aflw2000_3d
from twodasl_jax.data.original.aflw2000_3d_lists import ARCHIVE
from twodasl_jax.data.original.aflw_lfpa import find_aflw_lfpa, read_aflw_lfpa
from twodasl_jax.data.original.files import decode_photo, read_photo
from twodasl_jax.data.original.incomplete import LACKING, IncompleteFaces
from twodasl_jax.data.prepared_files import PreparedRecords, open_prepared
from twodasl_jax.data.tfds_source import newest_version
from twodasl_jax.evaluation.benchmark import LeftOut
from twodasl_jax.user_files.table_file import read_rows

SCORED_WHOLE = (
    "a benchmark is scored whole: repair or complete it, or leave such faces out by name: "
    "--config=configs/evaluation.py --config.allow_missing=True"
)

AFLW2000_FIELDS = (
    *("image", "file_name", "roi_box", "landmarks_px", "yaw_degrees", "image_height"),
    *("pose_para", "shape_para", "exp_para", "reannotated_landmarks_px", "detected_landmarks"),
)
LFPA_FIELDS = ("image", "file_name", "roi_box", "face_box", "landmarks34_px")


class Opened(NamedTuple):
    """A benchmark's faces.

    Attributes:
      fields: name -> stacked values of the ``n`` faces that can be read.
      kept: ``(n,)`` their numbers among all faces.
      read_photo: index among the ``n`` -> ``(h, w, 3)`` uint8 RGB; None where there are only crops.
      left_out: the others.
      notes: what some faces lack, a line a field.
    """

    fields: dict[str, Any]
    kept: np.ndarray
    read_photo: Callable[[int], np.ndarray] | None
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


def read_aflw2000_3d_faces(data_dir: Path, console: Console, *, allow_missing: bool) -> Opened:
    """AFLW2000-3D's fields, `AFLW2000_FIELDS`.

    Args:
      data_dir: holds ``AFLW2000``, or a prepared data set.
      console: where progress is shown.
      allow_missing: leave faces out that cannot be read, or that the annotations alone name.

    Raises:
      FileNotFoundError, ValueError: where files are absent or broken.
    """
    prepared = _prepared_folder(data_dir, "aflw2000_3d", "AFLW2000")
    if prepared is not None:
        return _prepared(prepared, AFLW2000_FIELDS, console, allow_missing=allow_missing)
    faces = find_aflw2000_3d(data_dir)["test"]
    absent = [face.file_name for face in faces if face.is_absent]
    if absent and not allow_missing:
        raise ValueError(
            f"{data_dir / ARCHIVE} names {len(absent)} faces that AFLW2000 does not hold, first "
            f"{absent[0]}; {SCORED_WHOLE}"
        )
    opened = stacked(faces, read_aflw2000_3d, AFLW2000_FIELDS, console, allow_missing=allow_missing)
    return opened._replace(read_photo=lambda index: read_photo(faces[opened.kept[index]].path))


def read_aflw_lfpa_faces(data_dir: Path, console: Console, *, allow_missing: bool) -> Opened:
    """AFLW-LFPA's fields, `LFPA_FIELDS`; arguments and errors as `read_aflw2000_3d_faces`."""
    prepared = _prepared_folder(data_dir, "aflw_lfpa", "TestImages")
    if prepared is not None:
        return _prepared(prepared, LFPA_FIELDS, console, allow_missing=allow_missing)
    faces = find_aflw_lfpa(data_dir)["test"]
    opened = stacked(faces, read_aflw_lfpa, LFPA_FIELDS, console, allow_missing=allow_missing)
    return opened._replace(read_photo=lambda index: read_photo(faces[opened.kept[index]].path))


def _prepared_folder(data_dir: Path, name: str, folder: str) -> Path | None:
    """The prepared data set; None where the folder has the owners' layout.

    Raises:
      FileNotFoundError: where it has neither.
    """
    if not data_dir.is_dir():
        raise FileNotFoundError(f"no folder {data_dir}; give --config.data_dir")
    if (data_dir / folder).is_dir():
        return None
    for root in (data_dir / name, data_dir, data_dir.parent):
        version = newest_version(root)
        if version is not None and (root != data_dir.parent or version == data_dir):
            return version
    raise FileNotFoundError(
        f"{data_dir} holds neither {folder}/ nor a prepared data set {name}; see "
        f"tfds_builders/{name}/README.md for both"
    )


def _prepared(
    folder: Path, keys: Sequence[str], console: Console, *, allow_missing: bool
) -> Opened:
    import tensorflow_datasets as tfds  # two seconds, and only prepared data sets need it

    builder = open_prepared(folder)
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
    data = PreparedRecords(builder, "test", decoders=pictures)

    def read(index: int) -> dict[str, Any]:
        example = dict(data[index])
        example["file_name"] = example["file_name"].decode()
        example["image"] = decode_crop(example["image"], example["file_name"])
        return example

    opened = stacked(range(len(data)), read, keys, console, allow_missing=allow_missing)

    def read_one_photo(index: int) -> np.ndarray:
        example = data[int(opened.kept[index])]
        return decode_photo(example["photo"], Path(example["file_name"].decode()))

    return opened._replace(
        read_photo=read_one_photo if "photo" in features else None,
        left_out=(*_skipped(folder), *opened.left_out),
    )


def _skipped(folder: Path) -> tuple[LeftOut, ...]:
    """The faces that were left out when the data set was prepared."""
    path = folder / "skipped.csv"
    if not path.exists():
        return ()
    expected = "expected the columns file_name and reason: prepare the data set again"
    rows = read_rows(path, expected=expected)
    if rows[:1] != [["file_name", "reason"]] or any(len(row) != 2 for row in rows):
        raise ValueError(f"{path} is no list of skipped faces; {expected}")
    return tuple(LeftOut(name, f"not prepared: {reason}") for name, reason in rows[1:])


def stacked(
    faces: Sequence[Any],
    read: Callable[[Any], Mapping[str, Any]],
    keys: Sequence[str],
    console: Console,
    *,
    allow_missing: bool,
) -> Opened:
    """Reads faces one after the other and stacks what was read.

    Args:
      faces: each with a ``file_name``, or the number of a record, or a name.
      read: one face to its fields; a ValueError or OSError means that it cannot be read.
      keys: of the fields to keep.
      console: where progress is shown.
      allow_missing: leave out what cannot be read.

    Raises:
      ValueError: naming the first face that cannot be read, or where none can.
    """
    columns: dict[str, list[Any]] = {key: [] for key in keys}
    kept, left_out, incomplete = [], [], IncompleteFaces()
    for number, face in enumerate(track(faces, "reading faces", console=console)):
        name = getattr(face, "file_name", face if isinstance(face, str) else f"record {face}")
        try:
            example = read(face)
        except (ValueError, OSError) as error:
            told = printable(str(error))
            if not allow_missing:
                raise ValueError(f"{printable(name)}: {told}; {SCORED_WHOLE}") from error
            left_out.append(LeftOut(printable(name), f"cannot be read: {told}"))
            continue
        kept.append(number)
        incomplete.add(name, example.get(LACKING, {}))
        for key in keys:
            columns[key].append(example[key])
    if not kept:
        first = f", first {left_out[0].file_name}: {left_out[0].reason}" if left_out else ""
        raise ValueError(f"the benchmark has no face that can be scored{first}")
    fields = {
        key: values if key == "file_name" else np.stack(values) for key, values in columns.items()
    }
    return Opened(fields, np.array(kept), None, tuple(left_out), tuple(incomplete.lines()))

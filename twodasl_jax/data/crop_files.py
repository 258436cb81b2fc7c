"""Reading a folder of 120x120 crops: its archive, its annotations, its pictures."""

import zlib
from pathlib import Path

import numpy as np

from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.data.original.files import in_either_case
from twodasl_jax.replaced_files import finish_replacing
from twodasl_jax.user_files.arrays import names_of, numbers_of, read_npz
from twodasl_jax.user_files.opening import read_bytes
from twodasl_jax.user_files.picture import decode_picture, size_of
from twodasl_jax.user_files.tar_file import read_members

LARGEST_CROP_BYTES = 2**20
"""Of one 120x120 picture; uncompressed it has 43 kB."""

ANNOTATION_MARKER = "annotation.json"
"""What the fits of a crops folder were made with, where it was written by `--mode=annotate`."""

CHECKSUMS = "crop_crc32"
"""In ``annotations.npz``, optional: ``(n,)`` uint32, of each picture's file as it was written. A
decoder makes other pixels of most damaged files, without a word."""

ARRAYS = (
    *("file_name", "landmarks21_crop_px", "landmarks68_crop_px", "landmarks68_visibility"),
    *("yaw_degrees", CHECKSUMS),
)
"""All that is read of ``annotations.npz`` here, whatever else it holds."""

CROPS = "expected encoded 120 x 120 pictures"


def picture_checksums(pictures: np.ndarray) -> np.ndarray:
    """``(n,)`` uint32, the CRC-32 of each picture's pixels."""
    return np.array([zlib.crc32(np.ascontiguousarray(one).data) for one in pictures], np.uint32)


def require_written(data: bytes | memoryview, crc32: int, what: str) -> None:
    """Refuses bytes that are not those that were written.

    Raises:
      ValueError: naming what they are.
    """
    if zlib.crc32(data) != crc32:
        raise ValueError(f"{what} is damaged: it is not the one that was written (CRC-32)")


def decode_crop(encoded: bytes, name: str, *, crc32: int | None = None) -> np.ndarray:
    """Decodes one 120x120 picture to RGB.

    Args:
      encoded: the file.
      name: of the record, for messages.
      crc32: of the file as it was written; None is not known.

    Raises:
      ValueError: naming the record, if it is corrupt, of another size, or not what was written.
    """
    if crc32 is not None:
        require_written(encoded, crc32, f"the crop {name}")
    try:
        width, height = size_of(encoded, name)
        if (width, height) == (CROP_SIZE, CROP_SIZE):
            return decode_picture(encoded, name)
        came = f"({height}, {width}, 3)"
    except ValueError as error:
        raise ValueError(f"the crop {name} is unreadable: {error}") from error
    raise ValueError(f"the crop {name} is {came}; expected a (120, 120, 3) image")


def read_crop_annotations(path: Path) -> dict[str, np.ndarray]:
    """Reads ``annotations.npz``; its arrays are those `CropSource` describes.

    Raises:
      FileNotFoundError: where it is absent.
      ValueError: where arrays are missing, of unequal lengths, or name a face twice.
    """
    finish_replacing(path.parent, marker=ANNOTATION_MARKER)
    expected = "expected a folder with crops.tar and annotations.npz (docs/extending.md)"
    annotations = read_npz(path, expected=expected, only=ARRAYS)
    pair = [key for key in ("landmarks68_crop_px", "landmarks68_visibility") if key in annotations]
    if len(pair) == 2 and "file_name" in annotations:  # then nothing needs the 21
        unknown = np.full((annotations["file_name"].size, 21, 2), np.nan)
        annotations.setdefault("landmarks21_crop_px", unknown)
    missing = [key for key in ("file_name", "landmarks21_crop_px") if key not in annotations]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; it has {', '.join(annotations)}")
    if len(pair) == 1:
        raise ValueError(f"{path} has {pair[0]} alone; expected positions with their visibility")
    names = names_of(path, annotations, "file_name")
    shapes = {"landmarks21_crop_px": (21, 2)} | (
        {"landmarks68_crop_px": (68, 2), "landmarks68_visibility": (68,)} if pair else {}
    )
    shapes |= {CHECKSUMS: ()} if CHECKSUMS in annotations else {}
    for key, shape in shapes.items():
        numbers_of(path, annotations, key, (len(names), *shape))
    return annotations


def crop_names(folder: Path) -> frozenset[str]:
    """The faces that a crops folder names."""
    return frozenset(
        str(name) for name in read_crop_annotations(folder / "annotations.npz")["file_name"]
    )


def read_encoded(folder: Path, names: set[str], *, allow_missing: bool = False) -> dict[str, bytes]:
    """The named pictures' files out of ``crops.tar`` or the folder ``crops``.

    Args:
      folder: holds either.
      names: of the pictures.
      allow_missing: leave absent pictures out of the result.

    Raises:
      FileNotFoundError: where there is neither.
      ValueError: where a picture is absent, or the archive damaged.
    """
    if (folder / "crops.tar").exists():
        encoded = read_members(
            folder / "crops.tar", names, largest=LARGEST_CROP_BYTES, expected=CROPS
        )
    elif (folder / "crops").is_dir():
        paths = {name: in_either_case(folder / "crops" / name) for name in names}
        encoded = {
            name: read_bytes(path, expected=CROPS, at_most=LARGEST_CROP_BYTES)
            for name, path in paths.items()
            if path.exists()
        }
    else:
        raise FileNotFoundError(f"no crops.tar and no folder crops in {folder}")
    missing = sorted(names - set(encoded))
    if missing and not allow_missing:
        raise ValueError(
            f"{len(missing)} of {len(names)} annotated crops are absent from {folder}, "
            f"first {missing[0]}"
        )
    return encoded

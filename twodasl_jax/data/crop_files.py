"""Reading a folder of 120x120 crops: its archive, its annotations, its pictures."""

import tarfile
import zlib
from pathlib import Path

import cv2
import numpy as np

from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.data.replaced_files import finish_replacing

ANNOTATION_MARKER = "annotation.json"
"""What the fits of a crops folder were made with, where it was written by `--mode=annotate`."""

CHECKSUMS = "crop_crc32"
"""In ``annotations.npz``, optional: ``(n,)`` uint32, of each picture's file as it was written. A
decoder makes other pixels of most damaged files, without a word."""


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
    # OpenCV raises on no bytes at all, and returns None on bad ones.
    picture = cv2.imdecode(np.frombuffer(encoded or b"-", np.uint8), cv2.IMREAD_COLOR_RGB)
    if picture is None or picture.shape != (CROP_SIZE, CROP_SIZE, 3):
        came = "unreadable" if picture is None else f"{picture.shape}"
        raise ValueError(f"the crop {name} is {came}; expected a (120, 120, 3) image")
    return picture


def read_crop_annotations(path: Path) -> dict[str, np.ndarray]:
    """Reads ``annotations.npz``; its arrays are those `CropSource` describes.

    Raises:
      FileNotFoundError: where it is absent.
      ValueError: where arrays are missing, of unequal lengths, or name a face twice.
    """
    finish_replacing(path.parent, marker=ANNOTATION_MARKER)
    if not path.exists():
        raise FileNotFoundError(
            f"no {path}; expected a folder with crops.tar and annotations.npz (docs/extending.md)"
        )
    with np.load(path, allow_pickle=False) as file:
        annotations = {key: file[key] for key in file.files}
    missing = [key for key in ("file_name", "landmarks21_crop_px") if key not in annotations]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; it has {', '.join(annotations)}")
    pair = [key for key in ("landmarks68_crop_px", "landmarks68_visibility") if key in annotations]
    if len(pair) == 1:
        raise ValueError(f"{path} has {pair[0]} alone; expected positions with their visibility")
    names = annotations["file_name"]
    shapes = {"landmarks21_crop_px": (21, 2)} | (
        {"landmarks68_crop_px": (68, 2), "landmarks68_visibility": (68,)} if pair else {}
    )
    shapes |= {CHECKSUMS: ()} if CHECKSUMS in annotations else {}
    for key, shape in shapes.items():
        if annotations[key].shape != (len(names), *shape):
            raise ValueError(
                f"{path}: {key} is {annotations[key].shape}; expected {(len(names), *shape)}, "
                "one per file_name"
            )
    unique, counts = np.unique(names, return_counts=True)
    if not len(names) or counts.max() > 1:
        came = f"{unique[counts.argmax()]} {counts.max()} times" if len(names) else "no face"
        raise ValueError(f"{path} names {came}; expected each of its faces once")
    return annotations


def crop_names(folder: Path) -> frozenset[str]:
    """The faces that a crops folder names."""
    return frozenset(
        str(name) for name in read_crop_annotations(folder / "annotations.npz")["file_name"]
    )


def read_encoded(folder: Path, names: set[str]) -> dict[str, bytes]:
    """The named pictures' files out of ``crops.tar`` or the folder ``crops``.

    Raises:
      FileNotFoundError: where there is neither.
      ValueError: where a picture is absent, or the archive damaged.
    """
    if (folder / "crops.tar").exists():
        try:
            with tarfile.open(folder / "crops.tar", "r:") as archive:
                encoded = {
                    member.name: archive.extractfile(member).read()  # pyright: ignore[reportOptionalMemberAccess]
                    for member in archive
                    if member.isfile() and member.name in names
                }
        except tarfile.TarError as error:
            raise ValueError(
                f"{folder / 'crops.tar'} is damaged ({error}); copy it again"
            ) from error
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

"""Reading one original file: a photograph, a ``.mat``, a ``.npy``; refusing what is broken."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import scipy.io

Item = TypeVar("Item")

JPEG_QUALITY = 95
"""Of stored training crops, without chroma subsampling: about 10 kB each."""


def read_photo(path: Path) -> np.ndarray:
    """Decodes an image file.

    The camera's orientation tag is left alone: the data sets' labels count stored pixels.

    Returns:
      ``(height, width, 3)`` uint8 RGB.

    Raises:
      FileNotFoundError: where it is absent.
      ValueError: where it cannot be decoded, or is cut off.
    """
    if not path.exists():
        raise FileNotFoundError(f"no image {path}")
    return decode_photo(path.read_bytes(), path)


def decode_photo(encoded: bytes, path: Path) -> np.ndarray:
    """Decodes the bytes of an image file; see `read_photo`."""
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    # OpenCV raises on no bytes at all, and returns None on bad ones.
    photo = cv2.imdecode(np.frombuffer(encoded or b"-", np.uint8), flags)
    if photo is None:
        raise ValueError(f"{path.name} is no complete image ({len(encoded)} bytes)")
    return photo


def encode_crop(image: np.ndarray, encoding: str) -> io.BytesIO:
    """Encodes a crop as TFDS takes it: a file-like object.

    Args:
      image: ``(120, 120, 3)`` uint8 RGB.
      encoding: ``jpeg`` (quality 95, 4:4:4) or ``png`` (lossless).
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    bgr = np.ascontiguousarray(image[..., ::-1])
    _, encoded = cv2.imencode(f".{encoding}", bgr, options if encoding == "jpeg" else [])
    return io.BytesIO(encoded.tobytes())


def read_mat(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Reads variables of a MATLAB file (version 7.2 or older).

    Args:
      path: the file.
      shapes: name -> expected shape; a one-number shape takes a row or a column of so many, and
        -1 is any length.

    Returns:
      Name -> float64 array of that shape.

    Raises:
      FileNotFoundError: where the file is absent.
      ValueError: where it is broken, or a variable is missing or of another shape.
    """
    if not path.exists():
        raise FileNotFoundError(f"no annotation {path}")
    try:
        variables = scipy.io.loadmat(path, variable_names=list(shapes))
    except Exception as error:  # scipy raises a dozen kinds on broken bytes: a boundary, told on
        raise ValueError(f"{path.name} is no readable .mat file: {error}") from error
    found = {}
    for name, shape in shapes.items():
        if name not in variables:
            raise ValueError(f"{path.name} lacks {name}; expected {', '.join(shapes)}")
        array = np.asarray(variables[name])
        array = array.ravel() if len(shape) == 1 else array
        fits = array.ndim == len(shape) and all(
            wanted in (-1, came) for wanted, came in zip(shape, array.shape, strict=True)
        )
        if not fits or array.dtype.kind not in "iuf":
            raise ValueError(
                f"{path.name}: {name} is {variables[name].shape} {array.dtype}; expected {shape} "
                "numbers"
            )
        found[name] = array.astype(np.float64)
    return found


def require_finite(arrays: Mapping[str, np.ndarray]) -> None:
    """Refuses NaN and infinity.

    Raises:
      ValueError: naming the first array that holds one.
    """
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinity")


def require_folder(path: Path, *, holds: str) -> None:
    """Refuses a layout in which a folder is missing.

    Raises:
      FileNotFoundError: naming the folder and what it is expected to hold.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"no folder {path}; expected it to hold {holds}")


def require_file(path: Path, *, holds: str) -> None:
    """Refuses a layout in which a file is missing.

    Raises:
      FileNotFoundError: naming the file and what it is expected to hold.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; expected {holds}")


def list_stems(folder: Path, *, holds: str) -> list[str]:
    """Sorted names, without suffix, of all ``.jpg`` and ``.mat`` files of a folder.

    A name with one of the two alone is listed as well: it is reported when it is read.

    Raises:
      FileNotFoundError: where the folder is absent or has no ``.jpg``.
    """
    require_folder(folder, holds=holds)
    names = [path for path in folder.iterdir() if path.suffix in {".jpg", ".mat"}]
    if not any(path.suffix == ".jpg" for path in names):
        raise FileNotFoundError(f"no .jpg in {folder}; expected it to hold {holds}")
    return sorted({path.stem for path in names})


def require_readable(items: Sequence[Item], read: Callable[[Item], object]) -> None:
    """Refuses a layout of which none of the first few items can be read.

    One alone may be broken and will be skipped; several are another layout.

    Raises:
      ValueError, OSError: the first item's, where all of the first three fail.
    """
    errors = []
    for item in items[:3]:
        try:
            read(item)
            return
        except (ValueError, OSError) as error:
            errors.append(error)
    raise errors[0]

"""Reading one original file: a photograph, a ``.mat``, a ``.npy``; refusing what is broken."""

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np

from twodasl_jax.data.folder_listing import describe_hidden, ends_with, list_files, printable
from twodasl_jax.user_files.mat_file import read_variables
from twodasl_jax.user_files.picture import decode_picture, read_picture_bytes

_logger = logging.getLogger(__name__)

Item = TypeVar("Item")

ENDINGS = (".jpg", ".mat")
"""Of the photographs and annotations of the 300W-LP family."""

JPEG_QUALITY = 95
"""Of stored training crops, without chroma subsampling: about 10 kB each."""


def read_photo(path: Path) -> np.ndarray:
    """Reads and decodes an image file; see `decode_picture`, and `read_bytes` for other errors."""
    return decode_photo(read_picture_bytes(path), path)


def decode_photo(encoded: bytes, path: Path) -> np.ndarray:
    """Decodes the bytes of an image file; see `decode_picture`."""
    return decode_picture(encoded, path.name)


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


class MatFields(NamedTuple):
    """Variables of a ``.mat`` file.

    Attributes:
      arrays: name -> float64 array; NaN throughout for those of `lacking`.
      lacking: name -> what is wrong with an optional variable, in words.
    """

    arrays: dict[str, np.ndarray]
    lacking: dict[str, str]


Shapes = Mapping[str, tuple[int, ...]]
"""Name -> expected shape; a one-number shape takes a row or a column of so many, and -1 is any
length."""


def read_mat(path: Path, shapes: Shapes) -> dict[str, np.ndarray]:
    """Reads variables of a MATLAB file (version 7.2 or older).

    Args:
      path: the file.
      shapes: of the variables, all of which it must have.

    Returns:
      Name -> float64 array of that shape.

    Raises:
      FileNotFoundError: where the file is absent.
      ValueError: where it is broken, or a variable is missing or of another shape.
    """
    return read_mat_fields(path, shapes, {}).arrays


def read_mat_fields(path: Path, required: Shapes, optional: Shapes) -> MatFields:
    """Reads variables of a MATLAB file, of which it may lack some.

    Args:
      path: the file.
      required: of the variables without which the file is of no use.
      optional: of the others. One that is absent, of another shape, no numbers or NaN throughout
        costs only what depends on it: it comes as NaN and is told in `MatFields.lacking`.

    Raises:
      FileNotFoundError: where the file is absent.
      ValueError: where it is broken, or a required variable is missing or of another shape.
    """
    shapes = {**required, **optional}
    variables = read_variables(path, list(shapes), expected=f"expected {', '.join(shapes)}")
    fields = MatFields({}, {})
    for name, shape in shapes.items():
        array, wrong = _of_shape(variables.get(name), shape)
        if array is not None and name in optional and not np.isfinite(array).any():
            array, wrong = None, "holds no finite number"
        if name in required and name not in variables:
            raise ValueError(f"{path.name} lacks {name}; expected {', '.join(required)}")
        if name in required and array is None:
            raise ValueError(f"{path.name}: {name} {wrong}")
        if array is None:
            fields.lacking[name] = wrong
            array = np.full(shape, np.nan)
        fields.arrays[name] = array
    return fields


def _of_shape(found: np.ndarray | None, shape: tuple[int, ...]) -> tuple[np.ndarray | None, str]:
    """The array in float64, or None and what is wrong with it."""
    if found is None:
        return None, "is absent"
    found = np.asarray(found)
    array = found.ravel() if len(shape) == 1 else found
    fits = array.ndim == len(shape) and all(
        wanted in (-1, came) for wanted, came in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in "iuf":
        return None, f"is {found.shape} {found.dtype}; expected {shape} numbers"
    return array.astype(np.float64), ""


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

    Endings count in either case, and hidden files and a Mac's twins (``._x.jpg``) do not; those
    are logged, once a folder. A name with one of the two alone is listed as well: it is reported
    when it is read.

    Raises:
      FileNotFoundError: where the folder is absent or has no ``.jpg``.
      ValueError: where a file is there twice, its ending once in upper case.
    """
    require_folder(folder, holds=holds)
    listing = list_files(folder, ENDINGS)
    told = describe_hidden(folder, listing.hidden)
    if told is not None:
        _logger.warning(told)
    if not any(ends_with(path.name, {".jpg"}) for path in listing.files):
        raise FileNotFoundError(f"no .jpg in {folder}; expected it to hold {holds}")
    seen: dict[str, Path] = {}
    for path in listing.files:
        name = path.stem + path.suffix.lower()
        if name in seen:
            raise ValueError(
                f"{folder} holds {printable(path.name)} and {printable(seen[name].name)}; expected "
                "one of them: remove the other"
            )
        seen[name] = path
    return sorted({path.stem for path in listing.files})


def in_either_case(path: Path) -> Path:
    """The same path, its ending in another case (``.JPG``, ``.Jpg``) where it is so there."""
    if path.exists() or not path.suffix:
        return path
    cases = (path.suffix.upper(), path.suffix.title(), path.suffix.lower())
    return next((other for case in cases if (other := path.with_suffix(case)).exists()), path)


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

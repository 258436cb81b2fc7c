"""Pictures of data sets: judged by their heads, then decoded by OpenCV.

Photographs to predict from are read by `twodasl_jax.predict.faces.photo`.
"""

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from twodasl_jax.user_files.opening import HEAD_BYTES, kind_of, read_bytes

LARGEST_PICTURE_PIXELS = 80_000_000
"""As many as a photograph to predict from may have: 0.24 GB as RGB. The largest of the data sets
have a quarter of that."""

LARGEST_PICTURE_BYTES = 2**28
"""An uncompressed picture of so many pixels."""

EXPECTED = "expected a JPEG or PNG picture"


def read_picture_bytes(path: str | Path) -> bytes:
    """A picture file as it is; see `read_bytes` for what it raises."""
    return read_bytes(path, expected=EXPECTED, at_most=LARGEST_PICTURE_BYTES)


def read_picture(path: str | Path, *, upright: bool = False) -> np.ndarray:
    """Reads and decodes a picture file; see `decode_picture`, and `read_bytes` for other errors."""
    return decode_picture(read_picture_bytes(path), str(path), upright=upright)


def decode_picture(encoded: bytes, name: str, *, upright: bool = False) -> np.ndarray:
    """Decodes a picture's bytes.

    Args:
      encoded: the file's content.
      name: of the picture, for messages.
      upright: turn it as the camera's orientation tag says. The data sets' labels count stored
        pixels.

    Returns:
      ``(height, width, 3)`` uint8 RGB.

    Raises:
      ValueError: where it is no complete picture, or its head names more than
        `LARGEST_PICTURE_PIXELS`.
    """
    size_of(encoded, name)
    flags = cv2.IMREAD_COLOR_RGB | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    try:
        picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)
    except cv2.error:
        picture = None
    if picture is None:
        raise ValueError(f"{name} is no complete image ({len(encoded):,} bytes)")
    return np.asarray(picture)


def size_of(encoded: bytes, name: str) -> tuple[int, int]:
    """A picture's width and height as its head has them.

    Args:
      encoded: the file's content.
      name: of the picture, for messages.

    Raises:
      ValueError: where it is no picture, or of more than `LARGEST_PICTURE_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of what is judged here, and of damaged tags.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(encoded)) as image:
                width, height = image.size
    except Image.DecompressionBombError as error:
        raise ValueError(f"{name} has far too many pixels; {_most()}") from error
    except Exception as error:  # Pillow raises many kinds on broken bytes
        kind = f": it is {kind_of(encoded[:HEAD_BYTES])}" if encoded else ""
        raise ValueError(f"{name} is no complete image ({len(encoded):,} bytes){kind}") from error
    if width * height > LARGEST_PICTURE_PIXELS:
        raise ValueError(f"{name} has {width} x {height} pixels; {_most()}")
    return width, height


def _most() -> str:
    return f"at most {LARGEST_PICTURE_PIXELS // 1_000_000} million are decoded"

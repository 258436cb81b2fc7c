"""Pictures of data sets: judged by their heads, then decoded by OpenCV, pixels as they are stored.

Photographs to predict from are read by `twodasl_jax.predict.photo`, upright.
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


def decode_picture(encoded: bytes, name: str) -> np.ndarray:
    """Decodes a picture's bytes.

    The camera's orientation tag is left alone: the data sets' labels count stored pixels.

    Args:
      encoded: the file's content.
      name: of the picture, for messages.

    Returns:
      ``(height, width, 3)`` uint8 RGB.

    Raises:
      ValueError: where it is no complete picture, or its head names more than
        `LARGEST_PICTURE_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of what is judged here.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(encoded)) as image:
                width, height = image.size
    except Image.DecompressionBombError as error:
        raise ValueError(f"{name} has far too many pixels; {_most()}") from error
    except Exception as error:  # Pillow raises many kinds on broken bytes
        raise ValueError(f"{name} is no complete image ({_what(encoded)}); {EXPECTED}") from error
    if width * height > LARGEST_PICTURE_PIXELS:
        raise ValueError(f"{name} has {width} x {height} pixels; {_most()}")
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)
    except cv2.error:
        picture = None
    if picture is None:
        raise ValueError(f"{name} is no complete image ({len(encoded):,} bytes); {EXPECTED}")
    return np.asarray(picture)


def _what(encoded: bytes) -> str:
    if not encoded:
        return "0 bytes"
    return f"it is {kind_of(encoded[:HEAD_BYTES])}"


def _most() -> str:
    return f"at most {LARGEST_PICTURE_PIXELS // 1_000_000} million are decoded"

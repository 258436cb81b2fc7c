"""The size of a picture as OpenCV reads it, from its header where that is enough."""

import io
import warnings
from pathlib import Path

from PIL import Image

from twodasl_jax.user_files.picture import decode_picture, read_picture_bytes, size_of

_ORIENTATION = 0x0112
"""EXIF's tag: by it OpenCV turns a picture."""


def picture_size(path: Path) -> tuple[float, float]:
    """Width and height, NaN where the file is no readable picture."""
    try:
        encoded = read_picture_bytes(path)
        width, height = size_of(encoded, str(path))
        if _is_upright(encoded):
            return float(width), float(height)
        picture = decode_picture(encoded, str(path), upright=True)
    except (ValueError, OSError):
        return float("nan"), float("nan")
    return float(picture.shape[1]), float(picture.shape[0])


def _is_upright(encoded: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata
            with Image.open(io.BytesIO(encoded)) as picture:
                return picture.getexif().get(_ORIENTATION, 1) == 1
    except Exception:  # what metadata Pillow cannot read OpenCV may: its pixels will tell
        return False

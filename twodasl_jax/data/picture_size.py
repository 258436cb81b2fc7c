"""The size of a picture as OpenCV reads it, from its header where that is enough."""

import warnings
from pathlib import Path

import cv2
from PIL import Image

_ORIENTATION = 0x0112
"""EXIF's tag: by it OpenCV turns a picture."""


def picture_size(path: Path) -> tuple[float, float]:
    """Width and height, NaN where the file is no readable picture."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures, and of damaged metadata
            with Image.open(path) as picture:
                if picture.getexif().get(_ORIENTATION, 1) == 1:
                    return float(picture.width), float(picture.height)
    except Exception:  # whatever Pillow cannot read OpenCV may
        pass
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        return float("nan"), float("nan")
    return float(pixels.shape[1]), float(pixels.shape[0])

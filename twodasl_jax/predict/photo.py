"""Photographs on disk: found by name, read upright as RGB, within bounds."""

import glob
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""What a folder is searched for; a file that is named itself may end otherwise."""

LARGEST_PHOTO_PIXELS = 80_000_000
"""Larger pictures are refused before their pixels are read: so memory stays
bounded: 8,900 x 8,900 pixels took at most 0.8 GiB, with transparency 1.1."""


def find_photos(pattern: str | Path) -> list[Path]:
    """The photographs that a file name, a folder or a glob pattern stands for, sorted.

    Args:
      pattern: a file; a folder, searched with its subfolders for `IMAGE_ENDINGS`; or a pattern
        like ``photos/*.jpg`` (``**`` for any depth). A file of that very name comes first.

    Raises:
      FileNotFoundError: where there is none.
    """
    path = Path(pattern).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [file for file in path.rglob("*") if file.suffix.lower() in IMAGE_ENDINGS]
    else:
        found = [Path(name) for name in glob.glob(str(path), recursive=True)]
    photos = sorted(file for file in found if file.is_file())
    if not photos:
        raise FileNotFoundError(
            f"no image at {pattern}; expected a picture file, a folder that holds some "
            f"({', '.join(IMAGE_ENDINGS)}), or a pattern like 'photos/*.jpg'"
        )
    return photos


def load_image(path: str | Path) -> np.ndarray:
    """Reads a photograph as RGB, upright.

    EXIF rotation is applied; grey, palette, CMYK and 16-bit images are converted;
    transparency is laid over white; of an animation the first frame is taken.

    Args:
      path: any format that Pillow reads.

    Returns:
      ``(height, width, 3)`` uint8.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is no image, is cut short, or is of a kind without a known range,
        or has more than `LARGEST_PHOTO_PIXELS`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no image at {path}; expected the path of a JPEG, PNG or the like")
    with path.open("rb") as file:
        return read_image(file, str(path))


def read_image(file: BinaryIO, name: str) -> np.ndarray:
    """Reads a photograph from an open file, as `load_image` does.

    Args:
      file: holds it, from where it stands.
      name: for messages.

    Returns:
      ``(height, width, 3)`` uint8.

    Raises:
      ValueError: as `load_image`.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of what `_require_moderate_size` judges.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file)
        with image:
            _require_moderate_size(image, name)
            # exif_transpose reads all pixels: a file that is cut short fails here.
            ImageOps.exif_transpose(image, in_place=True)
            return _rgb_array(image, name)
    except Image.DecompressionBombError as error:  # Pillow's own bound, told by the header
        raise ValueError(_too_large(name, "far too many")) from error
    except UnidentifiedImageError as error:
        raise ValueError(f"{name} is no image that Pillow can read; convert it to PNG") from error
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{name} cannot be read to its end: {error}") from error


def _require_moderate_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > LARGEST_PHOTO_PIXELS:
        raise ValueError(_too_large(name, f"{width} x {height}"))


def _too_large(name: str, size: str) -> str:
    most = LARGEST_PHOTO_PIXELS // 1_000_000
    return f"{name} has {size} pixels; expected at most {most} million: make it smaller first"


def _rgb_array(image: Image.Image, name: str) -> np.ndarray:
    if image.mode == "F":
        raise ValueError(
            f"{name} holds floating-point pixels, whose range is unknown; save it as 8 or 16 bit"
        )
    if image.mode == "I" or image.mode.startswith("I;16"):
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 65535:
            raise ValueError(
                f"{name} holds values {grey.min()}..{grey.max()}; expected 16 bit, 0..65535"
            )
        return np.repeat((grey // 257).astype(np.uint8)[..., None], 3, axis=-1)
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.new("RGB", rgba.size, (255, 255, 255))
        image.paste(rgba, mask=rgba.getchannel("A"))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))

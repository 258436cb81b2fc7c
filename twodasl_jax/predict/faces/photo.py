"""Photographs on disk: found by name, read upright as RGB, within bounds."""

import glob
import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError, features

from twodasl_jax.data.folder_listing import (
    describe_hidden,
    describe_others,
    ends_with,
    is_hidden,
    list_files,
    printable,
)
from twodasl_jax.predict.faces.deep_pixels import (
    eight_bits,
    is_dark,
    is_deep_colour,
    read_deep_colours,
)
from twodasl_jax.predict.faces.photo_bounds import PhotoTooLargeError, require_bounded, too_large

_OPTIONAL_ENDINGS = {".webp": "webp", ".avif": "avif", ".jp2": "jpg_2000", ".j2k": "jpg_2000"}
"""Kinds that not every Pillow reads -> what it calls them."""

IMAGE_ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".bmp", ".tif", ".tiff", ".gif"),
    *(ending for ending, kind in _OPTIONAL_ENDINGS.items() if features.check(kind)),
)
"""What a folder is searched for; a file that is named itself may end otherwise."""

_UNREADABLE_ENDINGS = frozenset(
    {".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".j2k", ".jxr", ".webp", ".psd", ".dng"}
    | {".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2", ".raw", ".exr", ".hdr"}
).difference(IMAGE_ENDINGS)
"""Photographs too, but of kinds that Pillow does not read."""

# Pillow warns of what `photo_bounds` judges. Once and here: `warnings.catch_warnings` around every
# reading would change the filters under the other threads of the process.
warnings.filterwarnings(
    "ignore", category=Image.DecompressionBombWarning, module=re.escape(Image.__name__)
)

_ORIENTATION = 0x0112
"""EXIF's number of the tag."""


class FoundPhotos(NamedTuple):
    """What a file name, a folder or a pattern stands for; every list is sorted.

    Attributes:
      photos: pictures to read.
      hidden: passed over: a system's files, and hidden ones.
      others: passed over: files of other endings.
    """

    photos: list[Path]
    hidden: list[Path]
    others: list[Path]


def find_photos(pattern: str | Path) -> FoundPhotos:
    """The photographs that a file name, a folder or a glob pattern stands for.

    Args:
      pattern: a file; a folder, searched with its subfolders for `IMAGE_ENDINGS`; or a pattern
        like ``photos/*.jpg`` (``**`` for any depth), of whose files those count that have such an
        ending, none, or one that the pattern names. A file of that very name comes first.

    Raises:
      FileNotFoundError: where there is none, saying what was passed over.
      OSError: where a folder may not be read.
    """
    path = Path(pattern).expanduser()
    if path.is_file():
        return FoundPhotos([path], [], [])
    listing = list_files(path, IMAGE_ENDINGS, recursive=True) if path.is_dir() else _matching(path)
    found = FoundPhotos(*listing)
    if not found.photos:
        told = "".join(f"; {line}" for line in passed_over(pattern, found.hidden, found.others))
        raise FileNotFoundError(
            f"no image at {pattern}; expected a picture file, a folder that holds some "
            f"({', '.join(IMAGE_ENDINGS)}), or a pattern like 'photos/*.jpg'{told}"
        )
    return found


def _matching(pattern: Path) -> FoundPhotos:
    found = FoundPhotos([], [], [])
    for path in sorted(Path(name) for name in glob.glob(str(pattern), recursive=True)):
        if not path.is_file():
            continue
        unnamed = [part for part in path.parts if part not in pattern.parts]
        named = ends_with(path.name, {*IMAGE_ENDINGS, "", pattern.suffix.lower()})
        hidden = any(is_hidden(part) for part in unnamed)
        (found.hidden if hidden else found.photos if named else found.others).append(path)
    return found


def passed_over(place: str | Path, hidden: Iterable[Path], others: Iterable[Path]) -> list[str]:
    """A line on each sort of files that were not taken for photographs, and what to do.

    Args:
      place: that was searched.
      hidden: as `FoundPhotos`.
      others: as `FoundPhotos`.
    """
    hidden, others = list(hidden), list(others)
    pictures = [path for path in others if ends_with(path.name, _UNREADABLE_ENDINGS)]
    rest = [path for path in others if path not in set(pictures)]
    lines = []
    if hidden:
        common = os.path.commonpath([path.parent for path in hidden])
        lines.append(describe_hidden(common, hidden) or "")
    if pictures:
        lines.append(
            f"passed over in {printable(place)}: {describe_others(pictures)}, which Pillow cannot "
            f"read, first {printable(pictures[0].name)}: convert them to JPEG or PNG"
        )
    if rest:
        lines.append(
            f"passed over in {printable(place)}: {describe_others(rest)}, which are no pictures"
        )
    return lines


def load_image(path: str | Path) -> np.ndarray:
    """Reads a photograph as RGB, upright.

    EXIF rotation is applied; grey, palette, CMYK and 16-bit images are converted (`deep_pixels`);
    transparency is laid over white; of an animation the first frame is taken.

    Args:
      path: any format that Pillow reads.

    Returns:
      ``(height, width, 3)`` uint8.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is no image, is cut short, or is of a kind without a known range,
        or is too large (`photo_bounds`).
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no image at {path}; expected the path of a JPEG, PNG or the like")
    with path.open("rb") as file:
        return read_image(file, str(path))


def read_image(file: BinaryIO, name: str, *, formats: list[str] | None = None) -> np.ndarray:
    """Reads a photograph from an open file, as `load_image` does.

    Args:
      file: holds it from its beginning on; can seek.
      name: for messages.
      formats: only of these, by Pillow's names.

    Returns:
      ``(height, width, 3)`` uint8.

    Raises:
      ValueError: as `load_image`; `PhotoTooLargeError` where it would take too much memory.
    """
    try:
        with _opened(file, name, formats) as image:
            deep, orientation = is_deep_colour(image, name), image.getexif().get(_ORIENTATION, 1)
            # exif_transpose reads all pixels: a file that is cut short fails here.
            ImageOps.exif_transpose(image, in_place=True)
            if not deep or not is_dark(image):
                return _rgb_array(image, name)
        file.seek(0)
        brightened = read_deep_colours(file.read(), orientation, name)
        if brightened is not None:
            return _rgb_array(brightened, name)
        with _opened(file, name, formats) as image:  # dark, but not of 16 bits
            ImageOps.exif_transpose(image, in_place=True)
            return _rgb_array(image, name)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow's own bound, told by the header; the warning where filters make it an error.
        raise PhotoTooLargeError(too_large(name, "far too many")) from error
    except UnidentifiedImageError as error:
        raise ValueError(f"{name} is no image that Pillow can read; convert it to PNG") from error
    except Exception as error:  # Pillow and its decoders raise many kinds on broken bytes
        if isinstance(error, ValueError) and str(error).startswith(name):
            raise
        raise ValueError(f"{name} cannot be read to its end: {error}") from error


def _opened(file: BinaryIO, name: str, formats: list[str] | None) -> ImageFile.ImageFile:
    image = Image.open(file, formats=formats)
    require_bounded(image, file, name)
    return image


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
        return np.repeat(eight_bits(grey, name)[..., None], 3, axis=-1)
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.new("RGB", rgba.size, (255, 255, 255))
        image.paste(rgba, mask=rgba.getchannel("A"))
    try:
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))
    except ValueError as error:
        raise ValueError(
            f"{name} holds {image.mode} pixels, which Pillow does not turn into RGB; save it as RGB"
        ) from error

"""What a picture's header says that decoding it would cost, judged before any pixel is read."""

import re
from typing import BinaryIO

from PIL import ImageFile, TiffImagePlugin

LARGEST_PHOTO_PIXELS = 80_000_000
"""Larger pictures are refused before their pixels are read: so memory stays bounded."""

_LARGEST_TILE_PIXELS = 4096 * 4096
"""Of a TIFF, whose decoder holds a whole tile, however little of it the picture shows."""

_MOST_SCANS = 100
"""Of a progressive JPEG. Usual ones have about 10; every scan walks over the whole picture, and
may be a few bytes long."""

_TILE_WIDTH, _TILE_LENGTH = 322, 323
"""TIFF's numbers of the tags."""

_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""Of a JPEG, but for those that stand inside of compressed pixels."""


class PhotoTooLargeError(ValueError):
    """A picture that would take too much memory or time to decode."""


def require_bounded(image: ImageFile.ImageFile, file: BinaryIO, name: str) -> None:
    """Refuses a picture, opened and not read yet, that is too large to decode.

    Args:
      image: as ``Image.open`` gives it.
      file: that it was opened from; its position is kept.
      name: for messages.

    Raises:
      PhotoTooLargeError: for more than `LARGEST_PHOTO_PIXELS`, tiles that are far larger than the
        picture, or a JPEG of more than 100 scans.
    """
    width, height = image.size
    if width * height > LARGEST_PHOTO_PIXELS:
        raise PhotoTooLargeError(too_large(name, f"{width} x {height}"))
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tile = [int(image.tag_v2.get(tag, 0)) for tag in (_TILE_WIDTH, _TILE_LENGTH)]
        if tile[0] * tile[1] > max(_LARGEST_TILE_PIXELS, 4 * width * height):
            raise PhotoTooLargeError(
                f"{name} has {width} x {height} pixels in tiles of {tile[0]} x {tile[1]}; expected "
                "tiles of at most 4096 x 4096: save it anew"
            )
    if image.format in ("JPEG", "MPO") and image.info.get("progressive"):
        position = file.tell()
        file.seek(0)
        scans = count_scans(file.read())
        file.seek(position)
        if scans > _MOST_SCANS:
            raise PhotoTooLargeError(
                f"{name} is a progressive JPEG of {scans} scans; expected at most {_MOST_SCANS}: "
                "save it anew"
            )


def too_large(name: str, size: str) -> str:
    """The sentence on a picture of too many pixels; `size` in words."""
    most = LARGEST_PHOTO_PIXELS // 1_000_000
    return f"{name} has {size} pixels; expected at most {most} million: make it smaller first"


def count_scans(data: bytes) -> int:
    """How often the first picture of a JPEG file walks over its pixels.

    Args:
      data: the file; thumbnails inside of its metadata are not counted.
    """
    scans, position = 0, 2
    while found := _MARKER.search(data, position):
        kind, position = found[0][-1], found.end()
        if kind == 0xD9:  # the end of the picture; others may follow
            break
        if kind == 0xDA:
            scans += 1
        if kind != 0x01:  # all others that are left have a length
            position += int.from_bytes(data[position : position + 2], "big")
    return scans

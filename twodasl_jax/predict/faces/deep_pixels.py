"""Pictures of 16 bits a channel, of which cameras and scanners often use 10, 12 or 14.

Cut to their upper eight bits such pictures are nearly black, and no detector finds a face in them.
"""

import cv2
import numpy as np
from absl import logging
from PIL import Image, ImageFile, TiffImagePlugin

from twodasl_jax.predict.faces.one_at_a_time import one_at_a_time

_DARK_BITS = 14
"""A picture that uses so many bits or fewer is brightened. One bit less than all is an ordinary
picture, if a dim one: no sensor has 15."""

_COUNTED_SHARE = 99.9
"""Of the pixels, in percent: hot pixels and marks of invalid ones lie above."""

_LOOKED_AT = 1000
"""Rows and columns that are looked at, evenly spread."""


def used_bits(values: np.ndarray) -> int:
    """How many bits it takes to write the values, but for the brightest thousandth of them.

    Args:
      values: ``(height, width, ...)`` integers from 0.
    """
    return _brightest(values).bit_length()


def _brightest(values: np.ndarray) -> int:
    steps = (max(1, side // _LOOKED_AT) for side in values.shape[:2])
    seen = values[tuple(slice(None, None, step) for step in steps)]
    return int(np.percentile(seen, _COUNTED_SHARE))


def eight_bits(values: np.ndarray, name: str) -> np.ndarray:
    """Values of 16 bits as 8; those that use 14 bits or fewer are stretched over the range.

    Args:
      values: ``(height, width, ...)`` integers, 0 to 65535.
      name: of the file, for the line that tells of the stretching.

    Returns:
      uint8 of the same shape.
    """
    bits = used_bits(values)
    if bits == 0 or bits > _DARK_BITS:
        return (np.arange(65536) // 257).astype(np.uint8)[values]
    bits = max(bits, 8)
    logging.warning("%s uses %d of its 16 bits: they were spread over its range", name, bits)
    return _spread(values, bits)


def _spread(values: np.ndarray, bits: int) -> np.ndarray:
    table = (np.arange(65536) * 255.0 / (2**bits - 1)).round().clip(max=255)
    return table.astype(np.uint8)[values]


def is_deep_colour(image: ImageFile.ImageFile, name: str) -> bool:
    """Whether a picture, opened and not read yet, may have several channels of 16 bits.

    Pillow keeps the upper eight of them.

    Args:
      image: as ``Image.open`` gives it.
      name: for the message.

    Raises:
      ValueError: for a TIFF whose 16-bit channels lie one after another, of which Pillow and
        OpenCV make noise.
    """
    if len(image.getbands()) == 1:
        return False
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (8,))
        if max(bits) > 8 and image.tag_v2.get(TiffImagePlugin.PLANAR_CONFIGURATION) == 2:
            raise ValueError(
                f"{name} holds its 16-bit channels one after another (planar), which cannot be "
                "read; save it with interleaved channels, or as PNG"
            )
        return max(bits) > 8
    if image.format == "PPM":
        return True  # its tiles do not say; `read_deep_colours` gives None of 8 bits
    # A raw mode like "RGB;16B", alone or first of a decoder's arguments.
    args = [tile.args if isinstance(tile.args, tuple) else (tile.args,) for tile in image.tile]
    return any(";16" in str(first) for first, *_ in args)


def is_dark(image: Image.Image) -> bool:
    """Whether Pillow's upper eight bits of deep colours leave little to see."""
    colours = np.asarray(image)
    if "A" in image.mode:
        colours = colours[..., :-1]
    # Pillow rounds the values of some kinds of files up, so this value is looked at too.
    return _brightest(colours) <= 2 ** (_DARK_BITS - 8)


def read_deep_colours(data: bytes, orientation: int, name: str) -> Image.Image | None:
    """Reads a PNG or TIFF of 16 bits a channel by OpenCV, and stretches what is used.

    Args:
      data: the file.
      orientation: EXIF's, 1 to 8.
      name: as for `eight_bits`.

    Returns:
      RGB or RGBA, upright; None where OpenCV reads no 16 bits.
    """
    pixels = _decode_silently(data)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        return None
    levels = np.empty(pixels.shape, np.uint8)
    levels[..., :3] = eight_bits(np.asarray(pixels[..., 2::-1]), name)
    if pixels.shape[2] == 4:
        # Transparency has a range of its own: 65535 or, like the colours, fewer bits.
        alpha = pixels[..., 3]
        levels[..., 3] = _spread(alpha, max(used_bits(alpha), 8))
    image = Image.fromarray(levels)
    # OpenCV turns TIFFs itself, and leaves PNGs as they are.
    if data[:4] == b"\x89PNG" and orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    return image


@one_at_a_time  # the level of OpenCV's lines is the whole process's
def _decode_silently(data: bytes) -> np.ndarray | None:
    level = cv2.utils.logging.getLogLevel()
    # OpenCV's lines on kinds that it does not read: Pillow's picture is taken then.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    finally:
        cv2.utils.logging.setLogLevel(level)


_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what makes a picture upright."""

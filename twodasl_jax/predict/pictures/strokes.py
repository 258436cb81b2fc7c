"""Anti-aliased strokes with an outline: what landmarks and axes are drawn with.

Points are of the image frame: pixel c spans c to c + 1.
"""

import cv2
import numpy as np

from twodasl_jax.crop_frame import image_to_raster

Colour = tuple[int, int, int]

_OUTLINE: Colour = (16, 20, 28)
_SUBPIXEL_BITS = 4  # OpenCV draws at 1/16 px


def rgb_copy(image: np.ndarray) -> np.ndarray:
    """A copy to draw on.

    Raises:
      ValueError: where the image is not ``(height, width, 3)`` uint8.
    """
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"the image is {image.shape} {image.dtype}; expected (height, width, 3) uint8 RGB"
        )
    return np.ascontiguousarray(image).copy()


def fixed_point(point: np.ndarray) -> tuple[int, int]:
    """OpenCV's fixed-point form of ``(x, y)``, image frame, clipped to what it can hold."""
    x, y = (image_to_raster(point) * 2**_SUBPIXEL_BITS).round().clip(-(2**24), 2**24).astype(int)
    return int(x), int(y)


def draw_line(
    image: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    colour: Colour,
    thickness: int,
    *,
    outline: bool,
) -> None:
    """Draws one line in place; the outline is a dark, wider copy to be drawn first."""
    cv2.line(
        image,
        fixed_point(start),
        fixed_point(end),
        _OUTLINE if outline else colour,
        thickness + 2 if outline else thickness,
        cv2.LINE_AA,
        _SUBPIXEL_BITS,
    )


def draw_dot(
    image: np.ndarray, centre: np.ndarray, colour: Colour, radius: float, *, outline: bool
) -> None:
    """Draws one filled circle in place; see `draw_line`."""
    size = radius + 1.0 if outline else radius
    cv2.circle(
        image,
        fixed_point(centre),
        round(size * 2**_SUBPIXEL_BITS),
        _OUTLINE if outline else colour,
        cv2.FILLED,
        cv2.LINE_AA,
        _SUBPIXEL_BITS,
    )


def draw_arrow(
    image: np.ndarray,
    start: np.ndarray,
    tip: np.ndarray,
    colour: Colour,
    thickness: int,
    *,
    outline: bool,
) -> None:
    """Draws an arrow in place, a dot where it points at the viewer; see `draw_line`."""
    draw_line(image, start, tip, colour, thickness, outline=outline)
    direction = tip - start
    length = float(np.linalg.norm(direction))
    if length < 4.0 * thickness:  # it points at the viewer: a dot says so
        draw_dot(image, tip, colour, 1.5 * thickness, outline=outline)
        return
    along = direction / length * 3.0 * thickness
    across = np.array([-along[1], along[0]]) * 0.6
    for barb in (tip - along + across, tip - along - across):
        draw_line(image, tip, barb, colour, thickness, outline=outline)

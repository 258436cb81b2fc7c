"""The head pose on the photograph: a box around the head, its axes, and the angles in words."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from twodasl_jax.predict.faces.reconstruct import Reconstruction
from twodasl_jax.predict.pictures.drawing import draw_pose_axes
from twodasl_jax.predict.pictures.strokes import Colour, draw_line, rgb_copy

_BACK_SIZE, _FRONT_SIZE = 0.9, 1.2
"""Of the box, as shares of the face's: of unequal size, so that a frontal head shows both."""

_FRONT_COLOUR: Colour = (255, 214, 74)
_BACK_COLOUR: Colour = (120, 205, 255)

_NOSE_TIP = 30

_SMALLEST_LETTERS = 4.0


def head_box(reconstruction: Reconstruction) -> np.ndarray:
    """The corners of a box around the head that turns with it: ``(8, 3)``, image frame.

    The four of its back, then the four of its front, each from the head's upper right (the
    photograph's upper left, for a frontal head) clockwise. The front widens as in the pictures
    of 3DDFA (Guo et al., 2018): the camera is orthographic, so a cuboid's back would lie hidden
    behind its front.
    """
    rotation = np.asarray(reconstruction.camera.rotation, np.float64)
    flip = np.array([[1.0], [-1.0], [1.0]])
    # The view frame has y up; turned back, the head looks along +z.
    upright = rotation.T @ (reconstruction.vertices.astype(np.float64) * flip)
    low, high = upright.min(axis=1), upright.max(axis=1)
    centre, half = 0.5 * (low + high), 0.5 * (high - low)
    signs = np.array([[-1, 1], [1, 1], [1, -1], [-1, -1]], np.float64)
    sides = [
        np.column_stack([centre[:2] + signs * half[:2] * share, np.full(4, z)])
        for share, z in ((_BACK_SIZE, low[2]), (_FRONT_SIZE, high[2]))
    ]
    return ((rotation @ np.concatenate(sides).T) * flip).T


def draw_head_box(image: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Draws the box of `head_box`: the front in yellow, the rest in blue.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      corners: ``(8, 3)`` image frame.
    """
    drawn = rgb_copy(image)
    size = float(np.ptp(corners[:, :2], axis=0).max())
    thickness = max(1, round(min(size, max(image.shape[:2])) / 150))
    around = [(0, 1), (1, 2), (2, 3), (3, 0)]
    edges = [*around, *((i, i + 4) for i in range(4)), *((i + 4, j + 4) for i, j in around)]
    # What lies nearer to the viewer is drawn later.
    edges.sort(key=lambda edge: corners[list(edge), 2].sum())
    for first, second in edges:
        is_front = min(first, second) >= 4
        colour, width = (_FRONT_COLOUR, thickness + 1) if is_front else (_BACK_COLOUR, thickness)
        for outline in (True, False):
            draw_line(
                drawn, corners[first, :2], corners[second, :2], colour, width, outline=outline
            )
    return drawn


def draw_head_pose(image: np.ndarray, reconstruction: Reconstruction) -> np.ndarray:
    """Draws the head's box, its axes from the tip of the nose, and yaw, pitch and roll.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      reconstruction: of a face in it.
    """
    corners = head_box(reconstruction)
    size = float(np.ptp(reconstruction.vertices[:2], axis=1).max())
    drawn = draw_pose_axes(
        draw_head_box(image, corners),
        reconstruction.landmarks[_NOSE_TIP],
        np.asarray(reconstruction.camera.rotation),
        length_px=0.5 * size,
        thickness=max(2, round(size / 90)),
    )
    pose = reconstruction.head_pose
    text = f"yaw {pose.yaw:+.0f}°  pitch {pose.pitch:+.0f}°  roll {pose.roll:+.0f}°"
    return write_text(drawn, text, above=corners[:, :2].min(axis=0), height_px=0.08 * size)


def write_text(image: np.ndarray, text: str, *, above: np.ndarray, height_px: float) -> np.ndarray:
    """Writes one line in white with a dark outline, moved and made smaller so as to fit.

    A picture that has no room for letters of 4 pixels stays without.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      text: one line.
      above: ``(2,)`` the point that the line's lower left corner is to stand over.
      height_px: of the letters; no less than 10 where the picture has room.
    """
    height, width = image.shape[:2]
    points = max(10.0, height_px)
    left, top, right, bottom = _text_box(text, points)
    room = min((width - 2) / (right - left), (height - 2) / (bottom - top))
    if room < 1.0:
        points *= room
        if points < _SMALLEST_LETTERS:
            return rgb_copy(image)
        left, top, right, bottom = _text_box(text, points)
    x = np.clip(above[0], 0, max(0, width - (right - left)))
    y = np.clip(above[1] - 1.3 * bottom, 0, max(0, height - (bottom - top)))
    picture = Image.fromarray(rgb_copy(image))
    ImageDraw.Draw(picture).text(
        (int(x) - left, int(y) - top),
        text,
        font=ImageFont.load_default(points),
        fill=(255, 255, 255),
        stroke_width=_stroke(points),
        stroke_fill=(16, 20, 28),
    )
    return np.array(picture)


def _text_box(text: str, points: float) -> tuple[int, int, int, int]:
    """``(left, top, right, bottom)`` in pixels of a line that starts at 0, its outline included."""
    drawing = ImageDraw.Draw(Image.new("L", (1, 1)))
    font = ImageFont.load_default(points)
    left, top, right, bottom = drawing.textbbox((0, 0), text, font, stroke_width=_stroke(points))
    return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)


def _stroke(points: float) -> int:
    """Width of the letters' outline, pixels."""
    return max(1, round(points / 10))

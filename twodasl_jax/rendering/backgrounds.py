"""Procedural, photo-like backgrounds for rendered faces.

A network trained on faces over flat colours learns the outline. These pictures have what a
photograph's surroundings have: slow gradients, texture at many scales (a 1/f spectrum), objects
with edges, and a depth of field. They are drawn, never taken from anywhere.
"""

import cv2
import numpy as np

from twodasl_jax.crop_frame import CROP_SIZE


def photo_like_backgrounds(
    generator: np.random.Generator, count: int, *, size: int = CROP_SIZE
) -> np.ndarray:
    """Draws `count` backgrounds.

    They are drawn with 120 pixels and resampled: a seed names the same pictures in every size.

    Args:
      generator: source of all randomness.
      count: number of pictures; draw in chunks where memory matters (43 kB each).
      size: side of the pictures, pixels.

    Returns:
      ``(count, size, size, 3)`` uint8 RGB.
    """
    if count < 1:
        raise ValueError(f"count is {count}, need at least one background")
    pictures = np.empty((count, size, size, 3), np.uint8)
    how = cv2.INTER_AREA if size < CROP_SIZE else cv2.INTER_CUBIC
    for index in range(count):
        picture = _background(generator)
        pictures[index] = (
            picture if size == CROP_SIZE else cv2.resize(picture, (size, size), interpolation=how)
        )
    return pictures


def natural_colours(generator: np.random.Generator, count: int) -> np.ndarray:
    """``(count, 3)`` float32 RGB in [0, 255]: mostly muted, a few vivid, as scenes are."""
    lightness = generator.uniform(15, 240, size=(count, 1))
    saturation = generator.beta(1.2, 4.0, size=(count, 1))
    hue = generator.uniform(0, 2 * np.pi, size=(count, 1)) + np.array([0, 2, 4]) * np.pi / 3
    return np.clip(lightness * (1 + saturation * np.cos(hue)), 0, 255).astype(np.float32)


def _background(generator: np.random.Generator) -> np.ndarray:
    picture = _gradient(generator) + _texture(generator)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    for _ in range(generator.integers(0, 9)):
        _draw_object(picture, generator)
    sigma = generator.exponential(1.5)
    if sigma > 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), sigma)
    return picture


def _gradient(generator: np.random.Generator) -> np.ndarray:
    """Four corner colours, blended: sky over ground, a wall in slanted light."""
    first, second = natural_colours(generator, 2)
    mix = generator.random((2, 2, 1)).astype(np.float32)
    corners = first + mix * (second - first)
    return cv2.resize(corners, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)


def _texture(generator: np.random.Generator) -> np.ndarray:
    """Octaves of smooth noise; amplitude falls with frequency as in natural images (1/f)."""
    total = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.float32)
    strength = generator.uniform(5, 45)
    roughness = generator.uniform(0.4, 0.85)
    for octave, cells in enumerate((3, 6, 12, 24, 48)):
        grey = generator.normal(size=(cells, cells, 1))
        coloured = generator.normal(size=(cells, cells, 3))
        grid = (grey + 0.3 * coloured).astype(np.float32) * (strength * roughness**octave)
        total += cv2.resize(grid, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_CUBIC)
    return total


def _draw_object(picture: np.ndarray, generator: np.random.Generator) -> None:
    """One filled ellipse, polygon, or line, drawn in place."""
    colour = tuple(float(value) for value in natural_colours(generator, 1)[0])
    centre = generator.integers(0, CROP_SIZE, 2)
    radii = generator.integers(4, 60, 2)
    kind = generator.integers(3)
    if kind == 0:
        angle = float(generator.uniform(0, 180))
        cv2.ellipse(
            picture, centre.tolist(), radii.tolist(), angle, 0, 360, colour, -1, cv2.LINE_AA
        )
    elif kind == 1:
        turns = np.sort(generator.uniform(0, 2 * np.pi, generator.integers(3, 7)))
        corners = centre + radii * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        cv2.fillPoly(picture, [corners.astype(np.int32)], colour, cv2.LINE_AA)
    else:
        end = generator.integers(-20, CROP_SIZE + 20, 2)
        width = int(generator.integers(1, 12))
        cv2.line(picture, centre.tolist(), end.tolist(), colour, width, cv2.LINE_AA)

"""Augmentation of one crop: geometry exact on landmarks and camera, then colour and damage.

Positions here are continuous: pixel c of a picture spans c to c + 1 and has its centre at
c + 1/2. That is what ``X = x·(ex - sx)/size + sx`` and ``cv2.resize`` agree on, what the landmark
map's floor asks for, and what real labels show: in 362 near-frontal AFLW crops the picture's own
axis of symmetry lies 0.59 ± 0.05 px before the labels' middle when pixel c is taken to have its
centre at c. So a mirrored face has its points at ``size - x``. OpenCV's warps do put the centre
of pixel c at c; `warp_image` converts.

300W-LP's labels count pixels from one: they lie half a pixel of the photograph farther right and
down. Such an element says so (`LABEL_OFFSET`). Its labels are carried to the picture, moved with
it, and carried back: mirrored they are at ``W + 1 - x`` then, as in 300W-LP's own mirror images.
"""

import dataclasses
from typing import Any

import cv2
import numpy as np
from scipy.special import ndtri

from twodasl_jax.coefficient_layout import (
    CAMERA,
    TRANSLATION_X,
    TRANSLATION_Y,
    WEIGHTS,
)
from twodasl_jax.crop_frame import CROP_SIZE, HALF_PIXEL, flip_y
from twodasl_jax.data.crop_resize import LABEL_OFFSET
from twodasl_jax.data.detector_noise import DetectorNoise, detector_like
from twodasl_jax.data.mirrored_faces import (
    CoefficientMirror,
    mirror_coefficients,
    mirror_points,
)
from twodasl_jax.landmark_tables import MIRROR_18, MIRROR_68

_SHARES = ("turned_share", "flip_probability", "damage_probability", "landmark_map_dropout")


@dataclasses.dataclass(frozen=True)
class AugmentOptions:
    """How far a training crop may stray; probabilities in [0, 1], lengths in pixels of 120.

    Attributes:
      shift_px: largest shift in x and y.
      scale: largest relative change of size.
      rotation_degrees: largest in-plane rotation.
      flip_probability: mirror images; annotated faces only with a `CoefficientMirror`.
      colour: strength of brightness, contrast and channel changes; 0 leaves colours.
      damage_probability: of each of blur, noise, JPEG artefacts and an erased rectangle.
      landmark_map_dropout: share of crops whose landmark map is empty.
      detector_jitter_px: largest standard deviation of the drawn landmarks' error.
      turned_share: share of crops that are turned in their plane by any angle up to
        `turned_degrees`, so that heads at any angle are learned; the others by `rotation_degrees`.
      turned_degrees: largest in-plane rotation of those.
    """

    shift_px: float = 4.0
    scale: float = 0.08
    rotation_degrees: float = 12.0
    flip_probability: float = 0.5
    colour: float = 0.2
    damage_probability: float = 0.2
    landmark_map_dropout: float = 0.3
    detector_jitter_px: float = 2.0
    turned_share: float = 0.0
    turned_degrees: float = 180.0

    def __post_init__(self) -> None:
        """Refuses negative strengths and shares outside [0, 1]."""
        for name, value in dataclasses.asdict(self).items():
            if name in _SHARES:
                if not 0 <= value <= 1:
                    raise ValueError(f"{name} is {value}; expected a share in [0, 1]")
            elif not 0 <= value < np.inf:
                raise ValueError(f"{name} is {value}; expected a number of at least 0")


def augment(
    element: dict[str, Any],
    generator: np.random.Generator,
    options: AugmentOptions,
    *,
    coefficient_mirror: CoefficientMirror | None = None,
) -> dict[str, Any]:
    """One training example from one element of a source; lengths grow with its crop.

    Args:
      element: as `twodasl_jax.data.source_protocol` describes, its crop of any size.
      generator: source of all randomness.
      options: how far.
      coefficient_mirror: of the face model; without it annotated faces are never mirrored.

    Returns:
      The fields of `AnnotatedBatch` or `InTheWildBatch` for one example.
    """
    crop_size = element["image"].shape[0]
    warp = _random_warp(generator, options, crop_size)
    annotated = "coefficients" in element
    flip = bool(generator.random() < options.flip_probability)
    flip &= not annotated or coefficient_mirror is not None
    image = warp_image(element["image"], warp)
    offset = np.float32(element.get(LABEL_OFFSET, 0))
    moved = {name: warp_points(element[name] - offset, warp) for name in _POINTS if name in element}
    weights = {name: element[name] for name in _WEIGHTS if name in element}
    if flip:
        image = cv2.flip(image, 1)
        moved = {
            name: mirror_points(points, crop_size=crop_size)[_MIRROR[name]]
            for name, points in moved.items()
        }
        weights = {name: values[_MIRROR[name]] for name, values in weights.items()}
    moved = {name: points + offset for name, points in moved.items()}
    known = weights["landmark18_weights"] > 0
    noise = DetectorNoise(
        jitter_px=options.detector_jitter_px, failure_probability=options.landmark_map_dropout
    )
    seen = np.where(known[:, None], moved["landmarks18"], np.nan)
    example = {
        "image": damage_colours(image, generator, options),
        "detected_landmarks": detector_like(seen, generator, noise, crop_size=crop_size),
    }
    if annotated:
        coefficients = _moved_by(element["coefficients"], -offset)
        coefficients = warp_coefficients(coefficients, warp, crop_size=crop_size)
        if flip and coefficient_mirror is not None:
            coefficients = mirror_coefficients(
                coefficients, coefficient_mirror, crop_size=crop_size
            )
        example["coefficients"] = _moved_by(coefficients, offset)
        # Its 18 were only drawn; faces whose coefficients are no fits have no labels beside them.
        moved = {"landmarks": moved.get("landmarks", _NO_LABELS)}
        weights = {"landmark_weights": weights.get("landmark_weights", _NO_WEIGHTS)}
    # An unknown point was moved with the rest: back to 0, its weight is 0 anyway.
    for name, points in moved.items():
        visible = weights[_WEIGHT_OF[name]][:, None] > 0
        example[name] = np.where(visible, points, 0).astype(np.float32)
    return example | weights


_NO_LABELS, _NO_WEIGHTS = np.zeros((68, 2), np.float32), np.zeros(68, np.float32)
_POINTS: tuple[str, ...] = ("landmarks", "landmarks18")
_WEIGHTS: tuple[str, ...] = ("landmark_weights", "landmark18_weights")
_WEIGHT_OF: dict[str, str] = dict(zip(_POINTS, _WEIGHTS, strict=True))
_MIRROR = {
    "landmarks": MIRROR_68,
    "landmark_weights": MIRROR_68,
    "landmarks18": MIRROR_18,
    "landmark18_weights": MIRROR_18,
}


def _moved_by(coefficients: np.ndarray, offset: np.float32) -> np.ndarray:
    """The coefficients of the face that lies `offset` crop pixels farther right and down."""
    moved = coefficients.copy()
    moved[TRANSLATION_X] += offset
    moved[TRANSLATION_Y] -= offset  # the view frame's y points up
    return moved


def _random_warp(
    generator: np.random.Generator, options: AugmentOptions, crop_size: int
) -> np.ndarray:
    """``(2, 3)``: a rotation and scaling about the crop's centre, then a shift."""
    largest = options.rotation_degrees
    # Drawn only where it is asked for: the others' random numbers stay those of before.
    if options.turned_share and generator.random() < options.turned_share:
        largest = options.turned_degrees
    angle = generator.uniform(-largest, largest)
    scale = np.exp(generator.uniform(-options.scale, options.scale))
    centre = crop_size / 2
    warp = cv2.getRotationMatrix2D((centre, centre), angle, scale)
    shift = generator.uniform(-options.shift_px, options.shift_px, 2)
    warp[:, 2] += shift * (crop_size / CROP_SIZE)
    return warp


def warp_image(image: np.ndarray, warp: np.ndarray) -> np.ndarray:
    """Moves a picture as `warp_points` moves its points; black comes in at the edges.

    Args:
      image: ``(size, size, 3)`` uint8.
      warp: ``(2, 3)`` crop pixels to crop pixels.
    """
    between_centres = warp.copy()
    between_centres[:, 2] += warp[:, :2] @ (HALF_PIXEL, HALF_PIXEL) - HALF_PIXEL
    return cv2.warpAffine(image, between_centres, image.shape[1::-1], flags=cv2.INTER_LINEAR)


def warp_points(points: np.ndarray, warp: np.ndarray) -> np.ndarray:
    """``warp · (x, y, 1)`` for ``(n, 2)`` crop pixels."""
    return (points @ warp[:, :2].T + warp[:, 2]).astype(np.float32)


def warp_coefficients(
    coefficients: np.ndarray, warp: np.ndarray, *, crop_size: int = CROP_SIZE
) -> np.ndarray:
    """The coefficients whose projection is the warped projection; see `warp_camera`.

    Args:
      coefficients: ``(62,)`` raw.
      warp: ``(2, 3)`` a rotation, uniform scaling and shift.
      crop_size: side of the crop, pixels.

    Returns:
      ``(62,)`` float32.
    """
    camera = warp_camera(coefficients[CAMERA].reshape(3, 4), warp, crop_size=crop_size)
    return np.concatenate([camera.ravel(), coefficients[WEIGHTS]]).astype(np.float32)


def warp_camera(camera: np.ndarray, warp: np.ndarray, *, crop_size: int = CROP_SIZE) -> np.ndarray:
    """The camera whose projection is the warped projection; exact.

    The warp acts on crop pixels, the camera makes view-frame points (y up), so the warp is
    carried there: with ``F: y -> size + 1 - y``, the camera's first two rows become
    ``F·warp·F`` of themselves. Depth keeps the proportions: its row is scaled alike.

    Args:
      camera: ``(3, 4)``.
      warp: ``(2, 3)`` a rotation, uniform scaling and shift.
      crop_size: side of the crop, pixels.

    Returns:
      ``(3, 4)`` float32.
    """
    camera = camera.astype(np.float64)
    mirrored = warp[:, :2] * np.array([[1, -1], [-1, 1]])
    # F·warp·F on a point (x, y): the shift is what happens to the view frame's origin.
    origin = warp[:, :2] @ np.array([0, flip_y(0, crop_size=crop_size)]) + warp[:, 2]
    moved = np.empty((3, 4))
    moved[:2] = mirrored @ camera[:2]
    moved[:2, 3] += (origin[0], flip_y(origin[1], crop_size=crop_size))
    moved[2] = camera[2] * np.sqrt(np.linalg.det(warp[:, :2]))
    return moved.astype(np.float32)


_NORMAL_QUANTILES = ndtri((np.arange(256) + 0.5) / 256).astype(np.float32)[None]
"""A normal deviate for every byte: in 8-bit pixels as good as any, in a fifth of the time."""


def damage_colours(
    image: np.ndarray, generator: np.random.Generator, options: AugmentOptions
) -> np.ndarray:
    """Colour changes, and now and then blur, an erased rectangle, noise, JPEG artefacts.

    Args:
      image: ``(size, size, 3)`` uint8.
      generator: source of all randomness.
      options: how much.

    Returns:
      ``(size, size, 3)`` uint8, contiguous.
    """
    crop_size = image.shape[0]
    ratio = crop_size / CROP_SIZE
    contrast = 1 + options.colour * generator.normal(scale=0.5)
    gain = contrast * (1 + options.colour * generator.normal(scale=0.15, size=3))
    offset = 128 * options.colour * generator.normal(scale=0.5)
    table = np.clip(np.arange(256)[:, None] * gain + offset, 0, 255).astype(np.uint8)
    image = cv2.LUT(np.ascontiguousarray(image), table[None])
    blurred, erased, noisy, compressed = generator.random(4) < options.damage_probability
    if blurred:
        image = cv2.GaussianBlur(image, (0, 0), generator.uniform(0.5, 1.8) * ratio)
    if erased:
        width, height = np.rint(generator.integers(12, 50, 2) * ratio).astype(int)
        x, y = generator.integers(0, crop_size - width), generator.integers(0, crop_size - height)
        image[y : y + height, x : x + width] = generator.integers(0, 256, 3)
    if noisy:
        quantiles = generator.uniform(2, 12) * _NORMAL_QUANTILES
        noise = cv2.LUT(generator.integers(0, 256, image.shape, np.uint8), quantiles)
        image = cv2.add(image, noise, dtype=cv2.CV_8U)
    if compressed:
        quality = int(generator.integers(20, 80))
        _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))
    return np.ascontiguousarray(image)

"""The coefficients of a face's mirror image, for the horizontal flip of annotated faces."""

from typing import NamedTuple

import numpy as np

from twodasl_jax.coefficient_layout import CAMERA, TRANSLATION_X, WEIGHTS
from twodasl_jax.crop_frame import CROP_SIZE


class CoefficientMirror(NamedTuple):
    """How one face model's shape and expression coefficients are mirrored.

    `twodasl_jax.face_model.mirrored_model.fit_mirror` finds it, once per face model.

    Attributes:
      matrix: ``(50, 50)``; row vectors: ``mirrored = weights @ matrix + offset``.
      offset: ``(50,)``; 0 where the mean face is symmetric.
      plane_x: x of the model's mirror plane, model units.
    """

    matrix: np.ndarray
    offset: np.ndarray
    plane_x: float


def mirror_points(points: np.ndarray, *, crop_size: int = CROP_SIZE) -> np.ndarray:
    """``x -> size - x`` for ``(n, 2)`` crop pixels: column c becomes column ``size - 1 - c``."""
    return points * np.array([-1, 1], np.float32) + np.array([crop_size, 0], np.float32)


def mirror_coefficients(
    coefficients: np.ndarray, mirror: CoefficientMirror, *, crop_size: int = CROP_SIZE
) -> np.ndarray:
    """The coefficients whose picture is the mirrored picture.

    With ``D = diag(-1, 1, 1)`` and the plane at c, the mirrored face is ``S' = D·S + 2c·e_x``
    (its vertices taken in mirrored order, which `CoefficientMirror` carries), and
    ``V' = D·V + size·e_x`` is made by the camera ``M' = D·M·D``,
    ``t' = D·t + size·e_x - 2c·M'·e_x``: exact. The face itself is as exact as the mirror's fit.

    Args:
      coefficients: ``(62,)`` raw.
      mirror: of their face model.
      crop_size: side of the crop, pixels.

    Returns:
      ``(62,)`` float32.
    """
    sides = np.array([-1.0, 1.0, 1.0])
    camera = coefficients[CAMERA].astype(np.float64).reshape(3, 4)
    moved = camera * sides[:, None] * np.append(sides, 1.0)
    moved.flat[TRANSLATION_X] += crop_size
    moved[:, 3] -= 2 * mirror.plane_x * moved[:, 0]
    weights = coefficients[WEIGHTS].astype(np.float64) @ mirror.matrix + mirror.offset
    return np.concatenate([moved.ravel(), weights]).astype(np.float32)

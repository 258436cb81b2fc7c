"""Whether a set's labels are stretched: made on copies of another shape than the pictures.

A face model fits a narrowed face, by an unusual head. So where a set's fitted faces are unusual,
some of them are fitted again with x stretched: if that makes them both more usual and fit better,
the labels are stretched.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.data.label_sets import FEWEST_FACES
from twodasl_jax.data.labelled_faces import LabelledFaces
from twodasl_jax.face_model.model import FaceModel

STRETCHES = (0.5, 0.65, 0.8, 1.25, 1.55, 2.0)
"""Tried factors of x: steps by which a stretch of 4:3, 3:2, 16:9 and 2:1 can be told."""

UNUSUAL = 20.0
"""Sum of squares of the 50 coefficients, in standard deviations, from which a set's median asks for
a second look. On 512 AFLW faces it is 14, with x times 0.5, 0.7, 0.85, 1.2, 1.5: 52, 42, 21,
28, 80."""

CLEARLY = 0.7
"""A stretch counts if it lowers the median of those sums to this share, without a worse fit."""

MOST_FACES = 64
"""Faces that are fitted again."""

Refit = Callable[[LabelledFaces], tuple[np.ndarray, np.ndarray]]
"""Faces to ``(n, 62)`` coefficients and ``(n,)`` residuals, %."""


def unusualness(face_model: FaceModel, coefficients: np.ndarray) -> np.ndarray:
    """How far faces are from the mean one, in the face model's own statistics.

    Args:
      face_model: that was fitted; one without statistics has unit variance.
      coefficients: ``(n, 62)`` raw.

    Returns:
      ``(n,)`` sums of squares of shape and expression, in standard deviations.
    """
    raw, mean, std = np.asarray(coefficients, np.float64)[:, 12:], 0.0, 1.0
    if face_model.whitening is not None:
        mean, std = (np.asarray(values, np.float64)[12:] for values in face_model.whitening)
    return (((raw - mean) / std) ** 2).sum(axis=1)


def why_stretched(
    face_model: FaceModel,
    faces: LabelledFaces,
    coefficients: np.ndarray,
    residual_percent: np.ndarray,
    *,
    rows: np.ndarray,
    refit: Refit,
) -> str | None:
    """Whether a set's labels fit better when x is stretched.

    Args:
      face_model: that was fitted.
      faces: all of them.
      coefficients: ``(n, 62)`` of their fits.
      residual_percent: ``(n,)``.
      rows: of the fits that tell something.
      refit: fits faces again.

    Returns:
      By how much x is too long or short; None where all is well, or for a few faces.
    """
    if len(rows) < FEWEST_FACES:
        return None
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, MOST_FACES).astype(int))]
    before = np.median(unusualness(face_model, coefficients[chosen]))
    if before < UNUSUAL:
        return None
    tried = np.repeat(np.array(STRETCHES), len(chosen))
    found, residual = refit(_stretched(faces, np.tile(chosen, len(STRETCHES)), tried))
    sums = np.median(unusualness(face_model, found).reshape(len(STRETCHES), -1), axis=1)
    residuals = np.median(residual.reshape(len(STRETCHES), -1), axis=1)
    better = (sums < CLEARLY * before) & (residuals <= np.median(residual_percent[chosen]))
    if not better.any():
        return None
    best = STRETCHES[int(np.where(better, sums, np.inf).argmin())]
    return (
        f"the labels of {len(rows)} faces fit better with x about {best:g} times as long: they "
        "look like those of copies of another shape; scale x to the pictures' width and y to "
        "their height"
    )


def _stretched(faces: LabelledFaces, rows: np.ndarray, factors: np.ndarray) -> LabelledFaces:
    """Faces with x stretched about their crops' middle and the whole scaled back to their size."""
    middle = CROP_SIZE / 2
    scale = np.stack([factors, np.ones_like(factors)], axis=1) / np.sqrt(factors)[:, None]
    points = (faces.landmarks[rows] - middle) * scale[:, None] + middle
    known = faces.weights[rows] > 0
    return dataclasses.replace(
        faces,
        names=faces.names[rows],
        landmarks=np.where(known[..., None], points, 0.0).astype(np.float32),
        weights=faces.weights[rows],
        roi_box=None,
        visibility=None,
        landmarks21=None,
        picture_size=faces.picture_size[rows],
    )

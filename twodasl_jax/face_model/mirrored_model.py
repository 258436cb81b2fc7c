"""How well, and by which coefficients, a face model can show its faces mirrored (host, numpy)."""

from typing import NamedTuple

import numpy as np

from twodasl_jax.coefficients import EXPRESSION, NUM_EXPRESSION, NUM_SHAPE, SHAPE
from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.face_model.model import FaceModel

LARGEST_RESIDUAL_PX = 0.5
"""A mirrored face may differ from the mirror image by this much (root mean square, crop pixels)
and still serve as an annotation: a fifth of what two annotators of the same photos differ by
(2.6 px in AFLW). Measured: the open face model 0.22, BFM 0.29 (0.06 and 0.11 of how far faces lie
from the mean); with mirrored cameras alone it would be 1.5 and 0.9."""

_LARGEST_SAMPLE = 8192
"""Vertices that are fitted at most, evenly spread: more change nothing in the third digit."""

_PARTNER_DISTANCE = 0.02
"""Vertices whose mirror partner lies farther from their reflection than this share of the face's
width have no partner in truth (BFM's list of pairs has a few) and are left out of the fit."""


class MirrorFit(NamedTuple):
    """The least-squares fit of mirrored faces by the model's own coefficients.

    Attributes:
      matrix: ``(50, 50)``; ``mirrored = weights @ matrix + offset``.
      offset: ``(50,)``.
      plane_x: x of the mirror plane, model units.
      residual_px: what the fit leaves, root mean square over vertices and over the model's
        faces, in crop pixels of a face that fills the crop as training's do.
      relative_residual: the same, relative to how far faces lie from the mean face.
    """

    matrix: np.ndarray
    offset: np.ndarray
    plane_x: float
    residual_px: float
    relative_residual: float

    @property
    def is_faithful(self) -> bool:
        """Whether mirrored coefficients may serve as annotations (`LARGEST_RESIDUAL_PX`)."""
        return self.residual_px <= LARGEST_RESIDUAL_PX


def fit_mirror(face_model: FaceModel) -> MirrorFit:
    """Fits ``D·S(mirror vertex) + 2c·e_x ≈ mean + A·weights'``, linear in the weights of S.

    The residual is the expected one of faces spread as the model's statistics say (unit variance
    without any), in closed form.
    """
    mean = np.asarray(face_model.linear.mean, np.float64)
    basis = np.concatenate([face_model.linear.shape_basis, face_model.linear.expression_basis])
    partner = np.asarray(face_model.mirror_vertices)
    plane_x = float(np.mean(mean[0] + mean[0, partner]) / 2)
    sides = np.array([[-1.0], [1.0], [1.0]])
    mirrored_mean = sides * mean[:, partner] + np.array([[2 * plane_x], [0.0], [0.0]])
    asymmetry = mirrored_mean - mean
    distances = np.linalg.norm(asymmetry, axis=0)
    paired = np.flatnonzero(distances < _PARTNER_DISTANCE * np.ptp(mean[0]))
    paired = paired[:: -(-len(paired) // _LARGEST_SAMPLE)]
    num_coefficients = NUM_SHAPE + NUM_EXPRESSION
    rows = basis[:, :, paired].astype(np.float64).reshape(num_coefficients, -1)
    mirrored = (sides * basis[:, :, partner[paired]]).reshape(num_coefficients, -1)
    targets = np.concatenate([mirrored, asymmetry[:, paired].reshape(1, -1)])
    # A pseudo-inverse: a model may have directions of length 0.
    weights = targets @ rows.T @ np.linalg.pinv(rows @ rows.T, hermitian=True)
    left = targets - weights @ rows
    expected, std = _statistics(face_model)
    squares = [
        _expected_square(left[:-1], left[-1], expected, std),
        _expected_square(rows, np.zeros(rows.shape[1]), expected, std),
    ]
    residual, deviation = np.sqrt(np.array(squares) / len(paired)).tolist()
    landmarks = mean[:2, np.asarray(face_model.landmark_vertices)]
    # The crop rule: the longer side of the landmarks' box is 120/√2 pixels.
    px_per_unit = CROP_SIZE / np.sqrt(2) / float(np.ptp(landmarks, axis=1).max())
    return MirrorFit(
        weights[:-1], weights[-1], plane_x, residual * px_per_unit, residual / deviation
    )


def _statistics(face_model: FaceModel) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation ``(50,)`` of shape and expression coefficients."""
    if face_model.whitening is None:
        return np.zeros(NUM_SHAPE + NUM_EXPRESSION), np.ones(NUM_SHAPE + NUM_EXPRESSION)
    both = slice(SHAPE.start, EXPRESSION.stop)
    mean, std = (np.asarray(values, np.float64)[both] for values in face_model.whitening)
    return mean, std


def _expected_square(
    rows: np.ndarray, offset: np.ndarray, mean: np.ndarray, std: np.ndarray
) -> float:
    """``E‖q·rows + offset‖²`` for independent q of this mean and spread."""
    return float(
        np.square(offset + mean @ rows).sum() + np.square(std) @ np.square(rows).sum(axis=1)
    )

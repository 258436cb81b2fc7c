"""The batches that travel from the data pipeline into the compiled step.

A missing landmark is NaN in `detected_landmarks` (it draws nothing), and has weight 0 in
`landmark_weights` (its position is then 0, never NaN: ``0·NaN`` would poison a sum).
Named tuples: JAX knows them as trees by itself, and the host side reads them without JAX.
"""

from typing import Any, NamedTuple

import numpy as np

from twodasl_jax.crop_frame import CROP_SIZE


class AnnotatedBatch(NamedTuple):
    """Photos (or renders) with known coefficients.

    Attributes:
      image: ``(b, size, size, 3)`` uint8 RGB.
      coefficients: ``(b, 62)`` float32, raw, crop frame.
      detected_landmarks: ``(b, 18, 2)`` float32 crop pixels, as a detector would give them
        (noisy, NaN where missed): input of the landmark map only.
      landmarks: ``(b, 68, 2)`` float32 crop pixels, where coefficients were fitted to labels: these
        labels, 0 where unknown. None where nothing reads them.
      landmark_weights: ``(b, 68)`` float32, 0 where missing or self-occluded; all 0 for faces whose
        coefficients are not fits. None where nothing reads them.
    """

    image: Any
    coefficients: Any
    detected_landmarks: Any
    landmarks: Any = None
    landmark_weights: Any = None


class InTheWildBatch(NamedTuple):
    """Photos with 2D landmarks only.

    Attributes:
      image: ``(b, size, size, 3)`` uint8 RGB.
      landmarks: ``(b, 68, 2)`` float32 crop pixels, 0 where unknown; a source with only 18
        leaves them all at weight 0.
      landmark_weights: ``(b, 68)`` float32, 0 where missing or self-occluded.
      landmarks18: ``(b, 18, 2)`` float32 crop pixels, 0 where unknown.
      landmark18_weights: ``(b, 18)`` float32, 0 where missing or self-occluded.
      detected_landmarks: as in `AnnotatedBatch`.
    """

    image: Any
    landmarks: Any
    landmark_weights: Any
    landmarks18: Any
    landmark18_weights: Any
    detected_landmarks: Any

    @staticmethod
    def empty(*, crop_size: int = CROP_SIZE) -> "InTheWildBatch":
        """No photos, of a given side: the half of a stage none of whose terms reads it."""
        points, weights = np.zeros((0, 68, 2), np.float32), np.zeros((0, 68), np.float32)
        return InTheWildBatch(
            np.zeros((0, crop_size, crop_size, 3), np.uint8),
            points,
            weights,
            points[:, :18],
            weights[:, :18],
            points[:, :18],
        )


class Batch(NamedTuple):
    """One training step's data: ``batch.annotated`` and ``batch.in_the_wild``, maybe empty."""

    annotated: AnnotatedBatch
    in_the_wild: InTheWildBatch

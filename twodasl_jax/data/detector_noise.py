"""Detector-like landmarks: true ones made as wrong as a real detector makes them.

The landmark map (the network's fourth input channel) is drawn from a detector's output at
prediction time. A network fed perfect maps in training fails on real ones (method.md section
3), so labels are given a detector's faults: jitter, a shared offset, misses and outliers.
"""

import dataclasses

import numpy as np

from twodasl_jax.crop_frame import CROP_SIZE

_LARGEST_LENGTH = float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True)
class DetectorNoise:
    """How wrong a detector is; lengths in crop pixels, probabilities in [0, 1].

    Attributes:
      jitter_px: largest standard deviation of each point's own error; each face draws its
        own between 0 and this (some faces are easy, some are not).
      offset_px: standard deviation of the error shared by all points of a face.
      miss_probability: a point is not found (NaN).
      outlier_probability: a point is found at a wrong place.
      outlier_px: standard deviation of an outlier's displacement.
      failure_probability: the detector finds nothing at all (every point NaN). This is the
        landmark-map dropout of method.md section 5, which makes the network work without
        landmarks.
    """

    jitter_px: float = 2.5
    offset_px: float = 0.7
    miss_probability: float = 0.03
    outlier_probability: float = 0.03
    outlier_px: float = 10.0
    failure_probability: float = 0.3

    def __post_init__(self) -> None:
        """Refuses negative lengths and probabilities outside [0, 1]."""
        # One is made per face: `vars` and not `dataclasses.asdict`, which copies deeply.
        for name, value in vars(self).items():
            largest = 1.0 if name.endswith("_probability") else _LARGEST_LENGTH
            if not 0 <= value <= largest:
                raise ValueError(f"{name} is {value}; expected 0 ≤ {name} ≤ {largest:g}")


def detector_like(
    landmarks: np.ndarray,
    generator: np.random.Generator,
    noise: DetectorNoise,
    *,
    crop_size: int = CROP_SIZE,
) -> np.ndarray:
    """Gives one face's landmarks the faults of a detector.

    Args:
      landmarks: ``(n, 2)`` crop pixels, NaN where the true position is unknown.
      generator: source of all randomness.
      noise: how wrong, in pixels of a crop of 120; it grows with the crop.
      crop_size: side of the crop, pixels.

    Returns:
      ``(n, 2)`` float32 crop pixels, NaN where missed or unknown.
    """
    landmarks = np.asarray(landmarks)
    if landmarks.ndim != 2 or landmarks.shape[1] != 2:
        raise ValueError(f"landmarks are {landmarks.shape}, expected (n, 2) of one face")
    count = len(landmarks)
    # Every draw is made whatever the outcome, so that one face's options never shift the
    # random numbers of what follows it.
    ratio = crop_size / CROP_SIZE
    jitter = generator.normal(size=(count, 2)) * generator.uniform(0.0, noise.jitter_px) * ratio
    offset = generator.normal(scale=noise.offset_px, size=(1, 2)) * ratio
    wild = generator.normal(scale=noise.outlier_px, size=(count, 2)) * ratio
    is_outlier = generator.random(count) < noise.outlier_probability
    is_missed = generator.random(count) < noise.miss_probability
    failed = generator.random() < noise.failure_probability
    found = landmarks + jitter + offset + np.where(is_outlier[:, None], wild, 0.0)
    # A detector that saw only the crop cannot report a point far outside of it.
    found = np.clip(found, 0.0, crop_size - 1.0)
    found[is_missed | failed] = np.nan
    return found.astype(np.float32)

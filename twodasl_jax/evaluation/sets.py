"""What an evaluator needs to know of a set of faces."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class EvaluationSet:
    """Face crops with true landmarks.

    Attributes:
      name: in tables and file names.
      names: of the ``n`` faces.
      image: ``(n, 120, 120, 3)`` uint8 RGB crops.
      detected_landmarks: ``(n, 18, 2)`` crop pixels, NaN where no detector was run.
      roi_box: ``(n, 4)`` of each crop in its image.
      yaw_degrees: ``(n,)`` for the bins.
      labels: label set -> ``(n, 68, 2)`` image pixels; a face that lacks a label is not scored
        by that set.
      conventions: what was chosen, in words, for the report.
    """

    name: str
    names: Sequence[str]
    image: np.ndarray
    detected_landmarks: np.ndarray
    roi_box: np.ndarray
    yaw_degrees: np.ndarray
    labels: Mapping[str, np.ndarray]
    conventions: Mapping[str, str]

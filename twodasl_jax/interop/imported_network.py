"""What an importer makes of somebody's weights."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class ImportedNetwork:
    """A regressor's variables, in the layout of `models.coefficient_regressor`.

    Attributes:
      backbone: key of `coefficient_regressor.BACKBONES`.
      landmark_map: whether its input has the map as fourth channel.
      params: parameters; without ``head`` where it predicts something else than coefficients.
      batch_stats: of its normalisations.
    """

    backbone: str
    landmark_map: bool
    params: dict[str, Any]
    batch_stats: dict[str, Any]


def rgb_from_bgr(kernel: np.ndarray) -> np.ndarray:
    """A first convolution's kernel for RGB from one for BGR; further channels stay.

    The same network, to the last bit.

    Args:
      kernel: ``(k, k, in, out)``.
    """
    return np.concatenate([kernel[:, :, 2::-1], kernel[:, :, 3:]], axis=2)

"""Crops of one size as crops of another, their labels with them.

Stored crops have 120 pixels; a method may read another size (`Method.crop_size`). Positions are
continuous (`crop_frame`), so a resampled crop's points are the old ones times the ratio of sizes.
"""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from twodasl_jax.coefficient_layout import CAMERA, NUM_CAMERA, TRANSLATION_Y
from twodasl_jax.crop_frame import flip_y

LABEL_OFFSET = "label_offset_px"
"""Key of an element: how far right and down of the picture its labels lie, crop pixels; else 0."""

_LENGTHS = ("landmarks", "landmarks18", LABEL_OFFSET)


def resized_element(element: Mapping[str, Any], *, crop_size: int) -> dict[str, Any]:
    """One face of a source in a crop of another size; as it is where the size is right.

    Args:
      element: see `twodasl_jax.data.source_protocol`.
      crop_size: side of the crop, pixels.
    """
    size = element["image"].shape[0]
    if size == crop_size:
        return dict(element)
    ratio = np.float32(crop_size / size)
    resized = {name: element[name] * ratio for name in _LENGTHS if name in element}
    # Means over areas: leaving pixels out would alias.
    how = cv2.INTER_AREA if crop_size < size else cv2.INTER_LINEAR
    resized["image"] = cv2.resize(element["image"], (crop_size, crop_size), interpolation=how)
    if "coefficients" in element:
        resized["coefficients"] = resized_coefficients(
            element["coefficients"], crop_size=size, new_size=crop_size
        )
    return dict(element) | resized


def resized_coefficients(coefficients: np.ndarray, *, crop_size: int, new_size: int) -> np.ndarray:
    """The coefficients whose projection is that of others, times the ratio of the crops' sizes.

    ``V' = r·V`` but for the y flip: ``s' + 1 - V'_y = r·(s + 1 - V_y)``.

    Args:
      coefficients: ``(*batch, 62)`` raw, of crops of `crop_size` pixels.
      crop_size: s.
      new_size: s'.

    Returns:
      ``(*batch, 62)`` float32.
    """
    camera = np.asarray(coefficients[..., CAMERA], np.float64) * (new_size / crop_size)
    camera[..., TRANSLATION_Y] = flip_y(
        flip_y(coefficients[..., TRANSLATION_Y].astype(np.float64), crop_size=crop_size)
        * (new_size / crop_size),
        crop_size=new_size,
    )
    moved = [camera, coefficients[..., NUM_CAMERA:]]
    return np.concatenate(moved, axis=-1).astype(np.float32)

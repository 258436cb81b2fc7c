"""300W-LP's annotations of a face (Pose_Para, Shape_Para, Exp_Para) to the 62 coefficients."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Float

from twodasl_jax.coefficients import NUM_EXPRESSION, NUM_SHAPE, Coefficients, join_coefficients
from twodasl_jax.crop_frame import flip_y
from twodasl_jax.geometry.camera import camera_from_pose_para


def coefficients_from_annotation(
    pose_para: npt.ArrayLike,
    shape_para: npt.ArrayLike,
    expression_para: npt.ArrayLike,
    roi_box: npt.ArrayLike,
    image_height: npt.ArrayLike,
) -> np.ndarray:
    """300W-LP / AFLW2000-3D annotations to the 62 coefficients of a crop (method.md section 2).

    Compiled once per number of faces: one face at a time costs a tenth of a millisecond.

    Args:
      pose_para: ``(n, 7)`` ``[pitch, yaw, roll, tx, ty, tz, f]``.
      shape_para: ``(n, 199)`` or as many; the first 40 are kept.
      expression_para: ``(n, 29)`` or as many; the first 10 are kept.
      roi_box: ``(n, 4)``. An oblong box (clipped to the image) makes the camera's rows unequal:
        y is scaled by the box's height, x by its width, depth by their mean.
      image_height: ``(n,)`` pixels.

    Returns:
      ``(n, 62)`` float32, raw.

    Raises:
      ValueError: for fewer than 40 shape or 10 expression parameters.
    """
    shape = np.asarray(shape_para, np.float32)[:, :NUM_SHAPE]
    expression = np.asarray(expression_para, np.float32)[:, :NUM_EXPRESSION]
    if shape.shape[1] != NUM_SHAPE or expression.shape[1] != NUM_EXPRESSION:
        raise ValueError(
            f"the parameters are {np.shape(shape_para)} and {np.shape(expression_para)}; expected "
            f"at least {NUM_SHAPE} of shape and {NUM_EXPRESSION} of expression per face"
        )
    arrays = (np.asarray(array, np.float32) for array in (pose_para, roi_box, image_height))
    return np.asarray(_coefficients(*arrays, shape, expression))


def coefficients_of_face(fields: Mapping[str, Any]) -> np.ndarray:
    """``(62,)`` coefficients of one face read by `twodasl_jax.data.original`."""
    names = ("pose_para", "shape_para", "exp_para", "roi_box", "image_height")
    return coefficients_from_annotation(*(np.asarray(fields[name])[None] for name in names))[0]


@jax.jit
def _coefficients(
    pose_para: Float[Array, "n 7"],
    roi_box: Float[Array, "n 4"],
    image_height: Float[Array, " n"],
    shape: Float[Array, "n 40"],
    expression: Float[Array, "n 10"],
) -> Float[Array, "n 62"]:
    # The camera of the square crop of the box's width, then its rows as an oblong box has them.
    square = camera_from_pose_para(pose_para, roi_box, image_height)
    x_row, y_row, z_row = (square[:, row] for row in range(3))
    width, height = roi_box[:, 2] - roi_box[:, 0], roi_box[:, 3] - roi_box[:, 1]
    oblong = (width / height)[:, None]
    y_row = jnp.concatenate([y_row[:, :3] * oblong, flip_y(flip_y(y_row[:, 3:]) * oblong)], axis=1)
    z_row = z_row * (2 * width / (width + height))[:, None]
    camera = jnp.stack([x_row, y_row, z_row], axis=1)
    return join_coefficients(Coefficients(camera, shape, expression))

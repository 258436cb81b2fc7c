"""The landmark sets of the field, as index tables and as pure functions.

- 68: iBUG-68, vertices of the face model.
- 18: the points that AFLW-21 and iBUG-68 share; 2DASL's landmark map and 2D losses use them.
- 21: AFLW's order.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.face_model.linear import LinearModel, vertices_from_coefficients
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.geometry.camera import project_to_crop
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_68


def landmark_model(face_model: FaceModel) -> LinearModel:
    """The face model's shape space at its 68 landmark vertices alone: cheap to decode."""
    return LinearModel(*(array[..., face_model.landmark_vertices] for array in face_model.linear))


def landmarks_from_coefficients(
    landmark_model: LinearModel,
    coefficients: Float[Array, "*batch 62"],
    *,
    crop_size: int = CROP_SIZE,
) -> Float[Array, "*batch 68 3"]:
    """The 3D landmarks ``H(q)``, carried to the crop frame.

    Args:
      landmark_model: from the function of this name.
      coefficients: raw, not whitened.
      crop_size: side of the crop that they are of, pixels.

    Returns:
      x right, y down, z towards the viewer; crop pixels.
    """
    parts = split_coefficients(coefficients)
    points = vertices_from_coefficients(landmark_model, parts.shape, parts.expression)
    return jnp.swapaxes(project_to_crop(parts.camera, points, crop_size=crop_size), -1, -2)


def landmarks18_from_68(landmarks: Float[Array, "*batch 68 d"]) -> Float[Array, "*batch 18 d"]:
    """The 18 shared landmarks; eye and mouth centres are means of two points."""
    pairs = jnp.asarray(LANDMARKS_18_FROM_68)
    return 0.5 * (landmarks[..., pairs[:, 0], :] + landmarks[..., pairs[:, 1], :])

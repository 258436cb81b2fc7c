"""Faces as cameras and codes, and the points that come of them: a batch at a time, on all devices.

A method's predictions and a face model's coefficients are both decoded here, and nowhere else in
evaluation.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from twodasl_jax.coefficient_layout import CODE_LAYOUT, NUM_CAMERA, NUM_COEFFICIENTS
from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.crop_frame import CROP_SIZE, crop_to_image, depth_to_image
from twodasl_jax.face_model.landmarks import landmark_model
from twodasl_jax.face_model.linear import LinearModel, vertices_from_coefficients
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.geometry.camera import project_to_crop
from twodasl_jax.methods.predictor import padded_rows
from twodasl_jax.training.parallel import over_local_devices

FACES_PER_BATCH = 16
"""Of dense meshes, some 10 MB then; the landmarks of as many take no time."""

Decode = Callable[[Any, Float[Array, "b 3 4"], Float[Array, "b k"]], Float[Array, "b 3 n"]]
"""Constants, cameras and codes to model points; pure."""


@dataclasses.dataclass(frozen=True)
class CodedFaces:
    """Faces of one system.

    Attributes:
      camera: ``(n, 3, 4)`` model points to the view frame of the crop at `roi_box`.
      code: ``(n, k)``.
      roi_box: ``(n, 4)`` image pixels.
      face_model: whose vertices the decoded points are.
      decode: gives all vertices.
      constants: its first argument, a pytree of arrays.
      code_layout: parts of the code, by name.
      crop_size: side of the crops, pixels.
    """

    camera: np.ndarray
    code: np.ndarray
    roi_box: np.ndarray
    face_model: FaceModel
    decode: Decode
    constants: Any
    code_layout: Mapping[str, slice]
    crop_size: int

    @property
    def coefficients(self) -> np.ndarray | None:
        """``(n, 62)`` raw, where the code is the face model's own; else None."""
        if self.code_layout != CODE_LAYOUT:
            return None
        return np.concatenate([self.camera.reshape(len(self.camera), -1), self.code], axis=1)

    def vertices(
        self, rows: np.ndarray, indices: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Some faces' vertices, batch by batch: meshes of all would not fit into memory.

        Args:
          rows: of the faces.
          indices: ``(m,)`` of the vertices; None is all.

        Yields:
          Rows ``(b,)`` and their vertices ``(b, m, 3)`` in image pixels, float32.
        """
        chosen = None if indices is None else jnp.asarray(indices)
        shared = (self.constants, chosen)
        for start in range(0, len(rows), FACES_PER_BATCH):
            batch = rows[start : start + FACES_PER_BATCH]
            padded = batch[padded_rows(len(batch), (FACES_PER_BATCH,))]
            arrays = (
                np.asarray(array[padded], np.float32)
                for array in (self.camera, self.code, self.roi_box)
            )
            points = _compiled(self.decode, self.crop_size)(*shared, *arrays)
            yield batch, np.asarray(points)[: len(batch)]


@functools.cache
def _compiled(decode: Decode, crop_size: int) -> Callable[..., Array]:
    """One program for all faces of a system, whatever is measured on them."""

    def vertices_in_image(
        constants: Any,
        indices: Array | None,
        camera: Float[Array, "b 3 4"],
        code: Float[Array, "b k"],
        roi_box: Float[Array, "b 4"],
    ) -> Float[Array, "b m 3"]:
        points = decode(constants, camera, code)
        if indices is not None:
            points = points[..., indices]
        crop = jnp.swapaxes(project_to_crop(camera, points, crop_size=crop_size), -1, -2)
        depth = depth_to_image(crop[..., 2], roi_box, crop_size=crop_size)
        flat = crop_to_image(crop[..., :2], roi_box, crop_size=crop_size)
        return jnp.concatenate([flat, depth[..., None]], axis=-1)

    return over_local_devices(vertices_in_image, num_shared=2)


def faces_from_coefficients(
    face_model: FaceModel, coefficients: np.ndarray, roi_box: np.ndarray
) -> CodedFaces:
    """Faces that a face model's own bases decode.

    Args:
      face_model: of the coefficients.
      coefficients: ``(n, 62)`` raw, of 120 x 120 crops.
      roi_box: ``(n, 4)`` of the crops, image pixels.

    Raises:
      ValueError: for another number of coefficients.
    """
    if coefficients.ndim != 2 or coefficients.shape[1] != NUM_COEFFICIENTS:
        raise ValueError(
            f"the coefficients are {coefficients.shape}; expected (n, {NUM_COEFFICIENTS})"
        )
    return CodedFaces(
        camera=coefficients[:, :NUM_CAMERA].reshape(-1, 3, 4),
        code=coefficients[:, NUM_CAMERA:],
        roi_box=roi_box,
        face_model=face_model,
        decode=_linear_vertices,
        constants=face_model.linear,
        code_layout=CODE_LAYOUT,
        crop_size=CROP_SIZE,
    )


def _linear_vertices(
    linear: LinearModel, camera: Float[Array, "b 3 4"], code: Float[Array, "b 50"]
) -> Float[Array, "b 3 n"]:
    coefficients = jnp.concatenate([camera.reshape(-1, NUM_CAMERA), code], axis=1)
    parts = split_coefficients(coefficients)
    return vertices_from_coefficients(linear, parts.shape, parts.expression)


def landmarks_from_face_model(faces: CodedFaces) -> np.ndarray:
    """``(n, 68, 3)`` float64 image pixels, of `faces_from_coefficients`."""
    whole_crop = np.tile([0.0, 0.0, faces.crop_size, faces.crop_size], (len(faces.code), 1))
    in_crop = dataclasses.replace(
        faces, constants=landmark_model(faces.face_model), roi_box=whole_crop
    )
    landmarks = [points for _, points in in_crop.vertices(np.arange(len(faces.code)))]
    return landmarks_in_image(np.concatenate(landmarks), faces.roi_box, crop_size=faces.crop_size)


def landmarks_in_image(landmarks: np.ndarray, roi_box: np.ndarray, *, crop_size: int) -> np.ndarray:
    """Carries landmarks from crops to their images, in float64.

    Args:
      landmarks: ``(n, 68, 3)`` crop pixels, x right, y down, z towards the viewer.
      roi_box: ``(n, 4)`` image pixels.
      crop_size: side of the crops, pixels.

    Returns:
      ``(n, 68, 3)`` image pixels; depth is scaled by the box's mean scale.
    """
    points, box = np.asarray(landmarks, np.float64), np.asarray(roi_box, np.float64)
    depth = depth_to_image(points[..., 2], box, crop_size=crop_size)
    flat = crop_to_image(points[..., :2], box, crop_size=crop_size)
    return np.concatenate([flat, depth[..., None]], axis=-1)

"""Faces of known coefficients, as a method with a linear face model predicts them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from twodasl_jax.coefficient_layout import CODE_LAYOUT, WEIGHTS
from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.face_model.linear import vertices_from_coefficients
from twodasl_jax.methods.method import CodeStatistics, Faces
from twodasl_jax.predict.faces.reconstruct import carry_to_image, crop_faces
from twodasl_jax.predict.faces.recrop import reconstruct_each, tell_lost

UNIT = CodeStatistics(np.zeros(50), np.ones(50), CODE_LAYOUT)
"""Variance 1, as the coefficients of the made-up models have."""


def decode_crops(face_model, coefficients, *, crop_size=120):
    """``(b, 62)`` raw to `CropFaces` of numpy arrays."""
    coefficients = jnp.asarray(coefficients, jnp.float32)
    return jax.device_get(_decode_crops(face_model, coefficients, crop_size))


@jax.jit(static_argnums=2)
def _decode_crops(face_model, coefficients, crop_size):
    parts = split_coefficients(coefficients)
    points = vertices_from_coefficients(face_model.linear, parts.shape, parts.expression)
    code = coefficients[:, WEIGHTS]
    return crop_faces(Faces(parts.camera, points, code), crop_size=crop_size)


def decoder(face_model):
    """Cameras and codes to faces, as `FaceReconstructor.decode`."""

    def decode(camera, code):
        camera = np.asarray(camera, np.float32)
        flat = np.concatenate([camera.reshape(len(camera), 12), code], axis=1)
        return decode_crops(face_model, flat).faces

    return decode


def reconstruction_from_coefficients(
    face_model, coefficients, roi_box, *, crop=None, box=None, score=None, **changes
):
    """One face of ``(62,)`` coefficients at a crop's box; the crop is black where None."""
    crop = np.zeros((120, 120, 3), np.uint8) if crop is None else crop
    face = carry_to_image(
        decode_crops(face_model, np.asarray(coefficients)[None], crop_size=len(crop)),
        0,
        roi_box,
        face_model=face_model,
        crop=crop,
        box=roi_box if box is None else box,
        score=score,
    )
    return dataclasses.replace(face, **changes)


def reconstruct_detected(image, found, network, face_model, *, num_refinements):
    """Detected faces as they are, no other way up, less those that were lost."""
    faces = reconstruct_each(image, found, network, face_model, num_refinements=num_refinements)
    for face, start in zip(faces, found, strict=True):
        if face is None:
            tell_lost(start, image.shape)
    return [face for face in faces if face is not None]

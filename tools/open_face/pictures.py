"""Pictures of a face model: its landmarks from five sides, and random people.

python -m tools.open_face.pictures --output=docs/pictures
"""

import argparse
from pathlib import Path

import cv2
import jax.numpy as jnp
import numpy as np
from PIL import Image

from twodasl_jax.coefficients import Coefficients, join_coefficients
from twodasl_jax.crop_frame import CROP_SIZE, flip_y
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.model import OPEN_FACE_FILE, FaceModel, load_face_model
from twodasl_jax.geometry.rotation import rotation_from_euler
from twodasl_jax.rendering.face_renderer import render_faces
from twodasl_jax.rendering.rasterizer import default_capacity
from twodasl_jax.standard_streams import make_standard_streams_safe

YAWS = (-60.0, -30.0, 0.0, 30.0, 60.0)
SCALE = 0.62
"""Crop pixels per millimetre."""


def posed(
    face_model: FaceModel, yaws: np.ndarray, shape: np.ndarray, expression: np.ndarray
) -> np.ndarray:
    """``(b, 62)`` coefficients of faces in the middle of the crop, turned by ``yaws`` degrees."""
    count = len(yaws)
    zero = jnp.zeros(count)
    rotation = rotation_from_euler(zero, jnp.deg2rad(jnp.asarray(yaws)), zero)
    scaled = SCALE / face_model.units_per_millimetre * rotation
    centre = face_model.linear.mean.mean(axis=1)
    middle = jnp.array([CROP_SIZE / 2, flip_y(CROP_SIZE / 2), 0.0])
    camera = jnp.concatenate([scaled, (middle - scaled @ centre)[..., None]], axis=-1)
    return np.asarray(
        join_coefficients(Coefficients(camera, jnp.asarray(shape), jnp.asarray(expression)))
    )


def draw(
    face_model: FaceModel, coefficients: np.ndarray, albedo: np.ndarray, *, size: int
) -> np.ndarray:
    """``(b, size, size, 3)`` uint8 under one soft light."""
    light = np.zeros((9, 3), np.float32)
    light[0], light[1], light[2], light[3] = 2.4, 0.35, 0.75, -0.25
    count = len(coefficients)
    capacity = 2 * default_capacity(2 * size, 2 * size, len(face_model.triangles))
    render = render_faces(
        face_model,
        jnp.asarray(coefficients, jnp.float32),
        jnp.asarray(albedo, jnp.float32),
        jnp.broadcast_to(jnp.asarray(light), (count, 9, 3)),
        jnp.full((count, size, size, 3), 0.93),
        capacity=capacity,
        supersample=2,
    )
    if int(render.overflow.max()):
        raise ValueError(f"a capacity of {capacity} candidates was too small for this mesh")
    return (np.asarray(render.image) * 255 + 0.5).astype(np.uint8)


def landmark_sheet(face_model: FaceModel, *, size: int = 480) -> np.ndarray:
    """The mean face at five yaws, its 68 landmarks numbered."""
    yaws = np.array(YAWS, np.float32)
    none = np.zeros((len(yaws), 40), np.float32), np.zeros((len(yaws), 10), np.float32)
    coefficients = posed(face_model, yaws, *none)
    pictures = draw(
        face_model, coefficients, np.zeros((len(yaws), _num_albedo(face_model))), size=size
    )
    points = landmarks_from_coefficients(landmark_model(face_model), jnp.asarray(coefficients))
    for picture, landmarks in zip(pictures, np.asarray(points) * size / CROP_SIZE, strict=True):
        for number, (x, y, _) in enumerate(landmarks):
            cv2.circle(picture, (round(x), round(y)), 2, (0, 110, 60), -1, cv2.LINE_AA)
            place = (round(x) + 3, round(y) - 2)
            cv2.putText(picture, str(number), place, 0, 0.28, (20, 20, 120), 1, cv2.LINE_AA)
    return np.concatenate(list(pictures), axis=1)


def sample_sheet(
    face_model: FaceModel, *, people: int = 18, size: int = 150, seed: int = 0
) -> np.ndarray:
    """Random people (unit-variance coefficients), each from the front and from both sides."""
    generator = np.random.default_rng(seed)
    shape = np.repeat(generator.normal(size=(people, 40)), 3, axis=0)
    expression = np.repeat(generator.normal(size=(people, 10)), 3, axis=0)
    albedo = np.repeat(generator.normal(size=(people, _num_albedo(face_model))), 3, axis=0)
    yaws = np.tile([-50.0, 0.0, 50.0], people)
    pictures = draw(face_model, posed(face_model, yaws, shape, expression), albedo, size=size)
    per_row = 9
    rows = [
        np.concatenate(list(pictures[start : start + per_row]), axis=1)
        for start in range(0, len(pictures), per_row)
    ]
    return np.concatenate(rows)


def _num_albedo(face_model: FaceModel) -> int:
    if face_model.albedo_basis is None:
        raise ValueError(f"face model '{face_model.name}' has no albedo to draw it with")
    return len(face_model.albedo_basis)


def main() -> None:
    """Writes both sheets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=OPEN_FACE_FILE, help="a face model .npz")
    parser.add_argument("--output", type=Path, required=True, help="folder of the pictures")
    given = parser.parse_args()
    face_model = load_face_model(given.model)
    given.output.mkdir(parents=True, exist_ok=True)
    for name, sheet in (("landmarks", landmark_sheet), ("samples", sample_sheet)):
        path = given.output / f"{face_model.name}_{name}.png"
        Image.fromarray(sheet(face_model)).quantize(128).save(path, optimize=True)
        print(path)


if __name__ == "__main__":
    make_standard_streams_safe()
    main()

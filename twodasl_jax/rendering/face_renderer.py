"""From coefficients to pictures of faces, for training data and for overlays."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.crop_frame import CROP_SIZE, flip_y
from twodasl_jax.face_model.linear import vertices_from_coefficients
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.geometry.camera import project_to_crop
from twodasl_jax.geometry.mesh import vertex_normals
from twodasl_jax.rendering.render import Batching, map_over_batch, render_face
from twodasl_jax.rendering.shading import shade_spherical_harmonics


def albedo_from_coefficients(
    face_model: FaceModel, albedo_coefficients: Float[Array, "*batch k"]
) -> Float[Array, "*batch 3 n"]:
    """``albedo_mean + albedo_basis·coefficients``, RGB clipped to [0, 1].

    Raises:
      ValueError: where the face model has no albedo.
    """
    if face_model.albedo_mean is None or face_model.albedo_basis is None:
        raise ValueError(
            f"face model '{face_model.name}' has no albedo, so its faces have no colour; "
            "set albedo_mean (3, n) and albedo_basis (k, 3, n) with dataclasses.replace"
        )
    basis = face_model.albedo_basis
    offsets = albedo_coefficients @ basis.reshape(basis.shape[0], -1)
    offsets = offsets.reshape(*albedo_coefficients.shape[:-1], *basis.shape[1:])
    mean = jnp.broadcast_to(face_model.albedo_mean, offsets.shape)
    return jnp.clip(mean + offsets, 0.0, 1.0)


@partial(jax.jit, static_argnames=("capacity", "supersample", "batching"))
def render_faces(
    face_model: FaceModel,
    coefficients: Float[Array, "b 62"],
    albedo_coefficients: Float[Array, "b k"],
    lighting: Float[Array, "b 9 3"],
    background: Float[Array, "b size size 3"],
    *,
    capacity: int,
    supersample: int = 1,
    batching: Batching = "map",
) -> tuple[Float[Array, "b size size 3"], Int[Array, " b"]]:
    """Renders faces in the 120x120 crop: decode, project, light, draw over the background.

    Args:
      face_model: with an albedo.
      coefficients: raw, not whitened.
      albedo_coefficients: of the face model's albedo basis.
      lighting: spherical harmonics in the view frame (y up), see `shade_spherical_harmonics`.
      background: RGB in [0, 1]. A size other than 120 draws the same crop at another
        resolution.
      capacity: of the rasteriser, see `default_capacity` (for ``supersample·size`` pixels).
      supersample: 2 smooths the outline, see `render_face`.
      batching: see `map_over_batch`.

    Returns:
      ``(image, overflow)``: RGB in [0, 1], and per image the candidates beyond the capacity;
      an image whose overflow is not 0 is incomplete (see `render_with_enough_capacity`).

    Raises:
      ValueError: where the face model has no albedo.
    """
    parts = split_coefficients(coefficients)
    points = vertices_from_coefficients(face_model.linear, parts.shape, parts.expression)
    albedo = albedo_from_coefficients(face_model, albedo_coefficients)
    size = background.shape[1]

    def draw(camera: Array, points: Array, albedo: Array, lighting: Array, background: Array):
        vertices = project_to_crop(camera, points)
        # Lit where y points up, as the winding and the lighting's frame ask.
        view = vertices.at[1].set(flip_y(vertices[1]))
        normals = vertex_normals(view, face_model.triangles)
        colours = shade_spherical_harmonics(normals, albedo, lighting)
        render = render_face(
            _resized(vertices, size),
            face_model.triangles,
            colours,
            background,
            capacity=capacity,
            supersample=supersample,
        )
        return render.image, render.overflow

    return map_over_batch(draw, batching)(parts.camera, points, albedo, lighting, background)


def _resized(vertices: Float[Array, "3 n"], size: int) -> Float[Array, "3 n"]:
    """Crop pixels to those of a ``size`` x ``size`` picture of the same crop.

    ``X = x·size/120``, the same map as from the crop to its image (`crop_to_image`).
    """
    return vertices * (size / CROP_SIZE)

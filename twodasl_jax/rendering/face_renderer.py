"""From points, camera and colours to pictures of faces; and from coefficients to those."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.crop_frame import CROP_SIZE, flip_y
from twodasl_jax.face_model.linear import vertices_from_coefficients
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.geometry.camera import project_to_crop
from twodasl_jax.geometry.mesh import vertex_normals
from twodasl_jax.rendering.render import Batching, Render, map_over_batch, render_face
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


def render_points(
    camera: Float[Array, "b 3 4"],
    points: Float[Array, "b 3 n"],
    triangles: Int[Array, "t 3"],
    albedo: Float[Array, "b 3 n"],
    lighting: Float[Array, "b 9 3"],
    background: Float[Array, "b size size 3"],
    *,
    capacity: int,
    crop_size: int = CROP_SIZE,
    supersample: int = 1,
    batching: Batching = "map",
) -> Render:
    """Renders lit points, whatever they were decoded from: project, light, draw over a background.

    Args:
      camera: ``[M | t]``, model points to the view frame, pixels of a crop of `crop_size`.
      points: before the camera, planar.
      triangles: of the points.
      albedo: RGB in [0, 1] of the points, planar.
      lighting: spherical harmonics in the view frame (y up), see `shade_spherical_harmonics`.
      background: RGB in [0, 1]. Of another size than the crop, it shows the same crop at another
        resolution.
      capacity: of the rasteriser, see `default_capacity` (for ``supersample·size`` pixels).
      crop_size: side of the crop, pixels.
      supersample: 2 smooths the outline, see `render_face`.
      batching: see `map_over_batch`.

    Returns:
      A `Render` of the batch; an image whose overflow is not 0 is incomplete (see
      `render_with_enough_capacity`).
    """
    size = background.shape[1]

    def draw(
        camera: Array, points: Array, albedo: Array, lighting: Array, background: Array
    ) -> Render:
        vertices = project_to_crop(camera, points, crop_size=crop_size)
        # Lit where y points up, as the winding and the lighting's frame ask.
        view = vertices.at[1].set(flip_y(vertices[1], crop_size=crop_size))
        normals = vertex_normals(view, triangles)
        colours = shade_spherical_harmonics(normals, albedo, lighting)
        # X = x·size/crop_size, the same map as from the crop to its image (`crop_to_image`).
        return render_face(
            vertices * (size / crop_size),
            triangles,
            colours,
            background,
            capacity=capacity,
            supersample=supersample,
        )

    return map_over_batch(draw, batching)(camera, points, albedo, lighting, background)


def render_coefficients(
    face_model: FaceModel,
    coefficients: Float[Array, "b 62"],
    albedo_coefficients: Float[Array, "b k"],
    lighting: Float[Array, "b 9 3"],
    background: Float[Array, "b size size 3"],
    *,
    capacity: int,
    crop_size: int = CROP_SIZE,
    supersample: int = 1,
    batching: Batching = "map",
) -> Render:
    """Renders a linear model's faces: `render_points` of what coefficients decode to.

    Args:
      face_model: with an albedo.
      coefficients: raw, not whitened.
      albedo_coefficients: of the face model's albedo basis.
      lighting: as the rest, of `render_points`.
      background: see there.
      capacity: see there.
      crop_size: see there; the coefficients are of it.
      supersample: see there.
      batching: see there.

    Raises:
      ValueError: where the face model has no albedo.
    """
    parts = split_coefficients(coefficients)
    return render_points(
        parts.camera,
        vertices_from_coefficients(face_model.linear, parts.shape, parts.expression),
        face_model.triangles,
        albedo_from_coefficients(face_model, albedo_coefficients),
        lighting,
        background,
        capacity=capacity,
        crop_size=crop_size,
        supersample=supersample,
        batching=batching,
    )


render_faces = jax.jit(
    render_coefficients,
    static_argnames=("capacity", "crop_size", "supersample", "batching"),
)
"""`render_coefficients`, compiled, on one device."""

"""Normals of triangle meshes, safe where a triangle or a vertex has none."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

# Squared length below which a normal is no direction; the square root of float32's smallest.
_SMALLEST_SQUARE = 1e-30


def _unit(vectors: Float[Array, "*batch 3 n"]) -> Float[Array, "*batch 3 n"]:
    square = jnp.square(vectors).sum(axis=-2, keepdims=True)
    usable = square > _SMALLEST_SQUARE
    # Guarded before the root: its gradient at 0 is infinite, and a later where keeps the NaN.
    length = jnp.sqrt(jnp.where(usable, square, 1.0))
    return jnp.where(usable, vectors / length, 0.0)


def _scaled_triangle_normals(
    vertices: Float[Array, "*batch 3 n"], triangles: Int[Array, "t 3"]
) -> Float[Array, "*batch 3 t"]:
    """Normals whose length is twice the triangle's area."""
    first, second, third = (vertices[..., triangles[:, corner]] for corner in range(3))
    one, other = second - first, third - first
    x, y, z = (one[..., i, :] for i in range(3))
    u, v, w = (other[..., i, :] for i in range(3))
    return jnp.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=-2)


def vertex_normals(
    vertices: Float[Array, "*batch 3 n"], triangles: Int[Array, "t 3"]
) -> Float[Array, "*batch 3 n"]:
    """Unit normals of the vertices: the area-weighted mean of their triangles' normals.

    They point to the side from which the corners are seen counter-clockwise in a right-handed
    frame (x right, y **up**, z towards the viewer). In the crop frame, whose y points down,
    they come out inverted: flip y first (`twodasl_jax.crop_frame.flip_y`).

    Args:
      vertices: planar.
      triangles: vertex numbers.

    Returns:
      Unit vectors, planar; 0 for a vertex without triangles, or with degenerate ones only.
    """
    # Summed as rows of three numbers: on CPUs nearly twice as fast as along the planes.
    normals = jnp.swapaxes(_scaled_triangle_normals(vertices, triangles), -1, -2)
    total = jnp.zeros_like(jnp.swapaxes(vertices, -1, -2))
    for corner in range(3):
        total = total.at[..., triangles[:, corner], :].add(normals)
    return _unit(jnp.swapaxes(total, -1, -2))

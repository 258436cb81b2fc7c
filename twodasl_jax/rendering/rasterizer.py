"""An exact z-buffer as a pure function of static shapes.

*Expand*: each triangle covers a small box of pixels; the pairs (triangle, pixel of its box)
make one flat list of candidates (`twodasl_jax.rendering.candidates`) of at most *capacity*
entries. Chunk by chunk every candidate is tested at its pixel's centre; a scatter-max of depth
and a scatter-min of the triangle number, where the depth equals that maximum, settle who is
seen. docs/architecture.md says what was tried to make it fast.

Conventions:

- Crop frame: x right, y down, z **towards the viewer** (larger is nearer), pixels. The centre
  of the pixel in row r and column c is the point ``(x, y) = (c, r)``.
- A pixel is covered when its centre is inside a triangle or exactly on its edge. Of equal
  depths the lower triangle number wins.
- Both sides of a triangle are drawn unless `cull_back_faces`. A face model is an open sheet,
  not a solid: past about 60 degrees of yaw its far cheek is seen from behind, and without its
  back faces the head's silhouette would have holes.
- Which triangle a pixel sees carries no gradient; where in that triangle it lies does, so
  `interpolate` is differentiable in vertices and attributes (not across silhouettes).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from twodasl_jax.rendering.candidates import (
    CHUNK,
    OVERFLOW_LIMIT,
    CandidateList,
    PixelBoxes,
    candidates_of_chunk,
    edge_functions,
    list_candidates,
    pixel_boxes,
)

MAX_PIXELS = 2**22
"""Above this many pixels the exact float division of the candidates would no longer be exact."""


class Rasterization(NamedTuple):
    """What is seen at each pixel.

    Attributes:
      triangle_ids: ``(height, width)`` int32, -1 where the background is seen.
      depth: ``(height, width)`` z of the seen surface, ``-inf`` on the background. No gradient.
      overflow: ``()`` int32, candidates beyond the capacity. Where it is not 0 the picture is
        incomplete and must not be used.
    """

    triangle_ids: Int[Array, "*batch height width"]
    depth: Float[Array, "*batch height width"]
    overflow: Int[Array, "*batch"]


def rasterize(
    vertices: Float[Array, "3 n"],
    triangles: Int[Array, "t 3"],
    *,
    height: int,
    width: int,
    capacity: int,
    cull_back_faces: bool = False,
) -> Rasterization:
    """Finds the triangle seen at each pixel.

    Triangles that cover no pixel centre (off-screen, thinner than a pixel, degenerate, with a
    vertex that is not finite) cost no capacity.

    Args:
      vertices: planar crop-frame points: x right, y down, z towards the viewer, pixels.
      triangles: counter-clockwise seen from outside in the *model's* frame (y up), which is
        clockwise in the crop frame's numbers (y down).
      height: rows of the picture.
      width: columns of the picture.
      capacity: length of the candidate list, see `default_capacity`.
      cull_back_faces: leaves out triangles that look away from the viewer; cheaper, and right
        for closed surfaces.

    Returns:
      A `Rasterization`; its `overflow` must be 0 for the picture to be complete.

    Raises:
      ValueError: for an empty picture, one above `MAX_PIXELS`, or a capacity below 1.
    """
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise ValueError(
            f"cannot rasterise {height} x {width} pixels: expected at least 1 x 1 and at most "
            f"{MAX_PIXELS} in all; render in tiles"
        )
    if not 1 <= capacity < OVERFLOW_LIMIT:
        raise ValueError(
            f"capacity is {capacity}, expected 1..{OVERFLOW_LIMIT - 1}; see default_capacity"
        )
    vertices = jax.lax.stop_gradient(vertices)
    # Corners in the order of their vertex numbers, so that two triangles evaluate a shared
    # edge by the same sum and no pixel can fall between them.
    # One row of nine numbers per triangle: gathering rows is what CPUs do fastest.
    corners = vertices.T[_sorted_corners(triangles)]
    drawn = jnp.isfinite(corners.sum((1, 2)))
    if cull_back_faces:
        drawn &= _faces_viewer(vertices, triangles)
    boxes = pixel_boxes(corners, drawn, height=height, width=width)
    chunk = min(CHUNK, capacity)
    candidates = list_candidates(boxes, capacity=capacity, chunk=chunk)
    ids, nearest = _nearest(corners, boxes, candidates, height * width, width, chunk)
    return Rasterization(
        ids.reshape(height, width), nearest.reshape(height, width), candidates.overflow
    )


def _nearest(
    corners: Float[Array, "t 3 3"],
    boxes: PixelBoxes,
    candidates: CandidateList,
    num_pixels: int,
    width: int,
    chunk: int,
) -> tuple[Int[Array, " pixels"], Float[Array, " pixels"]]:
    """Triangle number and depth of the nearest candidate at each pixel."""
    none = jnp.int32(corners.shape[0])

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        first, previous, ids, nearest = state
        triangle, row, column, is_real = candidates_of_chunk(
            boxes, candidates, first, previous, chunk=chunk
        )
        covered, depth = _test_candidates(corners[triangle], row, column)
        pixel = (row * width + column).astype(jnp.int32)
        pixel = jnp.where(is_real & covered, pixel, num_pixels)
        # Without the barrier the compiler may compute the depth twice and round it differently.
        pixel, depth = jax.lax.optimization_barrier((pixel, depth))
        nearer = nearest.at[pixel].max(depth)
        seen = jnp.where(depth == nearer[pixel], pixel, num_pixels)
        ids = jnp.where(nearer > nearest, none, ids).at[seen].min(triangle)
        return first + chunk, triangle[-1], ids, nearer

    # One cell more than pixels: what covers nothing is written there.
    zero = jnp.zeros((), jnp.int32)
    ids = jnp.full(num_pixels + 1, none, jnp.int32)
    nearest = jnp.full(num_pixels + 1, -jnp.inf, corners.dtype)
    _, _, ids, nearest = jax.lax.while_loop(
        lambda state: state[0] < candidates.total, step, (zero, zero, ids, nearest)
    )
    ids = ids[:-1]
    return jnp.where(ids == none, -1, ids), nearest[:-1]


def _test_candidates(
    corners: Float[Array, "p 3 3"], row: Float[Array, " p"], column: Float[Array, " p"]
) -> tuple[Bool[Array, " p"], Float[Array, " p"]]:
    """Whether the pixel's centre is in the triangle, and the triangle's depth there."""
    x, y, z = ([corners[:, corner, axis] for corner in range(3)] for axis in range(3))
    low, middle, high = edge_functions(
        [corner - column for corner in x], [corner - row for corner in y]
    )
    area = low + middle + high
    inside = ((low >= 0) & (middle >= 0) & (high >= 0)) | ((low <= 0) & (middle <= 0) & (high <= 0))
    covered = inside & (area != 0)
    weighted = low * z[0] + middle * z[1] + high * z[2]
    return covered, jnp.where(covered, weighted / jnp.where(area == 0, 1, area), -jnp.inf)


def _sorted_corners(triangles: Int[Array, "t 3"]) -> Int[Array, "t 3"]:
    # Neither a sort nor reductions: XLA takes seconds to fold them when the triangles are
    # constants.
    first, second, third = (triangles[:, corner] for corner in range(3))
    low = jnp.minimum(jnp.minimum(first, second), third)
    high = jnp.maximum(jnp.maximum(first, second), third)
    return jnp.stack([low, first + second + third - low - high, high], axis=1)


def _faces_viewer(vertices: Float[Array, "3 n"], triangles: Int[Array, "t 3"]) -> Bool[Array, " t"]:
    corners = vertices[:2, triangles]
    first, second = corners[..., 1] - corners[..., 0], corners[..., 2] - corners[..., 0]
    # Negative: counter-clockwise with y up is clockwise with y down.
    return first[0] * second[1] - first[1] * second[0] < 0


def _corner_rows(
    values: Float[Array, "k n"],
    triangles: Int[Array, "t 3"],
    triangle_ids: Int[Array, "height width"],
) -> list[Float[Array, "pixels k"]]:
    """Vertex values at the three corners of each pixel's triangle; any where there is none."""
    corner_ids = triangles[jnp.maximum(triangle_ids.ravel(), 0)]
    rows = values.T
    return [rows[corner_ids[:, corner]] for corner in range(3)]


def _weights(
    corners: list[Float[Array, "pixels k"]], triangle_ids: Int[Array, "height width"]
) -> list[Float[Array, " pixels"]]:
    """Barycentric coordinates of the pixels, from rows that begin with x and y."""
    height, width = triangle_ids.shape
    dtype = corners[0].dtype
    row = jnp.repeat(jnp.arange(height, dtype=dtype), width)
    column = jnp.tile(jnp.arange(width, dtype=dtype), height)
    edges = edge_functions(
        [corner[:, 0] - column for corner in corners], [corner[:, 1] - row for corner in corners]
    )
    area = edges[0] + edges[1] + edges[2]
    usable = (triangle_ids.ravel() >= 0) & (area != 0)
    # Guarded before the division: a where after it would still send NaN backwards.
    area = jnp.where(usable, area, 1.0)
    return [jnp.where(usable, edge / area, 0.0) for edge in edges]


def interpolate(
    attributes: Float[Array, "k n"],
    raster: Rasterization,
    vertices: Float[Array, "3 n"],
    triangles: Int[Array, "t 3"],
) -> Float[Array, "k height width"]:
    """Vertex attributes at the surface point seen at each pixel, 0 on the background.

    Differentiable in `attributes` and `vertices`.
    """
    triangle_ids = jax.lax.stop_gradient(raster.triangle_ids)
    # Coordinates and attributes in one row per vertex: one gather for both.
    values = jnp.concatenate([vertices[:2], attributes])
    corners = _corner_rows(values, triangles, triangle_ids)
    weights = _weights(corners, triangle_ids)
    one, two, three = (
        weight[None] * corner[:, 2:].T for weight, corner in zip(weights, corners, strict=True)
    )
    return (one + two + three).reshape(-1, *triangle_ids.shape)


def default_capacity(height: int, width: int, num_triangles: int) -> int:
    """A candidate list long enough for a face that fits into the picture.

    4.5 candidates a pixel. Measured on BFM over 0-90 degrees of yaw: a head four fifths as high
    as the picture takes 11-15 % of it at 120² and 17-23 % at 224², one that is cut by the
    picture's border 27-39 %. Larger triangles have emptier boxes, so it is a beginning and no
    promise: look at the overflow (`render_with_enough_capacity`). Only
    memory follows the capacity; time follows the candidates.

    Args:
      height: rows.
      width: columns.
      num_triangles: of the mesh.
    """
    wanted = 4.5 * height * width + 0.01 * num_triangles
    return -(-int(wanted) // 1024) * 1024

"""An exact z-buffer as a pure function of static shapes.

*Expand*: each triangle covers a small box of pixels; a cumulative sum over the boxes turns
the pairs (triangle, pixel of its box) into one flat list of candidates of static length,
the *capacity*. Every candidate is tested at its pixel's centre; a scatter-max of depth and a
scatter-min of the triangle number, where the depth equals that maximum, settle who is seen.

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

MAX_PIXELS = 2**22
"""Above this many pixels the exact float division in `_expand` would no longer be exact."""

OVERFLOW_LIMIT = 2**30
"""Overflow counts saturate here; beyond it the int32 sum of the boxes would wrap."""


class Rasterization(NamedTuple):
    """What is seen at each pixel.

    Attributes:
      triangle_ids: ``(height, width)`` int32, -1 where the background is seen.
      depth: ``(height, width)`` z of the seen surface, ``-inf`` on the background. No gradient.
      overflow: ``()`` int32, candidates beyond the capacity. Where it is not 0 the picture is
        incomplete and must not be used: see `raise_on_overflow`.
    """

    triangle_ids: Int[Array, "*batch height width"]
    depth: Float[Array, "*batch height width"]
    overflow: Int[Array, "*batch"]


class _Boxes(NamedTuple):
    """Per triangle, the rows and columns whose pixel centres its bounding box holds."""

    left: Int[Array, " t"]
    top: Int[Array, " t"]
    width: Int[Array, " t"]
    area: Int[Array, " t"]


def _pixel_boxes(
    corners: Float[Array, "t 3 3"], drawn: Bool[Array, " t"], height: int, width: int
) -> _Boxes:
    """Boxes of ``(triangle, corner, xyz)``; off-screen and undrawn triangles get 0 pixels."""
    lowest = jnp.minimum(jnp.minimum(corners[:, 0], corners[:, 1]), corners[:, 2])
    highest = jnp.maximum(jnp.maximum(corners[:, 0], corners[:, 1]), corners[:, 2])

    def span(axis: int, size: int) -> tuple[Array, Array]:
        # Clipped before the cast: a float outside int32 casts to anything.
        first = jnp.clip(jnp.ceil(lowest[:, axis]), 0, size)
        last = jnp.clip(jnp.floor(highest[:, axis]), -1, size - 1)
        length = jnp.where(drawn, jnp.maximum(last - first + 1, 0), 0)
        return jnp.where(drawn, first, 0).astype(jnp.int32), length.astype(jnp.int32)

    left, columns = span(0, width)
    top, rows = span(1, height)
    return _Boxes(left, top, columns, columns * rows)


def _running_maximum(values: Int[Array, " p"]) -> Int[Array, " p"]:
    def step(highest: Array, value: Array) -> tuple[Array, Array]:
        highest = jnp.maximum(highest, value)
        return highest, highest

    # Log-depth scans suit accelerators; on CPUs the plain loop is faster.
    def loop(values: Array) -> Array:
        return jax.lax.scan(step, values[0], values)[1]

    return jax.lax.platform_dependent(values, cpu=loop, default=jax.lax.cummax)


def _expand(boxes: _Boxes, capacity: int) -> tuple[Array, Array, Array, Array, Array]:
    """The flat candidate list: ``(triangle, row, column, is_real, overflow)``."""
    end = jnp.cumsum(boxes.area)
    start = end - boxes.area
    total_estimate = boxes.area.astype(jnp.float32).sum()
    overflow = jnp.where(
        total_estimate >= OVERFLOW_LIMIT, OVERFLOW_LIMIT, jnp.maximum(end[-1] - capacity, 0)
    )
    # Each non-empty triangle marks the first of its candidates; a running maximum spreads it.
    place = jnp.where(boxes.area > 0, start, capacity)
    numbers = jnp.arange(boxes.area.shape[0], dtype=jnp.int32)
    marks = jnp.zeros(capacity, jnp.int32).at[place].max(numbers, mode="drop")
    triangle = _running_maximum(marks)
    index = jnp.arange(capacity, dtype=jnp.int32)
    within = index - start[triangle]
    columns = jnp.maximum(boxes.width[triangle], 1)
    # A float division vectorises where int32's does not; the half keeps its floor exact for
    # every count below MAX_PIXELS.
    row = jnp.floor((within.astype(jnp.float32) + 0.5) / columns.astype(jnp.float32))
    row = row.astype(jnp.int32)
    column = within - row * columns
    return (
        triangle,
        boxes.top[triangle] + row,
        boxes.left[triangle] + column,
        index < end[-1],
        overflow.astype(jnp.int32),
    )


def _edge_functions(x: Float[Array, "3 *points"], y: Float[Array, "3 *points"]) -> Array:
    """Twice the signed areas of the three triangles between a point and a triangle's edges.

    Args:
      x: of the three corners, relative to the point, pixels.
      y: the same.

    Returns:
      ``(3, *points)``: entry i belongs to the edge *opposite* corner i; they sum to twice the
      triangle's signed area.
    """
    # Opposite corner 1 runs the edge from 0 to 2, negated: always low corner to high corner,
    # so that an edge gives the same number, but for the sign, in both of its triangles.
    return jnp.stack(
        [x[1] * y[2] - y[1] * x[2], -(x[0] * y[2] - y[0] * x[2]), x[0] * y[1] - y[0] * x[1]]
    )


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
    ordered = _sorted_corners(triangles)
    # One row of nine numbers per triangle: gathering rows is what CPUs do fastest.
    corners = vertices.T[ordered]
    drawn = jnp.isfinite(corners.sum((1, 2)))
    if cull_back_faces:
        drawn &= _faces_viewer(vertices, triangles)
    boxes = _pixel_boxes(corners, drawn, height, width)
    triangle, row, column, is_real, overflow = _expand(boxes, capacity)

    corner = jnp.moveaxis(corners[triangle], 0, -1)
    low, middle, high = _edge_functions(
        corner[:, 0] - column.astype(vertices.dtype)[None],
        corner[:, 1] - row.astype(vertices.dtype)[None],
    )
    area = low + middle + high
    inside = ((low >= 0) & (middle >= 0) & (high >= 0)) | ((low <= 0) & (middle <= 0) & (high <= 0))
    covered = is_real & inside & (area != 0)
    weighted = low * corner[0, 2] + middle * corner[1, 2] + high * corner[2, 2]
    depth = jnp.where(covered, weighted / jnp.where(area == 0, 1, area), -jnp.inf)
    # Without the barrier the compiler may compute the depth twice and round it differently.
    pixel, depth = jax.lax.optimization_barrier(
        (jnp.where(covered, row * width + column, height * width), depth)
    )
    nearest = jnp.full(height * width + 1, -jnp.inf, vertices.dtype).at[pixel].max(depth)
    seen = jnp.where(depth == nearest[pixel], pixel, height * width)
    none = triangles.shape[0]
    ids = jnp.full(height * width + 1, none, jnp.int32).at[seen].min(triangle)[:-1]
    return Rasterization(
        jnp.where(ids == none, -1, ids).reshape(height, width),
        nearest[:-1].reshape(height, width),
        overflow,
    )


def _sorted_corners(triangles: Int[Array, "t 3"]) -> Int[Array, "t 3"]:
    # No general sort: XLA takes seconds to fold one when the triangles are constants.
    low, high = triangles.min(1), triangles.max(1)
    return jnp.stack([low, triangles.sum(1) - low - high, high], axis=1)


def _faces_viewer(vertices: Float[Array, "3 n"], triangles: Int[Array, "t 3"]) -> Bool[Array, " t"]:
    corners = vertices[:2, triangles]
    first, second = corners[..., 1] - corners[..., 0], corners[..., 2] - corners[..., 0]
    # Negative: counter-clockwise with y up is clockwise with y down.
    return first[0] * second[1] - first[1] * second[0] < 0


def barycentric_coordinates(
    vertices: Float[Array, "3 n"],
    triangles: Int[Array, "t 3"],
    triangle_ids: Int[Array, "height width"],
) -> Float[Array, "3 height width"]:
    """Weights of the three corners of the seen triangle at each pixel's centre.

    Args:
      vertices: planar, crop frame, pixels; z is not used (the camera is orthographic).
      triangles: vertex numbers.
      triangle_ids: from `rasterize`, -1 on the background.

    Returns:
      Weights that sum to 1, and 0 on the background and where the triangle has no area.
    """
    height, width = triangle_ids.shape
    corner_ids = triangles[jnp.maximum(triangle_ids, 0)]
    corners = jnp.moveaxis(vertices[:2, corner_ids], -1, 0)
    column = jnp.arange(width, dtype=vertices.dtype)[None, None, :]
    row = jnp.arange(height, dtype=vertices.dtype)[None, :, None]
    edges = _edge_functions(corners[:, 0] - column, corners[:, 1] - row)
    area = edges.sum(0)
    usable = (triangle_ids >= 0) & (area != 0)
    # Guarded before the division: a where after it would still send NaN backwards.
    return jnp.where(usable[None], edges / jnp.where(usable, area, 1.0)[None], 0.0)


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
    weights = barycentric_coordinates(vertices, triangles, triangle_ids)
    corner_ids = triangles[jnp.maximum(triangle_ids, 0)]
    return (attributes[:, corner_ids] * jnp.moveaxis(weights, 0, -1)[None]).sum(-1)


def default_capacity(height: int, width: int, num_triangles: int) -> int:
    """A candidate list long enough for a face that fits into the picture.

    4.5 candidates a pixel. Measured on BFM at 120² and 224²: a head that just fits takes 35-50 %
    of it over 0-90 degrees of yaw, one half as large again 60-103 %. So it is a beginning and no
    promise: look at the overflow (`raise_on_overflow`, `render_with_enough_capacity`).

    Args:
      height: rows.
      width: columns.
      num_triangles: of the mesh.
    """
    wanted = 4.5 * height * width + 0.01 * num_triangles
    return -(-int(wanted) // 1024) * 1024


def raise_on_overflow(overflow: Int[Array, "*batch"], capacity: int) -> None:
    """Refuses an incomplete picture. Host side: not for use under `jit`.

    Args:
      overflow: of one or more renders.
      capacity: the one they were made with.

    Raises:
      ValueError: naming the setting and a value that suffices.
    """
    worst = int(jnp.max(overflow))
    if worst > 0:
        raise ValueError(
            f"the rasteriser's capacity of {capacity} was too small by {worst}: the picture "
            f"would be incomplete; set capacity to at least {capacity + worst}"
        )

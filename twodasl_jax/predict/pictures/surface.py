"""The surface of a face that a picture shows: a z-buffer of the face's own region, in tiles.

Every tile has the same size, so one compiled rasteriser serves pictures and faces of any size,
and a face that fills a photograph of 20 megapixels takes no more memory at a time than a small
one does, beside the 8 bytes for each of its pixels.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from twodasl_jax.crop_frame import image_to_raster
from twodasl_jax.rendering.rasterizer import (
    Rasterization,
    default_capacity,
    interpolate,
    rasterize,
)
from twodasl_jax.rendering.render import render_with_enough_capacity

TILE = 256
"""Side of a tile, pixels. Larger ones are no faster: the candidate list leaves the cache."""


class Region(NamedTuple):
    """A rectangle of whole pixels of a picture; `right` and `bottom` are beyond its last."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index a picture with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


class FaceSurface(NamedTuple):
    """What each pixel of a face's region sees of it.

    Attributes:
      region: where in the picture; of no pixels where the face lies beside it.
      triangle_ids: ``(region.height, region.width)`` int32, -1 where the background is seen.
      depth: the same shape, float32: z of the surface, ``-inf`` on the background.
      vertices: ``(3, n)`` image frame of the picture.
      triangles: ``(t, 3)``.
    """

    region: Region
    triangle_ids: np.ndarray
    depth: np.ndarray
    vertices: np.ndarray
    triangles: np.ndarray | jax.Array

    def tiles(self, attributes: np.ndarray) -> Iterator[tuple[Region, np.ndarray, np.ndarray]]:
        """Interpolates vertex attributes over the surface, a part of the region at a time.

        Args:
          attributes: ``(k, n)`` a value for each vertex.

        Yields:
          A part of the region (in the picture's pixels), its mask ``(height, width)`` of
          covered pixels, and the values ``(k, height, width)`` float32, 0 beside the mask.
          Parts without a covered pixel are left out.
        """
        values, corners = jnp.asarray(attributes, jnp.float32), jnp.asarray(self.triangles)
        for tile, local in _tiles_of(self.region):
            ids = self.triangle_ids[local.slices]
            if not (ids >= 0).any():
                continue
            padded = np.full((TILE, TILE), -1, np.int32)
            padded[: tile.height, : tile.width] = ids
            shaded = _interpolate(
                values, padded, raster_vertices(self.vertices, tile.left, tile.top), corners
            )
            yield tile, ids >= 0, np.asarray(shaded)[:, : tile.height, : tile.width]


def face_surface(
    vertices: np.ndarray, triangles: np.ndarray | jax.Array, *, height: int, width: int
) -> FaceSurface:
    """Rasterises a face where it lies in a picture, and nowhere else.

    Args:
      vertices: ``(3, n)`` image frame of the picture: x right, y down, z towards the viewer;
        pixel c spans c to c + 1.
      triangles: ``(t, 3)``.
      height: of the picture.
      width: of the picture.
    """
    vertices = np.asarray(vertices, np.float32)
    region = region_of(vertices, height=height, width=width)
    triangle_ids = np.full((region.height, region.width), -1, np.int32)
    depth = np.full(triangle_ids.shape, -np.inf, np.float32)
    capacity = None
    for tile, local in _tiles_of(region):
        # From a tile to the next: a crowded face would be rasterised twice in each.
        raster, capacity = _rasterized(
            raster_vertices(vertices, tile.left, tile.top),
            triangles,
            height=TILE,
            width=TILE,
            capacity=capacity,
        )
        # Cut on the host: a slice of a device array compiles anew for every size.
        triangle_ids[local.slices] = np.asarray(raster.triangle_ids)[: tile.height, : tile.width]
        depth[local.slices] = np.asarray(raster.depth)[: tile.height, : tile.width]
    return FaceSurface(region, triangle_ids, depth, vertices, triangles)


def region_of(vertices: np.ndarray, *, height: int, width: int) -> Region:
    """The pixels of a picture that the bounding box of ``(3, n)`` vertices touches."""
    # Clipped as floats: a float beyond int64 would cast to anything.
    left, top = np.floor(vertices[:2].min(axis=1)).clip(0, (width, height)).astype(int)
    right, bottom = np.ceil(vertices[:2].max(axis=1)).clip(0, (width, height)).astype(int)
    return Region(int(left), int(top), int(right), int(bottom))


def raster_vertices(vertices: np.ndarray, left: int = 0, top: int = 0) -> np.ndarray:
    """Vertices in the raster frame of a part of the picture: ``(3, n)``.

    Exact in float32 near the part, the shifts being halves.

    Args:
      vertices: ``(3, n)`` image frame.
      left: column where the part begins.
      top: its row.
    """
    x, y, z = vertices
    return np.stack([image_to_raster(x - left), image_to_raster(y - top), z])


def rasterize_complete(
    vertices: np.ndarray, triangles: np.ndarray | jax.Array, *, height: int, width: int
) -> Rasterization:
    """Rasterises one mesh on the host, with as large a candidate list as it needs.

    Each size of picture compiles anew: keep to few (`face_surface` needs one).

    Args:
      vertices: ``(3, n)`` raster frame (`image_to_raster`): x right, y down, the centre of pixel c
        at c, z towards the viewer.
      triangles: ``(t, 3)``.
      height: of the picture.
      width: of the picture.
    """
    return _rasterized(vertices, triangles, height=height, width=width, capacity=None)[0]


def _rasterized(
    vertices: np.ndarray,
    triangles: np.ndarray | jax.Array,
    *,
    height: int,
    width: int,
    capacity: int | None,
) -> tuple[Rasterization, int]:
    """As `rasterize_complete`, from a candidate list's length on; and the length that sufficed."""
    points, corners = jnp.asarray(vertices, jnp.float32), jnp.asarray(triangles)
    return render_with_enough_capacity(
        lambda length: _rasterize(points, corners, height=height, width=width, capacity=length),
        capacity or default_capacity(height, width, corners.shape[0]),
    )


def _tiles_of(region: Region) -> Iterator[tuple[Region, Region]]:
    """The tiles of a region, in the picture's pixels and in the region's own."""
    for top in range(region.top, region.bottom, TILE):
        for left in range(region.left, region.right, TILE):
            right, bottom = min(left + TILE, region.right), min(top + TILE, region.bottom)
            x, y = region.left, region.top
            yield Region(left, top, right, bottom), Region(left - x, top - y, right - x, bottom - y)


@functools.partial(jax.jit, static_argnames=("height", "width", "capacity"))
def _rasterize(
    vertices: jax.Array, triangles: jax.Array, *, height: int, width: int, capacity: int
) -> Rasterization:
    return rasterize(vertices, triangles, height=height, width=width, capacity=capacity)


@jax.jit
def _interpolate(
    attributes: jax.Array, triangle_ids: jax.Array, vertices: jax.Array, triangles: jax.Array
) -> jax.Array:
    # Depth and overflow are of no use to `interpolate`.
    unused = jnp.zeros(())
    raster = Rasterization(triangle_ids, unused, unused)
    return interpolate(attributes, raster, vertices, triangles)

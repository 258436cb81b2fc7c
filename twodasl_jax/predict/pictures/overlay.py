"""The reconstructed face laid over its photograph: a lit mesh, and the dense alignment as dots.

Only the face's own region is drawn, on a grid of bounded size: a photograph of 20 megapixels
takes about as long as a small one.
"""

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.predict.faces.reconstruct import Reconstruction
from twodasl_jax.predict.pictures.maps import view_normals
from twodasl_jax.predict.pictures.strokes import Colour, draw_dot, rgb_copy
from twodasl_jax.predict.pictures.surface import Region, face_surface, region_of
from twodasl_jax.predict.pictures.visibility import visible_vertices
from twodasl_jax.rendering.shading import shade_headlight

CLAY: Colour = (214, 205, 196)
"""The colour of a mesh that has none of its own."""

_FINER = 2.0
"""Grid points per pixel, along each axis: their mean smooths the outline."""

_LARGEST_GRID = 1536
"""A face is drawn on no more grid points than this along an axis, and enlarged beyond."""

_DOT_SPACING = 0.02
"""Between the dots of a dense alignment, as a share of the face's size."""


def overlay_mesh(
    image: np.ndarray,
    vertices: np.ndarray,
    triangles: np.ndarray | jax.Array,
    *,
    colours: np.ndarray | None = None,
    opacity: float = 0.85,
    largest_grid: int = _LARGEST_GRID,
) -> np.ndarray:
    """Lays a shaded mesh over a photograph, lit from the viewer, with soft edges.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      vertices: ``(3, n)`` image frame: x right, y down, z towards the viewer; pixel c spans c to
        c + 1.
      triangles: ``(t, 3)`` counter-clockwise seen from outside (with y up).
      colours: ``(n, 3)`` uint8 vertex colours; grey clay where None.
      opacity: of the mesh, 0 to 1.
      largest_grid: most points, along an axis, of the grid that the face is drawn on; at best it
        is twice as fine as the photograph. The time goes with its square.
    """
    drawn = rgb_copy(image)
    if not 0.0 <= opacity <= 1.0:
        raise ValueError(f"opacity is {opacity}; expected 0 to 1")
    height, width = image.shape[:2]
    vertices = np.asarray(vertices, np.float32)
    # One pixel wider: enlarged from a coarse grid, the rim reaches beyond the outermost vertex.
    region = region_of(vertices, height=height, width=width)
    region = Region(
        max(region.left - 1, 0),
        max(region.top - 1, 0),
        min(region.right + 1, width),
        min(region.bottom + 1, height),
    )
    if region.width <= 0 or region.height <= 0:
        return drawn
    if colours is None:
        colours = np.broadcast_to(np.array(CLAY, np.uint8), (vertices.shape[1], 3))
    albedo = jnp.asarray(colours.T / 255.0, jnp.float32)
    lit = _shade(jnp.asarray(view_normals(vertices, triangles)), albedo)
    layers = _drawn_on_grid(vertices, triangles, np.asarray(lit), region, largest_grid)
    size = (region.width, region.height)
    shrinks = layers.shape[1] >= region.width
    layers = cv2.resize(layers, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    # In place and row by row: the arithmetic then needs no second photograph in float32.
    for row, layer in zip(drawn[region.slices], layers, strict=True):
        weight = opacity / 255.0 * layer[:, 3:]
        blended = row * (1.0 - weight) + opacity * layer[:, :3].astype(np.float32)
        row[:] = blended.clip(0, 255).round().astype(np.uint8)
    return drawn


_shade = jax.jit(shade_headlight)


def _drawn_on_grid(
    vertices: np.ndarray,
    triangles: np.ndarray | jax.Array,
    colours: np.ndarray,
    region: Region,
    largest_grid: int,
) -> np.ndarray:
    """RGB, black beside the face, and its mask, on a grid over a region: uint8 ``(h, w, 4)``."""
    sides = np.array([region.width, region.height])
    grid = np.ceil(sides * min(_FINER, largest_grid / sides.max())).astype(int)
    scale = (grid / sides).astype(np.float32)
    corner = np.array([[region.left], [region.top]], np.float32)
    framed = np.concatenate([(vertices[:2] - corner) * scale[:, None], vertices[2:] * scale.mean()])
    layers = np.zeros((grid[1], grid[0], 4), np.uint8)
    for tile, mask, values in face_surface(
        framed, triangles, height=int(grid[1]), width=int(grid[0])
    ).tiles(colours):
        patch = layers[tile.slices]
        patch[..., :3] = np.moveaxis(values.clip(0, 1) * 255.0, 0, -1).round()
        patch[..., 3] = 255 * mask
    return layers


def draw_dense_alignment(
    image: np.ndarray, reconstruction: Reconstruction, face_model: FaceModel, colours: np.ndarray
) -> np.ndarray:
    """Marks the vertices that the viewer sees with dots, about evenly spaced in the picture.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      reconstruction: of a face in it.
      face_model: whose triangles hide vertices.
      colours: ``(n, 3)`` uint8, of the dots; the same vertex's dot has the same colour in every
        photograph (`twodasl_jax.predict.pictures.maps.code_colours`).
    """
    drawn = rgb_copy(image)
    x, y = reconstruction.vertices[:2]
    size = max(np.ptp(x), np.ptp(y))
    seen = np.flatnonzero(visible_vertices(reconstruction, face_model))
    # One vertex for each cell of a grid: models of any density give dots of one density.
    cells = np.floor(reconstruction.vertices[:2, seen] / (_DOT_SPACING * size)).astype(int)
    _, first = np.unique(cells, axis=1, return_index=True)
    radius = max(1.0, 0.25 * _DOT_SPACING * size)
    for vertex in seen[first]:
        red, green, blue = colours[vertex].tolist()
        centre = reconstruction.vertices[:2, vertex]
        draw_dot(drawn, centre, (red, green, blue), radius, outline=False)
    return drawn

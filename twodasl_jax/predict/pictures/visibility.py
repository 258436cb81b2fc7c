"""Which points of a face the photograph shows: a z-buffer of the face alone."""

from typing import NamedTuple

import jax
import numpy as np

from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.predict.faces.reconstruct import Reconstruction
from twodasl_jax.predict.pictures.surface import TILE, rasterize_complete

_TOLERANCE = 0.02
"""How much nearer than a point the surface may be, as a share of the face's size."""


class FaceNotShownError(ValueError):
    """A photograph shows nothing of a face, so it can give it no colours."""


class DepthBuffer(NamedTuple):
    """A face's z-buffer in a square frame of its own, whatever the photograph's size.

    Attributes:
      corner: ``(2,)`` where the centre of the frame's first pixel lies, image pixels.
      scale: pixels of the buffer per image pixel.
      depth: ``(TILE, TILE)`` z of the nearest surface, buffer pixels; ``-inf`` on the background.
    """

    corner: np.ndarray
    scale: float
    depth: np.ndarray

    def sees(self, points: np.ndarray) -> np.ndarray:
        """Whether nothing of the face lies in front of points of its surface.

        Args:
          points: ``(3, *shape)`` image frame, on or near the face's surface.

        Returns:
          ``(*shape,)`` bool; the surface at a point's pixel may be 2 % of the face's size nearer.
        """
        side = len(self.depth)
        x, y = ((points[axis] - self.corner[axis]) * self.scale for axis in range(2))
        column, row = (axis.round().clip(0, side - 1).astype(int) for axis in (x, y))
        return points[2] * self.scale >= self.depth[row, column] - _TOLERANCE * side


def depth_buffer(vertices: np.ndarray, triangles: np.ndarray | jax.Array) -> DepthBuffer:
    """The z-buffer of a whole face: the photograph's border hides nothing.

    Args:
      vertices: ``(3, n)`` image frame.
      triangles: ``(t, 3)``.
    """
    low, high = vertices[:2].min(axis=1), vertices[:2].max(axis=1)
    scale = float((TILE - 2) / max((high - low).max(), 1e-6))
    corner = 0.5 * (low + high) - 0.5 * (TILE - 1) / scale
    framed = vertices * scale
    framed[:2] -= corner[:, None] * scale
    raster = rasterize_complete(framed, triangles, height=TILE, width=TILE)
    return DepthBuffer(corner, scale, np.asarray(raster.depth))


def visible_vertices(reconstruction: Reconstruction, face_model: FaceModel) -> np.ndarray:
    """Which vertices no other part of the face hides from the viewer: ``(n,)`` bool."""
    vertices = reconstruction.vertices
    return depth_buffer(vertices, face_model.triangles).sees(vertices)


def in_picture(points: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """Which of ``(2 or 3, *shape)`` image points lie on a picture: ``(*shape,)`` bool.

    A picture spans 0 to its width and 0 to its height.
    """
    x, y = points[:2]
    return (x >= 0) & (x <= width) & (y >= 0) & (y <= height)

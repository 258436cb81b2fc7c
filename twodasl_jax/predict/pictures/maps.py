"""What the pixels of a photograph see of its faces: depth, PNCC and normals, as pictures.

All three come from the rasteriser's z-buffer at the photograph's own resolution. The background
is 0. Of faces that overlap, the one that comes first in the list lies on top.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from twodasl_jax.crop_frame import flip_y
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.geometry.mesh import vertex_normals
from twodasl_jax.predict.pictures.surface import FaceSurface

_DEPTH_STEPS = 2**16 - 2
"""Of a 16-bit picture whose value 0 is the background and 1 the farthest point."""


class DepthScale(NamedTuple):
    """What the values of a depth picture mean: ``z = far_px[face] + (value - 1)·step_px``.

    Attributes:
      step_px: depth of one step, image pixels, the same for all faces of a picture: the deepest
        face takes all 65,535 values.
      far_px: per face, z of its farthest vertex (value 1), image frame. A photograph in weak
        perspective tells nothing of the distance from one face to another.
    """

    step_px: float
    far_px: tuple[float, ...]


def depth_scale(surfaces: Sequence[FaceSurface]) -> DepthScale:
    """The scale that a photograph's faces share."""
    far = [float(surface.vertices[2].min()) for surface in surfaces]
    near = [float(surface.vertices[2].max()) for surface in surfaces]
    deepest = max(high - low for low, high in zip(far, near, strict=True))
    # A flat face has one depth: any step will do.
    return DepthScale(deepest / _DEPTH_STEPS or 1.0, tuple(far))


def depth_map(
    surfaces: Sequence[FaceSurface], scale: DepthScale, *, height: int, width: int
) -> np.ndarray:
    """Depth of the seen surface: ``(height, width)`` uint16, larger is nearer, 0 is background.

    Args:
      surfaces: of the faces.
      scale: of the values, see `DepthScale`.
      height: of the photograph.
      width: of the photograph.
    """
    picture = np.zeros((height, width), np.uint16)
    for surface, far in reversed(list(zip(surfaces, scale.far_px, strict=True))):
        mask = surface.triangle_ids >= 0
        steps = (surface.depth[mask].astype(np.float64) - far) / scale.step_px
        picture[surface.region.slices][mask] = 1 + steps.round().clip(0, _DEPTH_STEPS)
    return picture


def normalised_coordinates(face_model: FaceModel) -> np.ndarray:
    """The normalised coordinate code (NCC) of each vertex: ``(3, n)`` in [0, 1].

    The mean face's x, y and z, each brought to [0, 1] over the mesh: the same place of any face
    has the same code (Zhu et al., "Face Alignment Across Large Poses: A 3D Solution", CVPR 2016,
    eq. 5).
    """
    mean = np.asarray(face_model.linear.mean, np.float64)
    low, high = mean.min(axis=1, keepdims=True), mean.max(axis=1, keepdims=True)
    return ((mean - low) / (high - low)).astype(np.float32)


def code_colours(face_model: FaceModel) -> np.ndarray:
    """`normalised_coordinates` as ``(n, 3)`` uint8 RGB: one colour for each place of a face."""
    return _as_bytes(normalised_coordinates(face_model))


def pncc_map(
    surfaces: Sequence[FaceSurface], face_model: FaceModel, *, height: int, width: int
) -> np.ndarray:
    """The projected normalised coordinate code: ``(height, width, 3)`` uint8, x, y, z as RGB.

    The z-buffer rendering of the posed face with `normalised_coordinates` as its colour (Zhu et
    al. 2016, eq. 6).

    Args:
      surfaces: of the faces.
      face_model: they belong to.
      height: of the photograph.
      width: of the photograph.
    """
    picture = np.zeros((height, width, 3), np.uint8)
    code = normalised_coordinates(face_model)
    for surface in reversed(surfaces):
        for tile, mask, values in surface.tiles(code):
            picture[tile.slices][mask] = _as_bytes(values[:, mask])
    return picture


def normal_map(surfaces: Sequence[FaceSurface], *, height: int, width: int) -> np.ndarray:
    """Outward unit normals as colours: ``(height, width, 3)`` uint8, ``(n + 1)/2`` as RGB.

    In the view frame: x (red) right, y (green) **up**, z (blue) towards the viewer. Where the
    sheet is seen from behind, z is below one half.

    Args:
      surfaces: of the faces.
      height: of the photograph.
      width: of the photograph.
    """
    picture = np.zeros((height, width, 3), np.uint8)
    for surface in reversed(surfaces):
        normals = view_normals(surface.vertices, surface.triangles)
        for tile, mask, values in surface.tiles(normals):
            mixed = values[:, mask]
            # A mean of unit vectors is shorter than one; of opposite ones it is none.
            length = np.maximum(np.linalg.norm(mixed, axis=0), 1e-6)
            picture[tile.slices][mask] = _as_bytes(0.5 * (mixed / length + 1.0))
    return picture


def view_normals(vertices: np.ndarray, triangles: np.ndarray | jax.Array) -> np.ndarray:
    """Unit normals of the vertices, ``(3, n)``: view frame, y up.

    Args:
      vertices: ``(3, n)`` image frame, y down.
      triangles: ``(t, 3)``.
    """
    return np.asarray(_view_normals(jnp.asarray(vertices, jnp.float32), jnp.asarray(triangles)))


@jax.jit
def _view_normals(vertices: jax.Array, triangles: jax.Array) -> jax.Array:
    return vertex_normals(vertices.at[1].set(flip_y(vertices[1])), triangles)


def _as_bytes(values: np.ndarray) -> np.ndarray:
    """``(3, m)`` in [0, 1] as ``(m, 3)`` bytes."""
    return (values.T.clip(0, 1) * 255).round().astype(np.uint8)

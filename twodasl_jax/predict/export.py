"""Meshes on disk: the reconstructed face as ``.glb``, ``.obj`` or ``.ply``, with vertex colours."""

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import trimesh
import trimesh.exchange.gltf
from scipy.ndimage import map_coordinates
from scipy.spatial import KDTree

from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.crop_frame import CROP_SIZE, image_to_crop
from twodasl_jax.face_model.linear import vertices_from_coefficients
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.predict.reconstruct import Reconstruction
from twodasl_jax.rendering.rasterizer import Rasterization, default_capacity, rasterize

MESH_SUFFIXES = (".glb", ".obj", ".ply")

_VISIBILITY_SCALE = 2
"""The z-buffer that finds the seen vertices has this many pixels per crop pixel."""


def mesh_vertices(
    reconstruction: Reconstruction, face_model: FaceModel, *, posed: bool = False
) -> np.ndarray:
    """The face in millimetres: x right, y up, z (the front) towards the viewer.

    Args:
      reconstruction: whose shape and expression to decode.
      face_model: the model it belongs to.
      posed: turn it as the head in the photograph is turned; else it looks along +z.

    Returns:
      ``(n, 3)`` float32, centred on the mean vertex.
    """
    parts = split_coefficients(jnp.asarray(reconstruction.coefficients))
    points = np.asarray(
        vertices_from_coefficients(face_model.linear, parts.shape, parts.expression), np.float64
    )
    points = points / face_model.units_per_millimetre
    points -= points.mean(axis=1, keepdims=True)
    if posed:
        points = np.asarray(reconstruction.camera.rotation, np.float64) @ points
    return points.T.astype(np.float32)


def rasterize_complete(
    vertices: np.ndarray, triangles: np.ndarray | jax.Array, *, height: int, width: int
) -> Rasterization:
    """Rasterises one mesh on the host, with as large a candidate list as it needs.

    Args:
      vertices: ``(3, n)`` x right, y down, z towards the viewer, pixels of the picture.
      triangles: ``(t, 3)``.
      height: of the picture.
      width: of the picture.
    """
    points, corners = jnp.asarray(vertices, jnp.float32), jnp.asarray(triangles)
    capacity = default_capacity(height, width, corners.shape[0])
    while True:
        raster = _rasterize(points, corners, height=height, width=width, capacity=capacity)
        missing = int(raster.overflow)
        if missing == 0:
            return raster
        capacity += missing


def visible_vertices(reconstruction: Reconstruction, face_model: FaceModel) -> np.ndarray:
    """Which vertices the photograph shows: ``(n,)`` bool, by a z-buffer over the crop.

    A vertex counts as seen when the surface at its pixel is at most 2 % of the crop nearer.
    Vertices beyond the crop's frame count as unseen.
    """
    side = CROP_SIZE * _VISIBILITY_SCALE
    planar = reconstruction.vertices
    positions = image_to_crop(planar[:2].T, reconstruction.roi_box) * _VISIBILITY_SCALE
    sides = reconstruction.roi_box[2:] - reconstruction.roi_box[:2]
    depth = planar[2] * (side / sides.mean())
    raster = rasterize_complete(
        np.concatenate([positions.T, depth[None]]), face_model.triangles, height=side, width=side
    )
    column, row = positions.round().astype(int).T
    inside = (column >= 0) & (column < side) & (row >= 0) & (row < side)
    surface = np.asarray(raster.depth)[row.clip(0, side - 1), column.clip(0, side - 1)]
    return inside & (depth >= surface - 0.02 * side)


def colours_from_photo(
    image: np.ndarray, reconstruction: Reconstruction, face_model: FaceModel
) -> np.ndarray:
    """Samples the photograph at each vertex.

    A vertex that the photograph does not show takes its left-right mirror image's colour, and
    where that is hidden too, the colour of the nearest coloured vertex.

    Args:
      image: ``(height, width, 3)`` uint8 RGB, the photograph of the reconstruction.
      reconstruction: where its vertices are.
      face_model: its triangles and mirror vertices.

    Returns:
      ``(n, 3)`` uint8 sRGB.

    Raises:
      ValueError: when not one vertex lies in the picture.
    """
    height, width = image.shape[:2]
    x, y = reconstruction.vertices[:2].astype(np.float32)
    in_picture = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    seen = visible_vertices(reconstruction, face_model) & in_picture
    if not seen.any():
        raise ValueError(
            f"no vertex of the face lies in the {width} x {height} picture; is it the photograph "
            "that the reconstruction was made from?"
        )
    # Not by cv2.remap: that refuses more than 32,767 points, and BFM has 53,215.
    sampled = np.stack(
        [map_coordinates(image[..., i], (y, x), order=1, mode="nearest") for i in range(3)],
        axis=-1,
    )
    mirror = np.asarray(face_model.mirror_vertices)
    source = np.where(seen, np.arange(seen.size), np.where(seen[mirror], mirror, -1))
    unknown = source < 0
    if unknown.any():
        mean = np.asarray(face_model.linear.mean).T
        _, nearest = KDTree(mean[~unknown]).query(mean[unknown])
        source[unknown] = source[np.flatnonzero(~unknown)[nearest]]
    return sampled[source]


def colours_from_albedo(face_model: FaceModel) -> np.ndarray:
    """The face model's mean albedo: ``(n, 3)`` uint8.

    Raises:
      ValueError: where the model has no colours.
    """
    if face_model.albedo_mean is None:
        raise ValueError(
            f"face model '{face_model.name}' has no albedo; sample the photograph instead "
            "(colours_from_photo)"
        )
    albedo = np.asarray(face_model.albedo_mean).T
    return (albedo.clip(0, 1) * 255).round().astype(np.uint8)


def export_mesh(
    path: str | Path, vertices: np.ndarray, triangles: np.ndarray, colours: np.ndarray
) -> None:
    """Writes a coloured mesh in the format that the suffix names.

    ``.glb`` follows glTF 2.0: metres, y up, the front towards +z, vertex colours in linear
    light, a matt two-sided material. ``.obj`` and ``.ply`` keep millimetres and sRGB.

    Args:
      path: ends in one of `MESH_SUFFIXES`; its folder is made.
      vertices: ``(n, 3)`` millimetres, x right, y up, z towards the viewer.
      triangles: ``(t, 3)`` counter-clockwise seen from outside.
      colours: ``(n, 3)`` uint8 sRGB.

    Raises:
      ValueError: on another suffix, or on shapes or types that do not fit together.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in MESH_SUFFIXES:
        raise ValueError(
            f"'{path.name}' ends in '{suffix}'; expected one of {', '.join(MESH_SUFFIXES)}"
        )
    vertices, triangles = np.asarray(vertices), np.asarray(triangles)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or not np.isfinite(vertices).all():
        raise ValueError(f"vertices are {vertices.shape}; expected (n, 3), all finite")
    if colours.shape != vertices.shape or colours.dtype != np.uint8:
        raise ValueError(
            f"colours are {colours.shape} {colours.dtype}; expected {vertices.shape} uint8"
        )
    is_gltf = suffix == ".glb"
    mesh = trimesh.Trimesh(
        vertices / 1000.0 if is_gltf else vertices,
        triangles,
        vertex_colors=_linear_from_srgb(colours) if is_gltf else colours,
        process=False,  # merging vertices would break the order that landmark tables rely on
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_gltf:
        data: Any = trimesh.exchange.gltf.export_glb(
            mesh, include_normals=True, tree_postprocessor=_add_matt_material
        )
    else:
        data = mesh.export(file_type=suffix[1:])
    path.write_bytes(data.encode() if isinstance(data, str) else data)


@functools.partial(jax.jit, static_argnames=("height", "width", "capacity"))
def _rasterize(
    vertices: jax.Array, triangles: jax.Array, *, height: int, width: int, capacity: int
) -> Rasterization:
    return rasterize(vertices, triangles, height=height, width=width, capacity=capacity)


def _linear_from_srgb(colours: np.ndarray) -> np.ndarray:
    encoded = colours / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return (linear * 255).round().astype(np.uint8)


def _add_matt_material(tree: dict[str, Any]) -> None:
    # Without a material glTF's default applies, bare metal, which viewers show nearly black.
    tree["materials"] = [
        {
            "name": "face",
            "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.9},
            "doubleSided": True,
        }
    ]
    for mesh in tree["meshes"]:
        for primitive in mesh["primitives"]:
            primitive["material"] = 0

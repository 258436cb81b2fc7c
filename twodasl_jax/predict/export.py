"""Meshes on disk: the reconstructed face as ``.glb``, ``.obj`` or ``.ply``, with vertex colours."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import trimesh
import trimesh.exchange.gltf
from scipy.ndimage import map_coordinates
from scipy.spatial import KDTree

from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.crop_frame import image_to_raster
from twodasl_jax.face_model.linear import vertices_from_coefficients
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.predict.reconstruct import Reconstruction
from twodasl_jax.predict.visibility import FaceNotShownError, in_picture, visible_vertices

MESH_SUFFIXES = (".glb", ".obj", ".ply")


def mesh_vertices(reconstruction: Reconstruction, face_model: FaceModel) -> np.ndarray:
    """The face in millimetres: x right, y up; it looks along +z, however the head was turned.

    Args:
      reconstruction: whose shape and expression to decode.
      face_model: the model it belongs to.

    Returns:
      ``(n, 3)`` float32, centred on the mean vertex.
    """
    parts = split_coefficients(jnp.asarray(reconstruction.coefficients))
    points = np.asarray(
        vertices_from_coefficients(face_model.linear, parts.shape, parts.expression), np.float64
    )
    points = points / face_model.units_per_millimetre
    points -= points.mean(axis=1, keepdims=True)
    return points.T.astype(np.float32)


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
      FaceNotShownError: when not one vertex is seen in the picture.
    """
    height, width = image.shape[:2]
    x, y = image_to_raster(reconstruction.vertices[:2].astype(np.float32))
    seen = visible_vertices(reconstruction, face_model)
    seen &= in_picture(reconstruction.vertices, height=height, width=width)
    if not seen.any():
        raise FaceNotShownError(
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


def mesh_bytes(
    suffix: str, vertices: np.ndarray, triangles: np.ndarray, colours: np.ndarray
) -> bytes:
    """A coloured mesh in the format that a suffix names.

    ``.glb`` follows glTF 2.0: metres, y up, the front towards +z, vertex colours in linear
    light, a matt two-sided material. ``.obj`` and ``.ply`` keep millimetres and sRGB.

    Args:
      suffix: one of `MESH_SUFFIXES`.
      vertices: ``(n, 3)`` millimetres, x right, y up, z towards the viewer.
      triangles: ``(t, 3)`` counter-clockwise seen from outside.
      colours: ``(n, 3)`` uint8 sRGB.

    Raises:
      ValueError: on another suffix, or on shapes or types that do not fit together.
    """
    suffix = suffix.lower()
    if suffix not in MESH_SUFFIXES:
        raise ValueError(
            f"no mesh format has the suffix '{suffix}'; expected one of {', '.join(MESH_SUFFIXES)}"
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
    if is_gltf:
        data: Any = trimesh.exchange.gltf.export_glb(
            mesh, include_normals=True, tree_postprocessor=_add_matt_material
        )
    else:
        data = mesh.export(file_type=suffix[1:])
    return data.encode() if isinstance(data, str) else data


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

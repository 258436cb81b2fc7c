"""A face's mesh as ``.glb``, ``.obj`` or ``.ply``: with vertex colours, or with a texture on it.

All three are written here, because what a reader makes of colours and textures hangs on details:
which way v runs, whether colours multiply the picture, which names stand in the file.
"""

import json
import struct
from typing import Any, NamedTuple

import numpy as np

from twodasl_jax.predict.pictures.maps import view_normals

MESH_SUFFIXES = (".glb", ".obj", ".ply")

MATERIAL_ENDING = ".mtl"
"""Of the file that says which picture lies on an ``.obj``."""

_MATERIAL = "face"

_FLOAT, _UNSIGNED_INT = 5126, 5125
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_LINEAR, _LINEAR_MIPMAP_LINEAR, _CLAMP_TO_EDGE = 9729, 9987, 33071
"""Numbers of glTF 2.0, which are OpenGL's."""


class MeshTexture(NamedTuple):
    """A picture for a mesh, and where each vertex lies in it.

    Attributes:
      uv: ``(n, 2)`` in [0, 1], v up: row 0 of the picture is ``v = 1``.
      png: the picture's file.
      picture_name: of that file, beside the mesh; ``.obj`` and ``.ply`` refer to it.
      material_name: of the ``.mtl`` file beside an ``.obj``.
    """

    uv: np.ndarray
    png: bytes
    picture_name: str
    material_name: str


def mesh_bytes(
    suffix: str,
    vertices: np.ndarray,
    triangles: np.ndarray,
    colours: np.ndarray,
    *,
    texture: MeshTexture | None = None,
) -> bytes:
    """A mesh in the format that a suffix names; vertices keep their number and order.

    ``.glb`` follows glTF 2.0: metres, y up, the front towards +z, colours in linear light, the
    texture embedded. ``.obj`` and ``.ply`` keep millimetres and sRGB and refer to files beside
    them (for an ``.obj`` `material_bytes` too).

    Where there is a texture, only ``.ply`` has colours beside it: glTF and readers of ``.obj``
    multiply a texture by them.

    Args:
      suffix: one of `MESH_SUFFIXES`.
      vertices: ``(n, 3)`` millimetres, x right, y up, z towards the viewer.
      triangles: ``(t, 3)`` counter-clockwise seen from outside.
      colours: ``(n, 3)`` uint8 sRGB.
      texture: lies on the mesh.

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
    if texture is not None and texture.uv.shape != (len(vertices), 2):
        raise ValueError(f"uv are {texture.uv.shape}; expected ({len(vertices)}, 2)")
    write = {".glb": _glb, ".obj": _obj, ".ply": _ply}[suffix]
    return write(vertices, triangles, colours, texture)


def material_bytes(texture: MeshTexture) -> bytes:
    """The ``.mtl`` file of an ``.obj``: its picture, without shine."""
    return _named_text(
        f"newmtl {_MATERIAL}\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 1\n"
        f"map_Kd {_reference(texture.picture_name)}\n"
    )


def _reference(name: str) -> str:
    """A file's name as ``.obj``, ``.mtl`` and ``.ply`` take it: the rest of the line.

    Readers strip spaces before it and take a leading ``-`` for an option.
    """
    return name if name[:1].isalnum() else f"./{name}"


def _named_text(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogateescape")  # the very bytes of a file's name


def _lines(prefix: str, rows: np.ndarray) -> str:
    form = prefix + " %.7g" * rows.shape[1]
    return "\n".join(form % tuple(row) for row in rows.tolist()) + "\n"


def _obj(
    vertices: np.ndarray, triangles: np.ndarray, colours: np.ndarray, texture: MeshTexture | None
) -> bytes:
    numbers = (triangles + 1).tolist()
    if texture is None:
        faces = "".join(f"f {a} {b} {c}\n" for a, b, c in numbers)
        return (_lines("v", np.concatenate([vertices, colours / 255.0], axis=1)) + faces).encode()
    faces = "".join(f"f {a}/{a} {b}/{b} {c}/{c}\n" for a, b, c in numbers)
    head = f"mtllib {_reference(texture.material_name)}\n"
    points = _lines("v", vertices) + _lines("vt", texture.uv)
    return _named_text(f"{head}{points}usemtl {_MATERIAL}\n{faces}")


def _ply(
    vertices: np.ndarray, triangles: np.ndarray, colours: np.ndarray, texture: MeshTexture | None
) -> bytes:
    fields: list[tuple[str, str, str, np.ndarray]] = [
        (axis, "float", "<f4", vertices[:, number]) for number, axis in enumerate("xyz")
    ]
    comment = ""
    if texture is not None:
        # Of the names in use (s t, u v, texture_u texture_v) those that the most readers know.
        fields += [("s", "float", "<f4", texture.uv[:, 0]), ("t", "float", "<f4", texture.uv[:, 1])]
        comment = f"comment TextureFile {_reference(texture.picture_name)}\n"
    fields += [
        (name, "uchar", "u1", colours[:, number])
        for number, name in enumerate(("red", "green", "blue"))
    ]
    rows = np.empty(len(vertices), [(name, kind) for name, _, kind, _ in fields])
    for name, _, _, values in fields:
        rows[name] = values
    corners = np.empty(len(triangles), [("count", "u1"), ("corners", "<i4", 3)])
    corners["count"], corners["corners"] = 3, triangles
    properties = "".join(f"property {kind} {name}\n" for name, kind, _, _ in fields)
    head = (
        f"ply\nformat binary_little_endian 1.0\n{comment}element vertex {len(rows)}\n{properties}"
        f"element face {len(corners)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    return _named_text(head) + rows.tobytes() + corners.tobytes()


def _glb(
    vertices: np.ndarray, triangles: np.ndarray, colours: np.ndarray, texture: MeshTexture | None
) -> bytes:
    normals = view_normals(vertices.T * np.array([[1.0], [-1.0], [1.0]]), triangles).T
    shared = {
        "POSITION": vertices / 1000.0,
        # A vertex without a triangle has none, and glTF wants unit vectors.
        "NORMAL": np.where(np.abs(normals).max(axis=1, keepdims=True) > 0, normals, (0, 0, 1)),
    }
    if texture is not None:
        shared["TEXCOORD_0"] = texture.uv * (1, -1) + (0, 1)  # v runs down
    file = _GltfFile()
    attributes = {name: file.add(values, of_points=True) for name, values in shared.items()}
    indices = file.add(triangles, of_points=False)
    coloured = file.add(_linear_from_srgb(colours), of_points=True)
    # Without a material: trimesh reads vertex colours as such of no mesh that has one.
    meshes: list[dict[str, Any]] = [
        {
            "name": _MATERIAL,
            "primitives": [
                {"attributes": {**attributes, "COLOR_0": coloured}, "indices": indices, "mode": 4}
            ],
        }
    ]
    if texture is not None:
        # The first mesh stays beside it for readers of vertex colours; no scene shows it.
        meshes[0]["name"] = f"{_MATERIAL} in vertex colours"
        primitive = {"attributes": attributes, "indices": indices, "material": 0, "mode": 4}
        meshes.append({"name": _MATERIAL, "primitives": [primitive]})
        file.tree |= _textured(file.add_bytes(texture.png))
    file.tree["meshes"] = meshes
    file.tree["nodes"] = [{"name": _MATERIAL, "mesh": len(meshes) - 1}]
    return file.whole()


def _textured(view: int) -> dict[str, Any]:
    """A matt two-sided material of the picture in a buffer view, and what belongs to it."""
    return {
        "images": [{"bufferView": view, "mimeType": "image/png"}],
        "samplers": [
            {
                "magFilter": _LINEAR,
                "minFilter": _LINEAR_MIPMAP_LINEAR,
                # Repeated, the opposite edge would show at the layout's own.
                "wrapS": _CLAMP_TO_EDGE,
                "wrapT": _CLAMP_TO_EDGE,
            }
        ],
        "textures": [{"source": 0, "sampler": 0}],
        "materials": [
            {
                "name": _MATERIAL,
                "pbrMetallicRoughness": {
                    "baseColorTexture": {"index": 0},
                    "metallicFactor": 0.0,
                    "roughnessFactor": 0.9,
                },
                "doubleSided": True,
            }
        ],
    }


def _linear_from_srgb(colours: np.ndarray) -> np.ndarray:
    encoded = colours / 255.0
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


class _GltfFile:
    """A binary glTF file as it grows: one buffer, and the tree that says what lies in it.

    Attributes:
      tree: the JSON part, to be completed by whoever knows the meshes.
    """

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "twodasl-jax"},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "accessors": [],
            "bufferViews": [],
        }
        self._buffer = bytearray()

    def add_bytes(self, data: bytes, **view: int) -> int:
        """Adds a part of the buffer; returns its view's number."""
        self.tree["bufferViews"].append(
            {"buffer": 0, "byteOffset": len(self._buffer), "byteLength": len(data), **view}
        )
        self._buffer += data + bytes(-len(data) % 4)
        return len(self.tree["bufferViews"]) - 1

    def add(self, values: np.ndarray, *, of_points: bool) -> int:
        """Adds ``(n, k)`` floats of points, or vertex numbers; returns the accessor's number."""
        rows = np.asarray(values, "<f4" if of_points else "<u4")
        target = _ARRAY_BUFFER if of_points else _ELEMENT_ARRAY_BUFFER
        accessor: dict[str, Any] = {
            "bufferView": self.add_bytes(rows.tobytes(), target=target),
            "componentType": _FLOAT if of_points else _UNSIGNED_INT,
            "count": len(rows) if of_points else rows.size,
            "type": f"VEC{rows.shape[1]}" if of_points else "SCALAR",
        }
        if of_points:
            accessor |= {"min": rows.min(axis=0).tolist(), "max": rows.max(axis=0).tolist()}
        self.tree["accessors"].append(accessor)
        return len(self.tree["accessors"]) - 1

    def whole(self) -> bytes:
        """The file: a header, the tree, the buffer (glTF 2.0, 4.4)."""
        self.tree["buffers"] = [{"byteLength": len(self._buffer)}]
        text = json.dumps(self.tree, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text
        chunks += struct.pack("<I4s", len(self._buffer), b"BIN\0") + self._buffer
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks

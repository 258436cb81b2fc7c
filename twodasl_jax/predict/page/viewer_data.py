"""What the viewer's page carries: a face and its model's first components, small enough for a page.

Arrays are stored as integers: 16 bits for the face, 12 for components, each with a scale of its
own. Neighbouring vertices have neighbouring numbers in face models, so the differences along a row
are small and gzip finds little to write: the 53,215 vertices of BFM with 22 components take 2 MB,
not the 14 MB of their float32 values.
"""

import base64
import gzip
import io
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.methods.method import CodeStatistics
from twodasl_jax.predict.faces.reconstruct import Reconstruction
from twodasl_jax.predict.meshes.mesh import mesh_vertices
from twodasl_jax.predict.pictures.drawing import LANDMARK_GROUPS
from twodasl_jax.predict.pictures.visibility import FaceNotShownError

NUM_SHAPE_SLIDERS = 12
"""Of 40: they hold 96 % of BFM's variance and 85 % of the open face model's; each more costs a BFM
page some 0.1 MB."""

BASE_BITS, COMPONENT_BITS = 16, 12

LARGEST_PHOTO_SIDE = 1024
"""The photograph around the face is reduced to this, pixels: twice what a page shows of it."""

_FRAME_MARGIN = 0.15
"""Kept around the network's crop on each side, as a share of it."""


class Quantised(NamedTuple):
    """An array as small integers.

    Attributes:
      values: int16, of the array's shape.
      scales: one per leading index: ``array ≈ values · scale``.
    """

    values: np.ndarray
    scales: np.ndarray


def quantise(array: np.ndarray, bits: int) -> Quantised:
    """Rounds each ``array[i]`` to integers of so many bits; the error is at most half a scale.

    Args:
      array: ``(k, ...)`` finite.
      bits: 2 to 16, sign included.
    """
    largest = np.abs(array).max(axis=tuple(range(1, array.ndim)), initial=0.0)
    scales = np.where(largest > 0, largest, 1.0) / (2 ** (bits - 1) - 1)
    values = np.round(array / scales.reshape(-1, *[1] * (array.ndim - 1)))
    return Quantised(values.astype(np.int16), scales)


def pack_arrays(arrays: dict[str, np.ndarray]) -> tuple[list[dict[str, Any]], str]:
    """Arrays as headers and one text; ``viewer_page/unpack.js`` reads them.

    Each row is replaced by the differences of its neighbours (modulo the type's range), all first
    bytes stand before all second bytes, and the whole is gzipped and written in base64.

    Args:
      arrays: int16, uint8 or uint32; the last axis is the row.

    Returns:
      A list of ``{"name", "type", "rows", "columns"}``, and the text.
    """
    headers, parts = [], []
    for name, array in arrays.items():
        columns = array.shape[-1]
        rows = np.ascontiguousarray(array.reshape(-1, columns))
        unsigned = rows.view(f"u{array.itemsize}")
        differences = unsigned.copy()
        differences[:, 1:] -= unsigned[:, :-1]
        planes = differences.astype(f"<u{array.itemsize}").view(np.uint8)
        parts.append(planes.reshape(-1, array.itemsize).T.tobytes())
        headers.append(
            {"name": name, "type": array.dtype.name, "rows": len(rows), "columns": columns}
        )
    # No time stamp: the same face gives the same page.
    packed = gzip.compress(b"".join(parts), compresslevel=6, mtime=0)
    return headers, base64.b64encode(packed).decode()


def slider_components(
    face: Reconstruction, face_model: FaceModel, statistics: CodeStatistics | None
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The components that have sliders, per standard deviation, and where the face is on each.

    Args:
      face: of `face_model`.
      face_model: whose components.
      statistics: of the code; None, where it weighs no bases of the face model, gives no slider.

    Returns:
      ``(k, 3, n)`` millimetres per standard deviation: all expression components, then the first
      `NUM_SHAPE_SLIDERS` of shape; and for each ``{"kind", "number", "value"}``, the value in
      standard deviations from the average.
    """
    if statistics is None:
        return np.zeros((0, 3, face_model.num_vertices)), []
    mean, std = (np.asarray(array, np.float64) for array in statistics[:2])
    offsets = (np.asarray(face.code, np.float64) - mean) / std
    parts, described = [], []
    for kind, basis, count in (
        ("expression", face_model.linear.expression_basis, len(face_model.linear.expression_basis)),
        ("shape", face_model.linear.shape_basis, NUM_SHAPE_SLIDERS),
    ):
        start = statistics.layout[kind].start
        chosen = slice(start, start + count)
        parts.append(np.asarray(basis, np.float64)[:count] * std[chosen, None, None])
        described += [
            {"kind": kind, "number": number, "value": round(float(value), 4)}
            for number, value in enumerate(offsets[chosen], 1)
        ]
    return np.concatenate(parts) / face_model.units_per_millimetre, described


def geometry_of(face: Reconstruction, face_model: FaceModel) -> dict[str, Any]:
    """How the page's mesh, in millimetres, comes to lie on the photograph.

    The *frame* is a square around the face, from -1 to 1: x right, y up, z towards the viewer.

    Returns:
      ``matrix_columns`` and ``centre``: ``frame = matrix · millimetres + centre``, for points
      about the mean vertex; ``rotation_columns``: the head's rotation alone; and
      ``landmarks_2d``: in thousandths of the frame's side, from its upper left corner.
    """
    corner, side = frame_of(face)
    to_frame = 2.0 / side
    # The crop's two scales differ where a box was clipped: the photograph's own pixels count.
    scale = np.append(face.roi_box[2:] - face.roi_box[:2], 0.0)
    scale[2] = scale[:2].mean()
    camera = np.asarray(face.camera_matrix, np.float64)[:, :3]
    matrix = camera * (scale[:, None] / len(face.crop))
    matrix *= to_frame * face_model.units_per_millimetre
    centre = face.vertices.mean(axis=1, dtype=np.float64)
    centre[:2] -= corner
    centre = (centre * to_frame - (1.0, 1.0, centre[2] * to_frame)) * (1.0, -1.0, 1.0)
    return {
        "matrix_columns": matrix.T.tolist(),
        "centre": centre.tolist(),
        "rotation_columns": np.asarray(face.camera.rotation, np.float64).T.tolist(),
        "landmarks_2d": np.round((face.landmarks_px - corner) * (1000.0 / side), 1).tolist(),
    }


def frame_of(face: Reconstruction) -> tuple[np.ndarray, float]:
    """The square that the page shows: its upper left corner and its side, image pixels."""
    start, end = (np.asarray(part, np.float64) for part in (face.roi_box[:2], face.roi_box[2:]))
    side = (1.0 + 2.0 * _FRAME_MARGIN) * float((end - start).max())
    return 0.5 * (start + end - side), side


def photo_in_frame(image: np.ndarray, face: Reconstruction) -> dict[str, Any]:
    """The part of a photograph that lies in the frame, as a JPEG in a ``data:`` address.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      face: found in it.

    Returns:
      ``href``, and ``x``, ``y``, ``width``, ``height`` in sides of the frame.

    Raises:
      FaceNotShownError: when the frame lies beside the photograph.
    """
    corner, side = frame_of(face)
    height, width = image.shape[:2]
    left, top = np.floor(corner).clip(0).astype(int)
    right, bottom = np.ceil(corner + side).astype(int).clip(max=(width, height))
    if right <= left or bottom <= top:
        raise FaceNotShownError(
            f"the face lies beside the {width} x {height} picture; is it the photograph that the "
            "reconstruction was made from?"
        )
    picture = Image.fromarray(image[top:bottom, left:right])
    picture.thumbnail((LARGEST_PHOTO_SIDE, LARGEST_PHOTO_SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88, optimize=True)
    x, y = (np.array([left, top]) - corner) / side  # pixel c begins at c
    return {
        "href": "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode(),
        "x": float(x),
        "y": float(y),
        "width": float((right - left) / side),
        "height": float((bottom - top) / side),
    }


def landmark_groups() -> list[dict[str, Any]]:
    """The lines of the 68 landmarks, as the package's other pictures draw them."""
    return [
        {"indices": list(indices), "closed": closed, "colour": "#{:02x}{:02x}{:02x}".format(*rgb)}
        for indices, closed, rgb in LANDMARK_GROUPS.values()
    ]


def face_arrays(
    face: Reconstruction,
    face_model: FaceModel,
    components: np.ndarray,
    colours: np.ndarray,
    glb: bytes,
) -> tuple[list[dict[str, Any]], str]:
    """Everything large of a page, packed: face, components, triangles, colours, and the GLB file.

    Args:
      face: of `face_model`.
      face_model: its triangles.
      components: ``(k, 3, n)`` millimetres, as `slider_components` gives them.
      colours: ``(n, 3)`` uint8 sRGB.
      glb: the file to be downloaded.

    Returns:
      As `pack_arrays`; the headers of quantised arrays have ``scales`` too.
    """
    base = quantise(mesh_vertices(face, face_model).T.astype(np.float64), BASE_BITS)
    parts = quantise(components, COMPONENT_BITS)
    headers, payload = pack_arrays(
        {
            "base": base.values,
            "components": parts.values,
            "triangles": np.asarray(face_model.triangles, np.uint32).T,
            "colours": colours.T,
            "glb": np.frombuffer(glb, np.uint8),
        }
    )
    headers[0]["scales"], headers[1]["scales"] = base.scales.tolist(), parts.scales.tolist()
    return headers, payload

"""The part of the head that is kept, as triangles: hairline to chin, in front of the ears.

Every kept vertex is a weighted mean of base vertices (one for most, two where the rim cuts an
edge), so that positions and displacements are carried over by one sparse matrix.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import scipy.sparse

from tools.open_face.assets import BaseMesh
from twodasl_jax.rendering.rasterizer import Rasterization, rasterize

VIEW_SIZE = 512
VIEW_CAPACITY = 2_000_000
PIXELS_PER_MM = VIEW_SIZE / 260
VIEW_YAWS = (-75.0, -40.0, 0.0, 40.0, 75.0)
VIEW_PITCHES = (-30.0, 0.0, 30.0)


class Region(NamedTuple):
    """The kept surface.

    Attributes:
      weights: ``(n, v)`` sparse; rows sum to 1; base vertices to kept ones.
      triangles: ``(t, 3)`` counter-clockwise from outside.
      mirror: ``(n,)``.
      is_inside: ``(n,)`` bool: mouth and nostrils, seen from nowhere in front.
      is_eye: ``(n,)`` bool: the eyeballs.
    """

    weights: scipy.sparse.csr_matrix
    triangles: np.ndarray
    mirror: np.ndarray
    is_inside: np.ndarray
    is_eye: np.ndarray


def face_region(mesh: BaseMesh, mean: np.ndarray) -> Region:
    """Cuts the face out of the base mesh; the mouth is closed behind the lips.

    Args:
      mesh: the base mesh.
      mean: ``(v, 3)`` the mean head, millimetres, origin between the eyes.
    """
    is_eyeball = np.isin(mesh.groups, ["helper-l-eye", "helper-r-eye"])
    is_eye = np.zeros(len(mean), bool)
    is_eye[mesh.quads[is_eyeball]] = True
    quads = mesh.quads[is_eyeball | (mesh.groups == "body")]
    triangles = _triangulate(quads[(mean[quads][..., 1] > -150).all(axis=1)], mean)
    visible = _visible_vertices(mean, triangles)
    visible |= visible[mesh.mirror]
    # Mouth, eye sockets and nostrils stay as far as a ring behind what is seen.
    shown = visible.copy()
    shown[triangles[visible[triangles].any(axis=1)]] = True
    triangles = triangles[(shown & shown[mesh.mirror])[triangles].all(axis=1)]
    edges, shares, triangles = _clip(triangles, _distance_to_rim(mean))
    weights = _edge_weights(edges, shares, len(mean))
    mirror = _mirrored_edges(edges, mesh.mirror)
    cap, fan = _mouth_cap(weights @ mean, triangles)
    weights = scipy.sparse.vstack([weights, scipy.sparse.csr_matrix(weights[cap].mean(axis=0))])
    return Region(
        scipy.sparse.csr_matrix(weights),
        np.concatenate([triangles, fan]),
        np.append(mirror, len(mirror)),
        np.append(~visible[edges[:, 0]], True),
        np.append(is_eye[edges[:, 0]], False),
    )


def _distance_to_rim(mean: np.ndarray) -> np.ndarray:
    """``(v,)`` millimetres inside hairline, ears and throat; negative outside."""
    _, y, z = mean.T
    throat = z + 28 + 0.9 * (y + 95)  # slants from the jaw's angle to under the chin
    return np.minimum.reduce([72 - y, y + 116, z + 54, np.where(y < -95, throat, z + 54)])


def _triangulate(quads: np.ndarray, mean: np.ndarray) -> np.ndarray:
    # The shorter diagonal: a mirrored quad then has the mirrored diagonal.
    corners = mean[quads]
    lengths = np.linalg.norm(corners[:, [0, 1]] - corners[:, [2, 3]], axis=2)
    shorter = (lengths[:, 0] < lengths[:, 1])[:, None]
    first = np.where(shorter, quads[:, [0, 1, 2]], quads[:, [1, 2, 3]])
    second = np.where(shorter, quads[:, [0, 2, 3]], quads[:, [1, 3, 0]])
    return np.concatenate([first, second])


def _clip(triangles: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cuts triangles at distance 0.

    Returns:
      ``edges (n, 2)`` base vertices of each new vertex (equal ones: the vertex itself),
      ``shares (n,)`` of the second one, and the triangles in numbers of those.
    """
    inside = distance[triangles] > 0
    count = inside.sum(axis=1)
    # The corner that differs from the other two comes first.
    odd = np.where(count == 1, inside.argmax(axis=1), (~inside).argmax(axis=1))
    a, b, c = np.take_along_axis(triangles, (odd[:, None] + np.arange(3)) % 3, axis=1).T
    whole = triangles[count == 3]
    one, two = count == 1, count == 2
    faces = [
        np.stack([whole, whole], axis=-1),
        _corners((a, a), (a, b), (a, c), rows=one),
        _corners((a, b), (b, b), (c, c), rows=two),
        _corners((a, b), (c, c), (a, c), rows=two),
    ]
    corners = np.sort(np.concatenate(faces), axis=-1)
    edges, numbers = np.unique(corners.reshape(-1, 2), axis=0, return_inverse=True)
    near, far = distance[edges[:, 0]], distance[edges[:, 1]]
    is_edge = edges[:, 0] != edges[:, 1]
    shares = np.where(is_edge, near / np.where(is_edge, near - far, 1), 0)
    return edges, shares, numbers.reshape(-1, 3)


def _corners(*corners: tuple[np.ndarray, np.ndarray], rows: np.ndarray) -> np.ndarray:
    """``(t, 3, 2)``: three corners, each a pair of base vertices, of the chosen rows."""
    return np.stack([np.stack(corner, axis=-1)[rows] for corner in corners], axis=1)


def _edge_weights(
    edges: np.ndarray, shares: np.ndarray, num_vertices: int
) -> scipy.sparse.csr_matrix:
    rows = np.arange(len(edges)).repeat(2)
    values = np.stack([1 - shares, shares], axis=1).ravel()
    return scipy.sparse.csr_matrix(
        (values, (rows, edges.ravel())), shape=(len(edges), num_vertices)
    )


def _mirrored_edges(edges: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    numbers = {tuple(edge): number for number, edge in enumerate(edges.tolist())}
    return np.array([numbers[tuple(sorted(edge))] for edge in mirror[edges].tolist()])


def _mouth_cap(points: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The open rim behind the lips, and a fan of triangles that closes it.

    Returns:
      The rim's vertices, and triangles to a new vertex numbered ``len(points)``.
    """
    edges = triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    known = set(map(tuple, edges.tolist()))
    x, y, z = points.T
    near_mouth = (np.abs(x) < 32) & (np.abs(y + 67) < 20) & (z > -15)
    rim = [edge for edge in known if edge[::-1] not in known and near_mouth[list(edge)].all()]
    rim.sort()
    fan = np.array([(end, start, len(points)) for start, end in rim])
    return np.unique(np.array(rim)), fan


def _visible_vertices(mean: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """``(v,)`` bool: corners of outward triangles that any of the views shows."""
    visible = np.zeros(len(mean), bool)
    for yaw in np.deg2rad(VIEW_YAWS):
        for pitch in np.deg2rad(VIEW_PITCHES):
            turned, raster = _view(mean, triangles, yaw, pitch)
            shown = np.unique(np.asarray(raster.triangle_ids))
            shown = triangles[shown[shown >= 0]]
            corners = turned[shown]
            # Through the open neck a view sees the head's inside: back faces do not count.
            normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            visible[shown[normals[:, 2] > 0]] = True
    return visible & ~_deep_in_the_mouth(mean, triangles)


def _deep_in_the_mouth(mean: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """``(v,)`` bool: over 10 mm behind the frontal surface of the lips and what is around them."""
    turned, raster = _view(mean, triangles, 0.0, 0.0)
    column, row = _pixels(turned)[:2].round().astype(int).clip(0, VIEW_SIZE - 1)
    depth = np.asarray(raster.depth)[row, column] / PIXELS_PER_MM
    x, y, z = mean.T
    around = (np.abs(x) < 40) & (y < -20) & (y > -100)
    return around & (z < depth - 10.0)


def _view(
    mean: np.ndarray, triangles: np.ndarray, yaw: float, pitch: float
) -> tuple[np.ndarray, Rasterization]:
    """The head turned by angles in radians, ``(v, 3)`` millimetres, and what is seen of it."""
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    )
    turned = mean @ (about_x @ about_y).T
    raster = rasterize(
        jnp.asarray(_pixels(turned), jnp.float32),
        jnp.asarray(triangles, jnp.int32),
        height=VIEW_SIZE,
        width=VIEW_SIZE,
        capacity=VIEW_CAPACITY,
    )
    if raster.overflow:
        raise ValueError(f"VIEW_CAPACITY ({VIEW_CAPACITY}) is too small by {raster.overflow}")
    return turned, raster


def _pixels(points: np.ndarray) -> np.ndarray:
    x, y, z = points.T * PIXELS_PER_MM
    return np.stack([x + VIEW_SIZE / 2, VIEW_SIZE / 2 - y, z])

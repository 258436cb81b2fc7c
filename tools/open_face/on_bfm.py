"""Makes ``on_bfm.npz``: where on the Basel Face Model's mesh each vertex of the open face lies.

python -m tools.open_face.on_bfm --face_model=data/bfm.npz

The mean open face is laid onto BFM's mean face, and its vertices onto the nearest points there: by
the similarity of the 68 landmarks, a smooth warp through them, then non-rigid steps towards the
nearest surface points, ever less stiff (Amberg, Romdhani, Vetter, "Optimal step nonrigid ICP",
CVPR 2007, with displacements in place of affine maps). What is stored are vertex numbers of BFM and
barycentric weights: nothing of its shape.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy import sparse
from scipy.interpolate import RBFInterpolator
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from twodasl_jax.face_model.correspondence import ON_BFM_FILE
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.model import FaceModel, load_face_model
from twodasl_jax.face_model.model_identity import face_model_identity
from twodasl_jax.geometry.alignment import similarity_alignment
from twodasl_jax.standard_streams import make_standard_streams_safe
from twodasl_jax.whole_file import whole_file

STIFFNESS = (100.0, 50.0, 20.0, 10.0, 5.0, 2.0)
"""Of the displacements between neighbours, against 1 of each vertex to its nearest point. Below 2
the eyelids crumple."""

ROUNDS = 3
"""Steps at each stiffness."""

JAW_WEIGHT, INNER_WEIGHT = 0.6, 3.0
"""Of the landmarks; a jaw's are less of a place on the skin."""

FARTHEST_MM = 6.0
"""A vertex farther from the surface is led by its neighbours alone."""

KNOWN_MM = 2.0
"""A vertex that ends farther has no counterpart: the insides of mouth and nostrils."""

LEAST_COSINE = 0.3
"""Between the normals of a vertex and of the surface where it may lie."""


class Mesh(NamedTuple):
    """Points in millimetres.

    Attributes:
      points: ``(n, 3)``.
      triangles: ``(t, 3)``.
      landmarks: ``(68,)`` vertices.
    """

    points: np.ndarray
    triangles: np.ndarray
    landmarks: np.ndarray


class Nearest(NamedTuple):
    """Points of a surface.

    Attributes:
      vertices: ``(n, 3)`` of the triangles that they lie in.
      weights: ``(n, 3)`` barycentric.
      distance: ``(n,)``, infinite where no surface faces the same way.
    """

    vertices: np.ndarray
    weights: np.ndarray
    distance: np.ndarray


def mean_mesh(face_model: FaceModel) -> Mesh:
    """The mean face in millimetres."""
    points = np.asarray(face_model.linear.mean, np.float64).T / face_model.units_per_millimetre
    return Mesh(points, np.asarray(face_model.triangles), np.asarray(face_model.landmark_vertices))


def normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """``(n, 3)`` unit normals of the vertices, by the areas of their triangles."""
    first, second, third = (points[triangles[:, corner]] for corner in range(3))
    of_triangles = np.cross(second - first, third - first)
    summed = np.zeros_like(points)
    for corner in range(3):
        np.add.at(summed, triangles[:, corner], of_triangles)
    return summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12)


def nearest_in_triangles(point: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The point of each triangle that is nearest to a point.

    Args:
      point: ``(3,)``.
      corners: ``(t, 3, 3)`` corners as rows.

    Returns:
      ``(t, 3)`` barycentric weights, and ``(t,)`` distances.
    """
    origin, sides = corners[:, 0], corners[:, 1:] - corners[:, :1]
    gram = np.einsum("tid,tjd->tij", sides, sides)
    gram = gram + 1e-12 * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(2)
    inner = np.linalg.solve(gram, np.einsum("tid,td->ti", sides, point - origin)[..., None])[..., 0]
    inside = np.column_stack([1 - inner.sum(axis=1), inner])
    candidates = [np.where((inside >= 0).all(axis=1, keepdims=True), inside, np.nan)]
    for start, end in ((0, 1), (1, 2), (2, 0)):
        edge = corners[:, end] - corners[:, start]
        length = np.maximum((edge**2).sum(axis=1), 1e-12)
        along = (((point - corners[:, start]) * edge).sum(axis=1) / length).clip(0, 1)
        weights = np.zeros_like(inside)
        weights[:, start], weights[:, end] = 1 - along, along
        candidates.append(weights)
    tried = np.stack(candidates)
    distance = np.linalg.norm(np.einsum("kti,tid->ktd", tried, corners) - point, axis=-1)
    best = np.where(np.isnan(distance), np.inf, distance).argmin(axis=0)
    rows = np.arange(len(corners))
    return tried[best, rows], distance[best, rows]


class Surface:
    """A mesh that answers which of its points are nearest."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh, self._normals = mesh, normals(mesh.points, mesh.triangles)
        self._tree = cKDTree(mesh.points)
        owner = np.repeat(np.arange(len(mesh.triangles)), 3)
        order = np.argsort(mesh.triangles.ravel(), kind="stable")
        self._owners = owner[order]
        counts = np.bincount(mesh.triangles.ravel(), minlength=len(mesh.points))
        self._starts = np.concatenate([[0], np.cumsum(counts)])

    def nearest(self, points: np.ndarray, directions: np.ndarray) -> Nearest:
        """The nearest points of the surface that face about as given.

        Args:
          points: ``(n, 3)``.
          directions: ``(n, 3)`` unit normals.
        """
        _, near = self._tree.query(points, k=12)
        found = Nearest(
            np.zeros(points.shape, np.int32), np.zeros(points.shape), np.full(len(points), np.inf)
        )
        for row, (point, direction) in enumerate(zip(points, directions, strict=True)):
            facing = near[row][self._normals[near[row]] @ direction > LEAST_COSINE]
            if not len(facing):
                continue
            owners = [self._owners[self._starts[v] : self._starts[v + 1]] for v in facing]
            triangles = self._mesh.triangles[np.unique(np.concatenate(owners))]
            weights, distance = nearest_in_triangles(point, self._mesh.points[triangles])
            best = distance.argmin()
            found.vertices[row], found.weights[row] = triangles[best], weights[best]
            found.distance[row] = distance[best]
        return found


def registered(source: Mesh, target: Mesh) -> np.ndarray:
    """The source's points laid onto the target: similarity, warp, non-rigid steps.

    Args:
      source: to move.
      target: to lie on.

    Returns:
      ``(n, 3)``.
    """
    wanted = target.points[target.landmarks]
    similarity = similarity_alignment(
        jnp.asarray(source.points[source.landmarks]), jnp.asarray(wanted)
    )
    points = float(similarity.scale) * source.points @ np.asarray(similarity.rotation).T
    points = points + np.asarray(similarity.translation)
    warp = RBFInterpolator(points[source.landmarks], wanted, kernel="linear", smoothing=5.0)
    points, surface = warp(points), Surface(target)
    stiff = _laplacian(source)
    pull = np.zeros(len(points))
    pull[source.landmarks] = np.where(np.arange(68) < 17, JAW_WEIGHT, INNER_WEIGHT)
    to_landmarks = np.zeros_like(points)
    for stiffness in STIFFNESS:
        for _ in range(ROUNDS):
            found = surface.nearest(points, normals(points, source.triangles))
            led = (found.distance < FARTHEST_MM).astype(float)
            there = np.einsum("ni,nid->nd", found.weights, target.points[found.vertices])
            to_landmarks[source.landmarks] = wanted - points[source.landmarks]
            system = sparse.diags(led + pull + 1e-3) + stiffness * stiff
            right = led[:, None] * (there - points) + pull[:, None] * to_landmarks
            points = points + splu(system.tocsc()).solve(right)
        print(f"stiffness {stiffness:g}: {led.sum():.0f} of {len(led)} vertices led")
    return points


def _laplacian(mesh: Mesh) -> sparse.csr_matrix:
    """``(n, n)`` sum of squared differences between neighbours, as a quadratic form."""
    sides = mesh.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    edges = np.unique(np.sort(sides, axis=1), axis=0)
    rows = np.arange(len(edges)).repeat(2)
    signs = np.tile([1.0, -1.0], len(edges))
    difference = sparse.csr_matrix(
        (signs, (rows, edges.ravel())), shape=(len(edges), len(mesh.points))
    )
    return (difference.T @ difference).tocsr()


def main() -> None:
    """Registers, stores, and says how well it went."""
    make_standard_streams_safe()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--face_model", required=True, type=Path)
    parser.add_argument("--output", default=ON_BFM_FILE, type=Path)
    arguments = parser.parse_args()
    bfm, open_face = face_model_from_file(arguments.face_model), load_face_model()
    source, target = mean_mesh(open_face), mean_mesh(bfm)
    points = registered(source, target)
    found = Surface(target).nearest(points, normals(points, source.triangles))
    known = found.distance < KNOWN_MM
    arrays = {
        "vertices": found.vertices,
        "weights": found.weights.astype(np.float32),
        "known": known,
        "open_face_triangles": face_model_identity(open_face)["arrays"]["triangles"],
        "bfm_triangles": face_model_identity(bfm)["arrays"]["triangles"],
    }
    with whole_file(arguments.output) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, **arrays)
    lies = np.einsum("ni,nid->nd", found.weights, target.points[found.vertices])
    apart = np.linalg.norm(lies[source.landmarks] - target.points[target.landmarks], axis=1)
    jaw = np.arange(68) < 17
    jaw, inner = (apart[side & known[source.landmarks]] for side in (jaw, ~jaw))
    print(
        f"{known.sum()} of {len(known)} vertices lie on the surface, before that "
        f"{found.distance[known].mean():.2f} mm away; landmarks from BFM's: "
        f"{jaw.mean():.1f} mm ({len(jaw)} on the jaw), {inner.mean():.1f} mm ({len(inner)} others)"
    )


if __name__ == "__main__":
    main()

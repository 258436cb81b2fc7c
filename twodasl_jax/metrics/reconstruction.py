"""Reconstruction error: distances that remain after a rigid alignment by ICP, on the host.

The protocol of 2DASL's authors: every 50th vertex of the predicted mesh is aligned rigidly, without
scale, to every 50th of the true one by iterated closest points. Nearest neighbours are exact.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from twodasl_jax.metrics.nme import box_size

VERTEX_STRIDE = 50
"""1,065 of the Basel model's 53,215 vertices."""

MAX_ITERATIONS = 1000
"""Of `rigid_icp`; predicted faces settle within some dozens."""


class RigidAlignment(NamedTuple):
    """``target ≈ rotation · source + translation``.

    Attributes:
      rotation: ``(3, 3)``, det = +1.
      translation: ``(3,)``.
    """

    rotation: np.ndarray
    translation: np.ndarray


class IcpResult(NamedTuple):
    """What `rigid_icp` found.

    Attributes:
      points: ``(n, 3)`` the source, aligned.
      num_iterations: alignments done.
    """

    points: np.ndarray
    num_iterations: int


class ReconstructionError(NamedTuple):
    """Mean distances over ``sqrt(w·h)`` of the true mesh's box, fractions.

    Attributes:
      same_vertex: to the same vertex of the true mesh (the authors' script).
      nearest_point: to the nearest of all true vertices.
    """

    same_vertex: float
    nearest_point: float


def rigid_alignment(source: npt.ArrayLike, target: npt.ArrayLike) -> RigidAlignment:
    """The rotation and translation with the least sum of squares; no scale, no reflection.

    Kabsch, "A solution for the best rotation to relate two sets of vectors", Acta Cryst. 1976.

    Args:
      source: ``(n, 3)``.
      target: ``(n, 3)``, the corresponding points.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 3:
        raise ValueError(f"source {source.shape}, target {target.shape}; expected (n, 3) twice")
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    left, _, right = np.linalg.svd((target - target_mean).T @ (source - source_mean))
    # -1 where the best orthogonal map is a reflection: the weakest axis is then turned over.
    handedness = np.sign(np.linalg.det(left @ right)) or 1.0
    rotation = (left * [1.0, 1.0, handedness]) @ right
    return RigidAlignment(rotation, target_mean - rotation @ source_mean)


def rigid_icp(source: npt.ArrayLike, target: npt.ArrayLike) -> IcpResult:
    """Iterated closest points: pairs each point with its nearest, aligns, until nothing changes.

    Besl & McKay, "A method for registration of 3-D shapes", PAMI 1992. Starts with the two means
    one upon the other. The summed squares never grow, so the pairs settle after finitely many
    steps: exactly, without a tolerance.

    Args:
      source: ``(n, 3)``.
      target: ``(m, 3)``.

    Raises:
      ValueError: for other shapes, points that are not finite, or pairs that do not settle.
    """
    points, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    for name, array in (("source", points), ("target", target)):
        if array.ndim != 2 or array.shape[1] != 3 or not np.isfinite(array).all():
            raise ValueError(f"{name} is {array.shape}; expected (n, 3) finite numbers")
    tree = KDTree(target)
    points = points + (target.mean(axis=0) - points.mean(axis=0))
    pairs = np.full(len(points), -1)
    for iteration in range(MAX_ITERATIONS):
        _, nearest = tree.query(points)
        if np.array_equal(nearest, pairs):
            return IcpResult(points, iteration)
        pairs = nearest
        rotation, translation = rigid_alignment(points, target[pairs])
        points = points @ rotation.T + translation
    raise ValueError(f"the nearest points still change after {MAX_ITERATIONS} iterations of ICP")


def reconstruction_error(
    predicted: npt.ArrayLike, true: npt.ArrayLike, *, stride: int = VERTEX_STRIDE
) -> ReconstructionError:
    """Aligns every `stride`-th vertex by `rigid_icp` and measures by both definitions.

    Args:
      predicted: ``(n, 3)`` vertices, image pixels with depth in the same unit.
      true: ``(n, 3)``, of the same topology; its x and y box normalises.
      stride: of the vertices that take part.

    Raises:
      ValueError: where shapes differ.
    """
    predicted, true = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    if predicted.shape != true.shape:
        raise ValueError(
            f"the predicted mesh is {predicted.shape} and the true one {true.shape}; expected the "
            "same vertices"
        )
    chosen = true[::stride]
    aligned = rigid_icp(predicted[::stride], chosen)
    size = box_size(true[None])[0]
    # Quicker to build than a balanced tree, which pays only for more queries than these.
    nearest, _ = KDTree(true, balanced_tree=False).query(aligned.points)
    return ReconstructionError(
        same_vertex=float(np.linalg.norm(aligned.points - chosen, axis=1).mean() / size),
        nearest_point=float(np.mean(nearest) / size),
    )

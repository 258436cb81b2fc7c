"""What foreign face models lack or hold otherwise: mirror table, uv, winding (host, numpy)."""

import numpy as np

_CANDIDATES_PER_VERTEX = 8
"""Near neighbours considered for a vertex whose nearest one is already taken."""


def counter_clockwise_triangles(mean: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Gives triangles the winding `FaceModel` wants, swapping two columns where it is inverted.

    Args:
      mean: ``(3, n)``, looking towards +z.
      triangles: ``(t, 3)``, all wound the same way.
    """
    corners = mean.astype(np.float64)[:, triangles]
    normals = np.cross(corners[..., 1] - corners[..., 0], corners[..., 2] - corners[..., 0], axis=0)
    # A face is a sheet that looks towards +z, so the larger part of its area must.
    return triangles if normals[2].sum() > 0 else triangles[:, [0, 2, 1]]


def _accept_nearest_first(
    mirror: np.ndarray, pairs: np.ndarray, residuals: np.ndarray, free: np.ndarray
) -> None:
    """Enters pairs into `mirror`, best first, each vertex once; `mirror` and `free` change."""
    for first, second in pairs[np.argsort(residuals, kind="stable")]:
        if free[first] and free[second]:
            mirror[first], mirror[second] = second, first
            free[first] = free[second] = False


def mirror_from_pairs(mean: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """A mirror table from listed pairs, made an involution.

    Published pair lists name a few vertices twice (9 of BFM's 53,215): the geometrically nearer
    partner is kept; what stays over is paired by nearness, across the mirror plane.

    Args:
      mean: ``(3, n)``.
      pairs: ``(m, 2)`` vertex indices; a vertex paired with itself lies on the mirror plane.

    Returns:
      ``(n,)`` with ``mirror[mirror] == arange(n)``. Where one half has more vertices than the
      other, those too many (8 of BFM's) are their own mirror image.
    """
    num_vertices = mean.shape[1]
    mirror, free = np.arange(num_vertices), np.ones(num_vertices, bool)
    on_plane = pairs[pairs[:, 0] == pairs[:, 1], 0]
    free[on_plane] = False
    center = mean[0, on_plane].mean() if len(on_plane) else mean[0].mean()
    reflected = mean * np.array([[-1.0], [1.0], [1.0]]) + np.array([[2 * center], [0.0], [0.0]])
    residuals = np.linalg.norm(mean[:, pairs[:, 0]] - reflected[:, pairs[:, 1]], axis=0)
    _accept_nearest_first(mirror, pairs, residuals, free)
    _pair_the_rest(mirror, free, mean, reflected)
    return mirror


def mirror_by_nearness(mean: np.ndarray, center: float) -> np.ndarray:
    """A mirror table for a model that has none: each vertex's reflection's nearest vertex.

    Args:
      mean: ``(3, n)``, nearly symmetric.
      center: x of the mirror plane (the mean of the 68 landmarks' x serves).

    Returns:
      ``(n,)`` with ``mirror[mirror] == arange(n)``; a vertex that finds no free partner is its
      own.

    Raises:
      ValueError: where the mean is so asymmetric that the table would mean nothing.
    """
    num_vertices = mean.shape[1]
    reflected = mean * np.array([[-1.0], [1.0], [1.0]]) + np.array([[2 * center], [0.0], [0.0]])
    distances, nearest = _nearest(mean, reflected, count=1)
    width = np.ptp(mean[0])
    if np.median(distances) > 0.02 * width:
        raise ValueError(
            f"the mean face is not symmetric: its reflection lies {np.median(distances):.3g} away "
            f"in the median, expected under 2 % of its width {width:.3g}; give mirror pairs"
        )
    mirror, free = np.arange(num_vertices), np.ones(num_vertices, bool)
    mutual = nearest[nearest] == np.arange(num_vertices)
    mirror[mutual], free[mutual] = nearest[mutual], False
    _pair_the_rest(mirror, free, mean, reflected)
    return mirror


def _pair_the_rest(
    mirror: np.ndarray, free: np.ndarray, mean: np.ndarray, reflected: np.ndarray
) -> None:
    """Pairs the vertices still free among themselves, nearest first; changes `mirror`."""
    rest = np.flatnonzero(free)
    if len(rest) < 2:
        return
    count = min(_CANDIDATES_PER_VERTEX, len(rest))
    distances, neighbours = _nearest(mean[:, rest], reflected[:, rest], count=count)
    pairs = np.stack([np.repeat(rest, count), rest[neighbours.ravel()]], axis=1)
    _accept_nearest_first(mirror, pairs, distances.ravel(), free)


def cylindrical_uv(mean: np.ndarray) -> np.ndarray:
    """Texture coordinates by unrolling the face from a vertical cylinder around the head.

    Args:
      mean: ``(3, n)``, y up, looking towards +z.

    Returns:
      ``(n, 2)`` in [0, 1], u to the right, v up.
    """
    x, y, z = mean.astype(np.float64)
    # The axis stands at the back edge of the face, so that its sheet spans less than a half turn
    # to either side and the angle has no seam on it.
    angle = np.arctan2(x - np.median(x), z - z.min() + 0.05 * np.ptp(z))
    uv = np.stack([angle, y], axis=1)
    low, high = uv.min(axis=0), uv.max(axis=0)
    return (uv - low) / (high - low)


def _nearest(
    points: np.ndarray, queries: np.ndarray, *, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Distances and indices of the points nearest to each query, the nearest first."""
    from scipy.spatial import KDTree  # not above: whoever only reads a model does without

    distances, found = KDTree(points.T).query(queries.T, k=count)
    return np.asarray(distances), np.asarray(found)

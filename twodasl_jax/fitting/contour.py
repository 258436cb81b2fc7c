"""Where the face's outline may lie on a mesh: candidates for landmark marching.

A 2D label of the jaw lies on the silhouette, which is another vertex at every head pose: on the
far side of a turned head it has wandered from the ear towards the cheek. Zhu et al. (HPEN, CVPR
2015) let each contour landmark march along a horizontal line of the mesh, to where it sticks out
farthest. Here the line's vertices are looked up once per face model.
"""

import numpy as np
from jaxtyping import Int

from twodasl_jax.face_model.model import FaceModel

NUM_CONTOUR = 17
"""The jaw points among the 68: rows 0 to 16, ear to ear."""

CHIN = 8

NUM_CANDIDATES = 12
"""Vertices on each line, the landmark's own first."""

_INNERMOST = 0.4
"""Where a line ends, as a share of the landmark's distance from the symmetry plane."""

_HEIGHT_WEIGHT = 2.0
"""A candidate at another height is worse than one at another width by this factor."""


def contour_candidates(face_model: FaceModel) -> Int[np.ndarray, "17 k"]:
    """Vertices that each jaw landmark may march to, from its own vertex inwards.

    On the mean face, at the landmark's height, from its distance to the symmetry plane down to
    0.4 of that. Of several vertices there (lips have an inside), the frontmost counts. The chin
    does not march.

    Args:
      face_model: any; the mean face decides.

    Returns:
      ``(17, 12)`` vertex indices, the landmark's own in the first column; the lines of left and
      right are each other's mirror images.
    """
    mean = np.asarray(face_model.linear.mean, np.float64)
    landmarks = np.asarray(face_model.landmark_vertices)[:NUM_CONTOUR]
    mirror = np.asarray(face_model.mirror_vertices)
    middle = mean[0, np.asarray(face_model.landmark_vertices)[[27, 28, 29, 30, CHIN]]].mean()
    candidates = np.repeat(landmarks[:, None], NUM_CANDIDATES, axis=1)
    shares = np.linspace(1.0, _INNERMOST, NUM_CANDIDATES)
    for row in range(CHIN):
        x, y, _ = mean[:, landmarks[row]]
        targets = middle + shares * (x - middle)
        distance = np.hypot(mean[0] - targets[:, None], _HEIGHT_WEIGHT * (mean[1] - y))
        # Frontmost within a small distance: otherwise a line may hop to the inside of a lip.
        near = distance <= 1.5 * distance.min(axis=1, keepdims=True)
        front = np.where(near, mean[2], -np.inf).argmax(axis=1)
        candidates[row, 1:] = front[1:]
        candidates[NUM_CONTOUR - 1 - row, 1:] = mirror[front[1:]]
    return candidates

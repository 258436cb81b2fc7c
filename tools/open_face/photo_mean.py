"""Makes ``photo_face.npz``: the open face model, its mean moved to where photographs show faces.

python -m tools.open_face.photo_mean --fits=runs/aflw_prior --face_model=data/bfm.npz

Where a face model's 68 points lie on a head is a convention, and the open face's differs from that
of the photographs' labels by constant offsets, which no coefficients can make up for. They are
learned from the 2D points of fits to photographs: a face model's faces are laid onto them, each
landmark's remaining offset in the head's frame is found by least squares over all faces, and the
mean is warped smoothly through the landmarks; again, until nothing moves. What coefficients or the
camera can do is taken out of the offsets, so that the mean moves no more than it must. Bases,
triangles and landmarks stay.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.interpolate import RBFInterpolator

from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.data.fitted_source import FittedSource
from twodasl_jax.face_model.correspondence import correspondence
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.model import (
    OPEN_FACE_FILE,
    PHOTO_FACE_FILE,
    FaceModel,
    face_model_crc,
    face_model_from_arrays,
    load_face_model,
    read_model_file,
    save_face_model,
)
from twodasl_jax.fitting.retarget import make_retarget_model, retarget
from twodasl_jax.landmark_tables import MIRROR_68
from twodasl_jax.standard_streams import make_standard_streams_safe

NUM_ROUNDS = 3
"""Of laying the model onto the fits and moving its mean. Nine more bring the 68 points from 0.72 to
0.68 % and move the mean by another 2.6 mm, away from the surface."""

RIDGE_MM = 1.0
"""A move of the whole basis by one standard deviation costs as much as so many millimetres at every
landmark: what the coefficients can do is left to them as far as they can do it cheaply."""


class Offsets(NamedTuple):
    """What is left between faces and a face model at the 68 landmarks.

    Attributes:
      millimetres: ``(68, 3)`` in the head's frame, by least squares over all faces.
      percent: mean distance in the pictures, % of sqrt(w·h).
      unmoved_percent: what would be left of it if the offsets were made good.
    """

    millimetres: np.ndarray
    percent: float
    unmoved_percent: float


def landmark_offsets(
    face_model: FaceModel, coefficients: np.ndarray, wanted: np.ndarray
) -> Offsets:
    """The constant offset of each landmark that explains the distances in the pictures best.

    Args:
      face_model: of the coefficients.
      coefficients: ``(n, 62)`` raw.
      wanted: ``(n, 68, 2)`` crop pixels.
    """
    at_landmarks = landmark_model(face_model)
    points = np.asarray(landmarks_from_coefficients(at_landmarks, jnp.asarray(coefficients)))
    left = wanted - points[..., :2]
    low, high = wanted.min(axis=1), wanted.max(axis=1)
    size = np.sqrt(np.prod(high - low, axis=1))
    camera = np.asarray(split_coefficients(jnp.asarray(coefficients)).camera, np.float64)
    # Pictures have y down, the camera's frame up.
    rows = camera[:, :2, :3] * np.array([1.0, -1.0])[:, None] / size[:, None, None]
    rows *= face_model.units_per_millimetre
    left = left / size[:, None, None]
    gram = np.einsum("nia,nib->ab", rows, rows)
    right = np.einsum("nia,nki->ka", rows, left)
    offsets = np.linalg.solve(gram, right.T).T
    unmoved = left - np.einsum("nia,ka->nki", rows, offsets)
    means = [100 * float(np.linalg.norm(part, axis=-1).mean()) for part in (left, unmoved)]
    return Offsets(offsets, *means)


def symmetric(offsets: np.ndarray) -> np.ndarray:
    """The mirror-symmetric part of moves of the landmarks, ``(68, 3)``."""
    return 0.5 * (offsets + offsets[MIRROR_68] * np.array([-1.0, 1.0, 1.0]))


def without_what_faces_do(offsets: np.ndarray, face_model: FaceModel) -> np.ndarray:
    """Moves of the landmarks less what camera and coefficients can do, ``(68, 3)``.

    Args:
      offsets: ``(68, 3)`` millimetres.
      face_model: whose mean moves.
    """
    model = landmark_model(face_model)
    points = np.asarray(model.mean, np.float64).T / face_model.units_per_millimetre
    centred = points - points.mean(axis=0)
    cameras = [np.broadcast_to(axis, points.shape) for axis in np.eye(3)]
    cameras += [np.cross(axis, centred) for axis in np.eye(3)] + [centred]
    # No price on the camera: it can move as far as it likes.
    rigid = np.linalg.qr(np.stack([move.ravel() for move in cameras], axis=1))[0]
    bases = np.concatenate([model.shape_basis, model.expression_basis]).astype(np.float64)
    bases = np.swapaxes(bases, 1, 2).reshape(len(bases), -1) / face_model.units_per_millimetre
    bases = bases - (bases @ rigid) @ rigid.T
    flat = offsets.ravel() - rigid @ (rigid.T @ offsets.ravel())
    price = RIDGE_MM**2 * 68 * np.eye(len(bases))
    weights = np.linalg.solve(bases @ bases.T + price, bases @ flat)
    return (flat - weights @ bases).reshape(-1, 3)


def warped_mean(original: FaceModel, landmarks: np.ndarray) -> np.ndarray:
    """The original mean, moved smoothly so that its landmarks come to lie where wanted.

    Args:
      original: whose mean is warped; its mirror pairs are moved alike.
      landmarks: ``(68, 3)`` model units.

    Returns:
      ``(3, n)`` float32.
    """
    points = np.asarray(original.linear.mean, np.float64).T
    marks = np.asarray(original.landmark_vertices)
    moves = RBFInterpolator(points[marks], landmarks - points[marks], kernel="linear")(points)
    mirror = np.asarray(original.mirror_vertices)
    moves = 0.5 * (moves + moves[mirror] * np.array([-1.0, 1.0, 1.0]))
    return (points + moves).T.astype(np.float32)


def flipped_triangles(face_model: FaceModel, mean: np.ndarray) -> int:
    """How many triangles of a mean look the other way than before."""
    triangles = np.asarray(face_model.triangles)

    def normals(points: np.ndarray) -> np.ndarray:
        corners = points.T[triangles]
        return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])

    before = normals(np.asarray(face_model.linear.mean, np.float64))
    return int((np.sum(before * normals(mean.astype(np.float64)), axis=1) < 0).sum())


def main() -> None:
    """Learns the mean, writes the model, and says what it gained."""
    make_standard_streams_safe()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", required=True, type=Path, help="of BFM, from --mode=annotate")
    parser.add_argument("--face_model", required=True, type=Path, help="BFM's file")
    parser.add_argument("--output", default=PHOTO_FACE_FILE, type=Path)
    arguments = parser.parse_args()
    bfm, original = face_model_from_file(arguments.face_model), load_face_model()
    fitted = FittedSource(arguments.fits, face_model_crc=face_model_crc(bfm))
    given = np.asarray(fitted.coefficients, np.float32)
    bfm_points = landmarks_from_coefficients(landmark_model(bfm), jnp.asarray(given))
    wanted = np.asarray(bfm_points, np.float64)[..., :2]
    arrays = dict(read_model_file(OPEN_FACE_FILE))
    arrays["mean"] = arrays["mean"].astype(np.float32)
    model = face_model_from_arrays(arrays, "photo_face")
    marks, unit = np.asarray(original.landmark_vertices), original.units_per_millimetre
    for number in range(1 + NUM_ROUNDS):
        common = correspondence(model, bfm, given=arguments.face_model)
        units = bfm.units_per_millimetre, unit
        way = make_retarget_model(common.bfm, common.open_face, units=units, whitening=None)
        found = retarget(way, jnp.asarray(given))
        offsets = landmark_offsets(model, np.asarray(found.coefficients), wanted)
        print(
            f"round {number}: 68 points {offsets.percent:.2f} %, without their offsets "
            f"{offsets.unmoved_percent:.2f} %; surface {float(found.surface_mm.mean()):.2f} mm"
        )
        if number == NUM_ROUNDS:
            break
        moved = without_what_faces_do(symmetric(offsets.millimetres), model) * unit
        landmarks = np.asarray(model.linear.mean).T[marks] + moved
        arrays["mean"] = warped_mean(original, landmarks)
        model = face_model_from_arrays(arrays, "photo_face")
        print(f"  moved by {np.linalg.norm(moved / unit, axis=1).mean():.2f} mm")
    apart = np.linalg.norm(arrays["mean"] - np.asarray(original.linear.mean), axis=0) / unit
    print(
        f"the mean moved by {apart.mean():.1f} mm, its landmarks by {apart[marks].mean():.1f} mm "
        f"({apart[marks].max():.1f} at most); {flipped_triangles(original, arrays['mean'])} of "
        f"{len(original.triangles)} triangles look the other way"
    )
    save_face_model(arguments.output, arrays)
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()

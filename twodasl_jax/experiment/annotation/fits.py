"""Fits of labelled faces in batches, by their labels alone or near what a network sees."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import track

from twodasl_jax.crop_frame import CROP_SIZE, crop_to_image, image_to_crop
from twodasl_jax.data.augment import warp_coefficients, warp_points
from twodasl_jax.data.face_crop import roi_box_from_landmarks
from twodasl_jax.data.labelled_faces import LabelledFaces
from twodasl_jax.data.sources import CONTOUR_WEIGHT
from twodasl_jax.experiment.annotation.network_prior import NetworkPrior
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.fitting.contour import NUM_CONTOUR
from twodasl_jax.fitting.fit_model import FitModel, make_fit_model
from twodasl_jax.fitting.landmark_fit import fit_landmarks, rough_rotations
from twodasl_jax.fitting.prior_fit import Prior, fit_near_prior
from twodasl_jax.geometry.camera import head_pose
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_68
from twodasl_jax.predict.faces.upright import cut_upright, turn_about_centre, turn_of_rotation

BATCH_SIZE = 512
"""Faces per compiled call, at most."""

_WHOLE = np.array([0.0, 0.0, CROP_SIZE, CROP_SIZE])


class Fits(NamedTuple):
    """What the optimisation found, before anything is rejected.

    Attributes:
      coefficients: ``(n, 62)`` raw, of the final crop.
      points: ``(n, 68, 2)`` pixels of the final crop.
      labels: ``(n, m, 2)`` the labels there, 0 where unknown.
      roi_box: ``(n, 4)`` the final crop in image pixels, or None for pictures that are crops.
      residual_percent: ``(n,)`` mean distance of the known labels, in % of sqrt(w·h) of the
        fitted 68 points' box.
      yaw_degrees: ``(n,)`` of the fitted pose.
      prior_percent: ``(n,)`` the residual of the network's own faces; None without a prior.
    """

    coefficients: np.ndarray
    points: np.ndarray
    labels: np.ndarray
    roi_box: np.ndarray | None
    residual_percent: np.ndarray
    yaw_degrees: np.ndarray
    prior_percent: np.ndarray | None = None


def batch_size_for(count: int) -> int:
    """Faces per compiled call: a few are not worth a full batch, and few sizes are compiled.

    Args:
      count: of all faces.
    """
    return min(BATCH_SIZE, 1 << (count - 1).bit_length())


def fit_faces(
    face_model: FaceModel, faces: LabelledFaces, *, marching: bool, console: Console
) -> Fits:
    """Fits all faces to their labels, then frames each by its fitted 68 landmarks.

    Args:
      face_model: what to fit.
      faces: labels in their (provisional) crops.
      marching: see `make_fit_model`.
      console: where progress is shown.
    """
    model = make_fit_model(face_model, landmark_set=faces.landmark_set, marching=marching)
    coefficients, projected = [], []
    for rows in batches_of(faces, console):
        fit = fit_landmarks(
            model, jnp.asarray(faces.landmarks[rows]), jnp.asarray(faces.weights[rows])
        )
        coefficients.append(np.asarray(fit.coefficients))
        projected.append(np.asarray(fit.points))
    found, points = (joined(parts, faces) for parts in (coefficients, projected))
    distance = mean_distance(points, faces.landmarks, faces.weights)
    return framed(face_model, faces, found, distance)


def fit_faces_near(
    face_model: FaceModel,
    faces: LabelledFaces,
    prior: NetworkPrior,
    *,
    strength: float,
    silhouette: bool,
    console: Console,
) -> Fits:
    """Fits all faces near what a network sees of them, then frames them as `fit_faces` does.

    Photographs are fitted twice: the network sees them again in the crop that the first fits frame.

    Args:
      face_model: what to fit.
      faces: labels and pictures.
      prior: the network.
      strength: λ of `fit_near_prior`.
      silhouette: the labels of the jaw lie on the silhouette, which is another vertex when the
        head turns; they count little then.
      console: where progress is shown.
    """
    weights = label_weights(faces, silhouette=silhouette)
    model = make_fit_model(
        face_model,
        landmark_set=faces.landmark_set,
        marching=False,
        statistics=(prior.statistics.mean, prior.statistics.std),
    )

    def fitted(faces: LabelledFaces) -> Fits:
        parts = [
            _near_in_batch(model, faces, weights[rows], prior, strength, rows)
            for rows in batches_of(faces, console)
        ]
        found, distance, before = (joined(part, faces) for part in zip(*parts, strict=True))
        fits = framed(face_model, faces, found, distance)
        return fits._replace(prior_percent=fits.residual_percent * before / distance)

    fits = fitted(faces)
    if fits.roi_box is None:
        return fits
    return fitted(dataclasses.replace(faces, roi_box=fits.roi_box, landmarks=fits.labels))


def label_weights(faces: LabelledFaces, *, silhouette: bool) -> np.ndarray:
    """``(n, m)`` what labels are worth to a jaw that does not march.

    Args:
      faces: with their labels.
      silhouette: see `fit_faces_near`.
    """
    weights = faces.weights.copy()
    if silhouette and faces.landmark_set != 18:
        weights[:, :NUM_CONTOUR] *= CONTOUR_WEIGHT
    return weights


def _near_in_batch(
    model: FitModel,
    faces: LabelledFaces,
    weights: np.ndarray,
    prior: NetworkPrior,
    strength: float,
    rows: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients, and the labels' mean distance from them and from what the network saw."""
    labels, worth = jnp.asarray(faces.landmarks[rows]), jnp.asarray(weights)
    rotations = np.asarray(rough_rotations(model, labels, worth))
    turns = [turn_of_rotation(rotation) for rotation in rotations]
    upright = np.stack(
        [
            warp_points(points, turn_about_centre(turn))
            for points, turn in zip(faces.landmarks[rows], turns, strict=True)
        ]
    )
    crops = [
        _upright_crop(faces, int(row), turn, prior.crop_size)
        for row, turn in zip(rows, turns, strict=True)
    ]
    seen = prior.coefficients(np.stack(crops), _shown(upright, weights))
    held = Prior(jnp.asarray(seen), jnp.asarray(prior.camera_std))
    fit = fit_near_prior(model, jnp.asarray(upright), worth, held, jnp.float32(strength))
    distance, before = (
        mean_distance(np.asarray(points), upright, weights)
        for points in (fit.points, fit.prior_points)
    )
    back = [
        warp_coefficients(face, turn_about_centre(-turn))
        for face, turn in zip(np.asarray(fit.coefficients), turns, strict=True)
    ]
    return np.stack(back), distance, before


def _upright_crop(faces: LabelledFaces, row: int, turn: float, crop_size: int) -> np.ndarray:
    picture = faces.read_picture(row)
    if picture is None:  # is rejected when its crop is written
        return np.zeros((crop_size, crop_size, 3), np.uint8)
    box = _WHOLE if faces.roi_box is None else faces.roi_box[row]
    return cut_upright(picture, box, turn, crop_size=crop_size)


def _shown(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``(n, 18, 2)`` of the labels, as a detector would have found them; NaN where unknown."""
    known = np.where(weights[..., None] > 0, points, np.nan)
    if points.shape[1] == 18:
        return known
    from_68 = known[:, LANDMARKS_18_FROM_68].mean(axis=2)
    if points.shape[1] == 68:
        return from_68
    return np.where(np.isfinite(from_68), from_68, known[:, 68:])


def batches_of(faces: LabelledFaces, console: Console) -> Iterable[np.ndarray]:
    """Row numbers of batches of one size; the last one begins anew at the first face.

    Args:
      faces: all of them.
      console: where progress is shown.
    """
    count = len(faces.names)
    size = batch_size_for(count)
    batches = [np.arange(start, start + size) % count for start in range(0, count, size)]
    return track(batches, f"fitting {count} faces", console=console)


def joined(parts: Sequence[np.ndarray], faces: LabelledFaces) -> np.ndarray:
    """What `batches_of` gave, one row a face.

    Args:
      parts: of the batches, in order.
      faces: all of them.
    """
    return np.concatenate(parts)[: len(faces.names)]


def mean_distance(points: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``(n,)`` pixels from ``(n, m, 2)`` labels, by their ``(n, m)`` weights."""
    distance = np.linalg.norm(points - labels, axis=-1)
    return (distance * weights).sum(axis=1) / weights.sum(axis=1)


def framed(
    face_model: FaceModel, faces: LabelledFaces, found: np.ndarray, distance: np.ndarray
) -> Fits:
    """Fits with their residuals, in the crops that they frame.

    Args:
      face_model: that was fitted.
      faces: that it was fitted to.
      found: ``(n, 62)`` raw coefficients, in the provisional crops.
      distance: ``(n,)`` mean distance of the labels there, pixels.
    """
    points = _landmarks(face_model, found)
    residual = 100 * distance / np.sqrt(np.prod(np.ptp(points, axis=1), axis=-1))
    yaw = np.rad2deg(np.asarray(head_pose(jnp.asarray(found[:, :12].reshape(-1, 3, 4))).yaw))
    labels, box = faces.landmarks, None
    if faces.roi_box is not None:
        box = np.stack(
            [roi_box_from_landmarks(face) for face in crop_to_image(points, faces.roi_box)]
        )
        found = np.stack(
            [
                warp_coefficients(face, _between_crops(old, new))
                for face, old, new in zip(found, faces.roi_box, box, strict=True)
            ]
        )
        points = _landmarks(face_model, found)
        moved = image_to_crop(crop_to_image(labels, faces.roi_box), box)
        labels = np.where(faces.weights[..., None] > 0, moved, 0.0).astype(np.float32)
    return Fits(found, points, labels, box, residual, yaw)


def _landmarks(face_model: FaceModel, coefficients: np.ndarray) -> np.ndarray:
    points = landmarks_from_coefficients(landmark_model(face_model), jnp.asarray(coefficients))
    return np.asarray(points)[..., :2]


def _between_crops(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """``(2, 3)`` that carries pixels of one square crop to those of another."""
    scale = (old[2] - old[0]) / (new[2] - new[0])
    shift = (old[:2] - new[:2]) * CROP_SIZE / (new[2] - new[0])
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)

"""3D annotations for photos with 2D landmarks only: fits the 62 coefficients, face by face."""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from twodasl_jax.crop_frame import CROP_SIZE, crop_to_image, image_to_crop
from twodasl_jax.data.augment import warp_coefficients
from twodasl_jax.data.face_crop import roi_box_from_landmarks
from twodasl_jax.data.labelled_faces import (
    LabelledFaces,
    faces_from_photographs,
    read_labelled_faces,
)
from twodasl_jax.experiment.annotation.checks import RESIDUAL, objections, told
from twodasl_jax.experiment.annotation.files import YAW_BINS, Fits, write_annotation
from twodasl_jax.experiment.annotation.folder import require_apart, require_free
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.model import OPEN_FACE_FILE, FaceModel, face_model_crc
from twodasl_jax.face_model.model_identity import face_model_identity
from twodasl_jax.fitting.fit_model import make_fit_model
from twodasl_jax.fitting.landmark_fit import FitOptions, fit_landmarks
from twodasl_jax.geometry.camera import head_pose
from twodasl_jax.predict.faces.landmark_detectors import detect_in_folder
from twodasl_jax.training import parallel

BATCH_SIZE = 512
"""Faces per compiled call, at most."""


def annotate(
    *,
    images: str,
    output: str,
    landmarks: str | None,
    detector: str | None,
    face_model: str | None,
    contour: str,
    max_residual: float,
) -> None:
    """Fits a face model to labelled photographs and writes a training source.

    Args:
      images: a crops folder, or a folder of photographs (`data.labelled_faces`).
      output: folder to write, apart from all that is read; new, empty, or of an earlier
        annotation, which is replaced (other files in it stay).
      landmarks: landmark file, for photographs.
      detector: a key of `LANDMARK_DETECTORS` instead of it.
      face_model: file; None is the embedded open face model.
      contour: ``marching`` for jaw labels on the silhouette, ``fixed`` for projections of 3D
        points.
      max_residual: faces that fit worse are rejected, %.

    Raises:
      FileNotFoundError, ValueError: for inputs that are absent or wrong; nothing is written then.
    """
    console, folder = Console(markup=False, emoji=False), Path(output)
    require_apart(folder, {"images": images, "landmarks": landmarks, "face_model": face_model})
    require_free(folder)
    if landmarks and detector:
        raise ValueError("both --landmarks and --detector were given; choose one")
    if not max_residual > 0:
        raise ValueError(f"--max_residual is {max_residual}; expected a positive percentage")
    parallel.enable_compilation_cache()
    model = face_model_from_file(face_model or OPEN_FACE_FILE)
    if detector:
        names, points = detect_in_folder(detector, Path(images), console)
        faces = faces_from_photographs(Path(images), names, points)
    else:
        faces = read_labelled_faces(images, landmarks)
    _print_left_out(faces, console)
    began = time.perf_counter()
    fits = fit_faces(model, faces, marching=contour == "marching", console=console)
    seconds = time.perf_counter() - began
    settings = _described(model) | {
        "contour": contour,
        "max_residual_percent": max_residual,
        "landmarks": f"detector {detector}" if detector else f"{faces.landmark_set} labelled",
    }

    def refit(some: LabelledFaces) -> tuple[np.ndarray, np.ndarray]:
        again = fit_faces(model, some, marching=contour == "marching", console=console)
        return again.coefficients, again.residual_percent

    reasons = objections(
        model, faces, fits.coefficients, fits.residual_percent, limit=max_residual, refit=refit
    )
    reasons = write_annotation(folder, faces, fits, reasons, settings, console)
    accepted = np.array([row not in reasons for row in range(len(faces.names))])
    _print_summary(fits, accepted, seconds, folder, console)
    _print_reasons(faces, reasons, console)


def _described(model: FaceModel) -> dict[str, Any]:
    """What was fitted, and how, for ``annotation.json``."""
    return {
        "face_model": model.name,
        "face_model_crc": face_model_crc(model),
        "face_model_identity": face_model_identity(model),
        "options": dataclasses.asdict(FitOptions()),
    }


def _print_left_out(faces: LabelledFaces, console: Console) -> None:
    if faces.left_out:
        name, reason = faces.left_out[0]
        console.print(
            f"{len(faces.left_out)} faces are left out (rejected.csv), first {name}: {reason}",
            markup=False,
            highlight=False,
        )


def fit_faces(
    face_model: FaceModel, faces: LabelledFaces, *, marching: bool, console: Console
) -> Fits:
    """Fits all faces in batches of one size, then frames each by its fitted 68 landmarks.

    Args:
      face_model: what to fit.
      faces: labels in their (provisional) crops.
      marching: see `make_fit_model`.
      console: where progress is shown.
    """
    model = make_fit_model(face_model, landmark_set=faces.landmark_set, marching=marching)
    count = len(faces.names)
    # A few faces are not worth a full batch; powers of two keep the compiled sizes few.
    size = min(BATCH_SIZE, 1 << (count - 1).bit_length())
    coefficients, projected = [], []
    for start in track(range(0, count, size), f"fitting {count} faces", console=console):
        rows = np.arange(start, start + size) % count
        fit = fit_landmarks(
            model, jnp.asarray(faces.landmarks[rows]), jnp.asarray(faces.weights[rows])
        )
        coefficients.append(np.asarray(fit.coefficients))
        projected.append(np.asarray(fit.points))
    found = np.concatenate(coefficients)[:count]
    distance = np.linalg.norm(np.concatenate(projected)[:count] - faces.landmarks, axis=-1)
    mean_distance = (distance * faces.weights).sum(axis=1) / faces.weights.sum(axis=1)
    points = _landmarks(face_model, found)
    residual = 100 * mean_distance / np.sqrt(np.prod(np.ptp(points, axis=1), axis=-1))
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


def _print_summary(
    fits: Fits, accepted: np.ndarray, seconds: float, folder: Path, console: Console
) -> None:
    table = Table(caption="residual: mean distance of the labels, % of sqrt(w·h) of the 68 points")
    for heading in ("yaw of the fit", "faces", "accepted", "median", "mean", "95th percentile"):
        table.add_column(heading, justify="right", no_wrap=True)
    yaw = np.abs(fits.yaw_degrees)
    for name, (low, high) in {**YAW_BINS, "all": (0, 181)}.items():
        chosen = (yaw >= low) & (yaw < high)
        residual = fits.residual_percent[chosen]
        numbers = ["-"] * 3
        if len(residual):
            values = (np.median(residual), residual.mean(), np.percentile(residual, 95))
            numbers = [f"{value:.2f}" for value in values]
        table.add_row(name, str(chosen.sum()), str(accepted[chosen].sum()), *numbers)
    console.print(table)
    console.print(f"fitted in {seconds:.0f} s; everything is in {folder}")


def _print_reasons(faces: LabelledFaces, reasons: Mapping[int, str], console: Console) -> None:
    """One line for the faces that were rejected though they fit."""
    others = {row: reason for row, reason in sorted(reasons.items()) if reason != RESIDUAL}
    if others:
        row, reason = next(iter(others.items()))
        console.print(
            f"{len(others)} faces that fit are rejected (rejected.csv), first "
            f"{told(str(faces.names[row]), reason)}",
            markup=False,
            highlight=False,
        )

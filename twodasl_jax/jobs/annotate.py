"""3D annotations for photos with 2D landmarks only: fits the 62 coefficients, face by face."""

import csv
import dataclasses
import io
import json
import shutil
import tarfile
import time
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from twodasl_jax.crop_frame import CROP_SIZE, crop_to_image, image_to_crop
from twodasl_jax.data.augment import warp_coefficients
from twodasl_jax.data.face_crop import roi_box_from_landmarks
from twodasl_jax.data.fitted_source import SETTINGS_FILE
from twodasl_jax.data.labelled_faces import (
    LabelledFaces,
    faces_from_photographs,
    read_labelled_faces,
)
from twodasl_jax.evaluation.pictures import write_contact_sheet, write_residual_histogram
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.model import OPEN_FACE_FILE, FaceModel
from twodasl_jax.fitting.landmark_fit import FitOptions, fit_landmarks, make_fit_model
from twodasl_jax.geometry.camera import head_pose
from twodasl_jax.jobs.train import COMPILATION_CACHE
from twodasl_jax.predict.landmark_detectors import detect_in_folder
from twodasl_jax.training import parallel

BATCH_SIZE = 512
"""Faces per compiled call."""

YAW_BINS = {"0-30°": (0, 30), "30-60°": (30, 60), "60-90°": (60, 91)}


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
    """

    coefficients: np.ndarray
    points: np.ndarray
    labels: np.ndarray
    roi_box: np.ndarray | None
    residual_percent: np.ndarray
    yaw_degrees: np.ndarray


def annotate(
    _: Any,
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
      output: folder to write; must not exist, or hold an earlier annotation.
      landmarks: landmark file, for photographs.
      detector: a key of `LANDMARK_DETECTORS` instead of it.
      face_model: file; None is the embedded open face model.
      contour: ``marching`` for jaw labels on the silhouette, ``fixed`` for projections of 3D
        points.
      max_residual: faces that fit worse are rejected, %.

    Raises:
      FileNotFoundError, ValueError: for inputs that are absent or wrong; nothing is written then.
    """
    console, folder = Console(), Path(output)
    _require_free(folder)
    if landmarks and detector:
        raise ValueError("both --landmarks and --detector were given; choose one")
    if not max_residual > 0:
        raise ValueError(f"--max_residual is {max_residual}; expected a positive percentage")
    parallel.enable_compilation_cache(COMPILATION_CACHE)
    model = face_model_from_file(face_model or OPEN_FACE_FILE)
    if detector:
        names, points = detect_in_folder(detector, Path(images), console)
        faces = faces_from_photographs(Path(images), names, points)
    else:
        faces = read_labelled_faces(images, landmarks)
    began = time.perf_counter()
    fits = fit_faces(model, faces, marching=contour == "marching", console=console)
    seconds = time.perf_counter() - began
    settings = {
        "face_model": model.name,
        "face_model_crc": face_model_crc(model),
        "contour": contour,
        "max_residual_percent": max_residual,
        "landmarks": f"detector {detector}" if detector else f"{faces.landmark_set} labelled",
        "options": dataclasses.asdict(FitOptions()),
    }
    accepted = write_annotation(folder, faces, fits, settings, console)
    _print_summary(fits, accepted, seconds, folder, console)


def face_model_crc(face_model: FaceModel) -> int:
    """A checksum that tells face models apart: coefficients belong to one of them."""
    return zlib.crc32(np.asarray(face_model.linear.shape_basis).tobytes())


def _require_free(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / SETTINGS_FILE).exists():
        raise ValueError(f"--output={folder} holds other files; choose a new folder")


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
    coefficients, projected = [], []
    for start in track(
        range(0, count, BATCH_SIZE), f"fitting {count} faces", console=console, transient=False
    ):
        rows = np.arange(start, start + BATCH_SIZE) % count
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


def write_annotation(
    folder: Path, faces: LabelledFaces, fits: Fits, settings: dict[str, Any], console: Console
) -> np.ndarray:
    """Writes crops, annotations, rejected faces and pictures; the folder appears when complete.

    Args:
      folder: replaced if it holds an earlier annotation.
      faces: names and pictures.
      fits: of all of them.
      settings: for ``annotation.json``; ``max_residual_percent`` rejects.
      console: where progress is shown.

    Returns:
      ``(n,)`` which faces were accepted: fitted well enough, and readable.

    Raises:
      ValueError: where no face is left; nothing is written then.
    """
    accepted = fits.residual_percent <= settings["max_residual_percent"]  # NaN is not
    reasons = {int(row): "residual" for row in np.flatnonzero(~accepted)}
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    endings: dict[int, str] = {}
    with tarfile.open(unfinished / "crops.tar", "w") as archive:
        for row in track(np.flatnonzero(accepted), "writing crops", console=console):
            try:
                box = None if fits.roi_box is None else fits.roi_box[row]
                encoded, endings[int(row)] = faces.read_encoded(int(row), box)
            except ValueError as error:
                accepted[row], reasons[int(row)] = False, str(error)
                continue
            member = tarfile.TarInfo(_crop_name(faces, row, endings[int(row)]))
            member.size = len(encoded)
            archive.addfile(member, io.BytesIO(encoded))
    if not accepted.any():
        shutil.rmtree(unfinished)
        raise ValueError(
            f"none of {len(accepted)} faces fits within {settings['max_residual_percent']} %, the "
            f"best has {np.nanmin(fits.residual_percent):.2f} %; are the landmarks those of these "
            "images? (--max_residual allows more)"
        )
    rows = np.flatnonzero(accepted)
    names = np.array([_crop_name(faces, row, endings[int(row)]) for row in rows])
    np.savez_compressed(
        unfinished / "annotations.npz", file_name=names, **_arrays(faces, fits, rows)
    )
    with (unfinished / "rejected.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "residual_percent", "yaw_degrees", "reason"])
        for row, reason in sorted(reasons.items()):
            residual, yaw = fits.residual_percent[row], fits.yaw_degrees[row]
            writer.writerow([faces.names[row], f"{residual:.3f}", f"{yaw:.1f}", reason])
    _write_pictures(unfinished, faces, fits, rows, settings)
    (unfinished / SETTINGS_FILE).write_text(json.dumps(settings, indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    return accepted


def _crop_name(faces: LabelledFaces, row: int, ending: str) -> str:
    name = Path(str(faces.names[row]))
    # Of a/b/c.png the archive's a_b_c.jpg: names in it are flat, as in every crops folder.
    return "_".join(name.with_suffix("").parts) + ending


def _arrays(faces: LabelledFaces, fits: Fits, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of ``annotations.npz`` for the accepted faces."""
    unknown21 = np.full((len(rows), 21, 2), np.nan, np.float32)
    arrays = {
        "coefficients": fits.coefficients[rows].astype(np.float32),
        "residual_percent": fits.residual_percent[rows].astype(np.float32),
        "yaw_degrees": fits.yaw_degrees[rows].astype(np.float32),
        "landmarks21_crop_px": unknown21 if faces.landmarks21 is None else faces.landmarks21[rows],
    }
    if fits.roi_box is not None:
        arrays["roi_box"] = fits.roi_box[rows]
    if faces.landmark_set == 68:
        known = faces.weights[rows] > 0
        visibility = np.where(known, 2, 0) if faces.visibility is None else faces.visibility[rows]
        arrays["landmarks68_visibility"] = visibility.astype(np.int8)
        arrays["landmarks68_crop_px"] = np.where(known[..., None], fits.labels[rows], np.nan)
    return arrays


def _write_pictures(
    folder: Path, faces: LabelledFaces, fits: Fits, rows: np.ndarray, settings: dict[str, Any]
) -> None:
    """``residuals.png``, and ``faces.png``: accepted faces, best to worst."""
    write_residual_histogram(
        folder / "residuals.png",
        fits.residual_percent,
        np.abs(fits.yaw_degrees),
        bins=YAW_BINS,
        limit=settings["max_residual_percent"],
        title=f"{len(rows)} of {len(faces.names)} faces accepted",
    )
    order = rows[np.argsort(fits.residual_percent[rows])]
    shown = order[np.unique(np.linspace(0, len(order) - 1, 24).astype(int))]
    pictures = []
    for row in shown:
        encoded, _ = faces.read_encoded(int(row), None if fits.roi_box is None else fits.roi_box[row])
        picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
        pictures.append(np.asarray(picture))
    true = None
    if faces.landmark_set == 68:
        true = np.where(faces.weights[shown][..., None] > 0, fits.labels[shown], np.nan)
    write_contact_sheet(
        folder / "faces.png",
        np.stack(pictures),
        fits.points[shown],
        true=true,
        nme=fits.residual_percent[shown] / 100,
        title=f"accepted fits of {settings['face_model']}, residual in % above each",
        count=8,
    )


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

"""3D annotations for photos with 2D landmarks only: fits the 62 coefficients, face by face."""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from twodasl_jax.data.labelled_faces import (
    LabelledFaces,
    faces_from_photographs,
    read_labelled_faces,
)
from twodasl_jax.experiment.annotation.checks import RESIDUAL, objections, told
from twodasl_jax.experiment.annotation.files import YAW_BINS, described_model, write_annotation
from twodasl_jax.experiment.annotation.fits import (
    Fits,
    batch_size_for,
    fit_faces,
    fit_faces_near,
)
from twodasl_jax.experiment.annotation.folder import require_apart, require_free
from twodasl_jax.experiment.annotation.network_prior import load_network_prior, prior_path
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.fitting.landmark_fit import FitOptions
from twodasl_jax.predict.faces.landmark_detectors import detect_in_folder
from twodasl_jax.training import parallel

PRIOR_WEIGHT = 1.0
"""Pixels of the labels' mean distance that a move by one standard deviation is worth."""


def annotate(
    *,
    images: str,
    output: str,
    landmarks: str | None,
    detector: str | None,
    face_model: str | None,
    contour: str,
    prior: str | None,
    prior_weight: float | None,
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
      prior: a trained network (`open_trained`): fits are held near what it sees.
      prior_weight: how strongly; None is `PRIOR_WEIGHT`.
      max_residual: faces that fit worse are rejected, %.

    Raises:
      FileNotFoundError, ValueError: for inputs that are absent or wrong; nothing is written then.
    """
    console, folder = Console(markup=False, emoji=False), Path(output)
    inputs = {"images": images, "landmarks": landmarks, "face_model": face_model}
    require_apart(folder, {**inputs, "prior": prior_path(prior)})
    require_free(folder)
    if landmarks and detector:
        raise ValueError("both --landmarks and --detector were given; choose one")
    if not max_residual > 0:
        raise ValueError(f"--max_residual is {max_residual}; expected a positive percentage")
    strength = _strength(prior, prior_weight)
    parallel.enable_compilation_cache()
    model = face_model_from_file(face_model or "")
    if detector:
        names, points = detect_in_folder(detector, Path(images), console)
        faces = faces_from_photographs(Path(images), names, points)
    else:
        faces = read_labelled_faces(images, landmarks, either=prior is not None)
    _print_left_out(faces, console)
    began = time.perf_counter()
    marching = contour == "marching"
    if prior is None:
        fits = fit_faces(model, faces, marching=marching, console=console)
        how: dict[str, Any] = {"options": dataclasses.asdict(FitOptions())}
    else:
        size = batch_size_for(len(faces.names))
        network = load_network_prior(prior, model, given=face_model, batch_size=size)
        near = {"strength": strength, "silhouette": marching}
        fits = fit_faces_near(model, faces, network, **near, console=console)
        how = {"options": {"prior_weight": strength}, "prior": network.described(prior)}
    seconds = time.perf_counter() - began
    settings = {
        **described_model(model),
        **how,
        "contour": contour,
        "max_residual_percent": max_residual,
        "landmarks": f"detector {detector}" if detector else f"{faces.landmark_set} labelled",
    }

    def refit(some: LabelledFaces) -> tuple[np.ndarray, np.ndarray]:
        again = fit_faces(model, some, marching=marching, console=console)
        return again.coefficients, again.residual_percent

    reasons = objections(
        model, faces, fits.coefficients, fits.residual_percent, limit=max_residual, refit=refit
    )
    reasons = write_annotation(folder, faces, fits, reasons, settings, console)
    accepted = np.array([row not in reasons for row in range(len(faces.names))])
    _print_summary(fits, accepted, seconds, folder, console)
    _print_reasons(faces, reasons, console)


def _strength(prior: str | None, weight: float | None) -> float:
    if weight is None:
        return PRIOR_WEIGHT
    if prior is None:
        raise ValueError("--prior_weight was given without --prior, which it is of; give both")
    if not 0 < weight < float("inf"):
        raise ValueError(f"--prior_weight is {weight}; expected a positive number")
    return weight


def _print_left_out(faces: LabelledFaces, console: Console) -> None:
    if faces.left_out:
        name, reason = faces.left_out[0]
        console.print(
            f"{len(faces.left_out)} faces are left out (rejected.csv), first {name}: {reason}",
            markup=False,
            highlight=False,
        )


def _print_summary(
    fits: Fits, accepted: np.ndarray, seconds: float, folder: Path, console: Console
) -> None:
    table = Table(caption="residual: mean distance of the labels, % of sqrt(w·h) of the 68 points")
    network = fits.prior_percent
    headings = ["yaw of the fit", "faces", "accepted", "median", "mean", "95th percentile"]
    for heading in headings + (["of the prior"] if network is not None else []):
        table.add_column(heading, justify="right", no_wrap=True)
    yaw = np.abs(fits.yaw_degrees)
    for name, (low, high) in {**YAW_BINS, "all": (0, 181)}.items():
        chosen = (yaw >= low) & (yaw < high)
        residual = fits.residual_percent[chosen]
        numbers = ["-"] * (3 if network is None else 4)
        if len(residual):
            values = [np.median(residual), residual.mean(), np.percentile(residual, 95)]
            values += [] if network is None else [network[chosen].mean()]
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

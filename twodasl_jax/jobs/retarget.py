"""Fits of BFM as fits of the open face model, or back: a training source for the other model."""

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from twodasl_jax.experiment.annotation.checks import RESIDUAL
from twodasl_jax.experiment.annotation.files import YAW_BINS, described_model, write_annotation
from twodasl_jax.experiment.annotation.folder import require_apart, require_free
from twodasl_jax.experiment.annotation.retargeting import (
    RetargetedFits,
    direction_of,
    read_fit_settings,
    retarget_fits,
)
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.training import parallel

KEPT = ("options", "prior", "contour", "max_residual_percent")
"""Settings of the fits that were there, which go along as ``retargeted_from``."""


def retarget(
    *, images: str, face_model: str, output: str, open_face: str | None, max_residual: float
) -> None:
    """Turns a folder of fits into one of the other face model: BFM's to the open one's, or back.

    Args:
      images: folder of `--mode=annotate`.
      face_model: file of BFM.
      output: folder to write, as for `--mode=annotate`.
      open_face: the other model, see `face_model_path`; None is the embedded one.
      max_residual: faces whose labels are then farther away are rejected, %.

    Raises:
      FileNotFoundError, ValueError: for inputs that are absent or wrong; nothing is written then.
    """
    console, folder = Console(markup=False, emoji=False), Path(output)
    inputs = {"images": images, "face_model": face_model, "open_face": open_face}
    require_apart(folder, inputs)
    require_free(folder)
    if not max_residual > 0:
        raise ValueError(f"--max_residual is {max_residual}; expected a positive percentage")
    parallel.enable_compilation_cache()
    before = read_fit_settings(Path(images))
    bfm = face_model_from_file(face_model)
    other = face_model_from_file(open_face or "")
    way = direction_of(before, other, bfm, folder=images, given=face_model)
    silhouette = before["contour"] == "marching"
    faces, found = retarget_fits(Path(images), way, silhouette=silhouette, console=console)
    fits = found.fits
    settings = {
        **described_model(way.target),
        "retargeted_from": {
            **described_model(way.source),
            **{key: before[key] for key in KEPT if key in before},
        },
        "surface_mm": round(float(found.surface_mm.mean()), 3),
        "landmarks68_percent": round(float(found.landmarks_percent.mean()), 3),
        "contour": before["contour"],
        "max_residual_percent": max_residual,
        "landmarks": before.get("landmarks", f"{faces.landmark_set} labelled"),
    }
    reasons = {
        int(row): RESIDUAL for row in np.flatnonzero(~(fits.residual_percent <= max_residual))
    }
    reasons = write_annotation(folder, faces, fits, reasons, settings, console)
    accepted = np.array([row not in reasons for row in range(len(faces.names))])
    _print_summary(found, accepted, console)
    console.print(f"everything is in {folder}")


def _print_summary(found: RetargetedFits, accepted: np.ndarray, console: Console) -> None:
    caption = "residual: mean distance of the labels; 68 points: from those before; % of sqrt(w·h)"
    table = Table(caption=caption)
    for heading in ("yaw", "faces", "accepted", "surface mm", "68 points", "residual", "before"):
        table.add_column(heading, justify="right", no_wrap=True)
    fits, yaw = found.fits, np.abs(found.fits.yaw_degrees)
    columns = (found.surface_mm, found.landmarks_percent, fits.residual_percent, fits.prior_percent)
    for name, (low, high) in {**YAW_BINS, "all": (0, 181)}.items():
        chosen = (yaw >= low) & (yaw < high)
        means = ["-"] * len(columns)
        if chosen.any():
            means = [f"{np.asarray(column)[chosen].mean():.2f}" for column in columns]
        table.add_row(name, str(chosen.sum()), str(accepted[chosen].sum()), *means)
    console.print(table)

"""What `--mode=annotate` writes: a training source with pictures of how well it was fitted."""

import csv
import io
import itertools
import json
import tarfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from twodasl_jax.data.crop_files import CHECKSUMS
from twodasl_jax.data.fitted_source import FITTED_LANDMARKS, SETTINGS_FILE
from twodasl_jax.data.labelled_faces import LabelledFaces
from twodasl_jax.evaluation.pictures import write_ranked_faces, write_residual_histogram
from twodasl_jax.experiment.annotation.checks import none_left
from twodasl_jax.experiment.annotation.fits import Fits
from twodasl_jax.experiment.annotation.folder import ANNOTATION_FILES
from twodasl_jax.face_model.model import FaceModel, face_model_crc
from twodasl_jax.face_model.model_identity import face_model_identity
from twodasl_jax.replaced_files import replaced_files

YAW_BINS = {"0-30°": (0, 30), "30-60°": (30, 60), "60-90°": (60, 91)}


def described_model(face_model: FaceModel) -> dict[str, Any]:
    """Of which face model coefficients are, for ``annotation.json``."""
    return {
        "face_model": face_model.name,
        "face_model_crc": face_model_crc(face_model),
        "face_model_identity": face_model_identity(face_model),
    }


def write_annotation(
    folder: Path,
    faces: LabelledFaces,
    fits: Fits,
    reasons: Mapping[int, str],
    settings: dict[str, Any],
    console: Console,
) -> dict[int, str]:
    """Writes crops, annotations, rejected faces and pictures, all or none.

    Args:
      folder: an earlier annotation in it is replaced; other files stay.
      faces: names and pictures.
      fits: of all of them.
      reasons: row -> why a face is rejected.
      settings: for ``annotation.json``.
      console: where progress is shown.

    Returns:
      The reasons, with those of faces whose pictures cannot be used.

    Raises:
      ValueError: where no face is left; nothing is written then.
    """
    reasons = dict(reasons)
    with replaced_files(folder, marker=SETTINGS_FILE) as unfinished:
        written = _write_crops(unfinished / "crops.tar", faces, fits, reasons, console)
        rows = np.array(sorted(written), int)
        if not len(rows):
            limit, best = settings["max_residual_percent"], np.nanmin(fits.residual_percent)
            raise ValueError(none_left(faces, reasons, float(best), limit))
        arrays: dict[str, Any] = {
            "file_name": np.array([written[int(row)][0] for row in rows]),
            CHECKSUMS: np.array([written[int(row)][1] for row in rows], np.uint32),
            **_arrays(faces, fits, rows),
        }
        np.savez_compressed(unfinished / "annotations.npz", **arrays)
        _write_rejected(unfinished / "rejected.csv", faces, fits, reasons)
        _write_pictures(unfinished, faces, fits, rows, settings)
        listed = {**settings, "files": list(ANNOTATION_FILES)}
        (unfinished / SETTINGS_FILE).write_text(json.dumps(listed, indent=2) + "\n")
    return reasons


def _write_crops(
    path: Path, faces: LabelledFaces, fits: Fits, reasons: dict[int, str], console: Console
) -> dict[int, tuple[str, int]]:
    """Writes the crops of faces without a reason against them; adds reasons of bad pictures.

    Returns:
      Row -> name in the archive, and CRC-32 of the file there.
    """
    wanted = [row for row in range(len(faces.names)) if row not in reasons]
    written: dict[int, tuple[str, int]] = {}
    taken: set[str] = set()
    with tarfile.open(path, "w") as archive:
        for row in track(wanted, "writing crops", console=console):
            try:
                box = None if fits.roi_box is None else fits.roi_box[row]
                encoded, ending = faces.read_encoded(row, box)
            except ValueError as error:
                reasons[row] = str(error)
                continue
            name = _crop_name(str(faces.names[row]), ending, taken)
            taken.add(name)
            written[row] = name, zlib.crc32(encoded)
            member = tarfile.TarInfo(name)
            member.size = len(encoded)
            archive.addfile(member, io.BytesIO(encoded))
    return written


def _write_rejected(
    path: Path, faces: LabelledFaces, fits: Fits, reasons: Mapping[int, str]
) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "residual_percent", "yaw_degrees", "reason"])
        for row, reason in sorted(reasons.items()):
            residual, yaw = fits.residual_percent[row], fits.yaw_degrees[row]
            writer.writerow([faces.names[row], f"{residual:.3f}", f"{yaw:.1f}", reason])
        writer.writerows([name, "", "", reason] for name, reason in faces.left_out)


def _crop_name(name: str, ending: str, taken: Collection[str]) -> str:
    """Of a/b/c.png the archive's a_b_c.jpg, numbered where a face has that name already.

    Names in the archive are flat, as in every crops folder; a photograph may hold several faces.
    """
    stem = "_".join(Path(name).with_suffix("").parts)
    candidates = itertools.chain([""], (f"_{number}" for number in itertools.count(2)))
    return next(
        f"{stem}{tail}{ending}" for tail in candidates if f"{stem}{tail}{ending}" not in taken
    )


def _arrays(faces: LabelledFaces, fits: Fits, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of ``annotations.npz`` for the accepted faces."""
    unknown21 = np.full((len(rows), 21, 2), np.nan, np.float32)
    arrays = {
        "coefficients": fits.coefficients[rows].astype(np.float32),
        FITTED_LANDMARKS: fits.points[rows].astype(np.float32),
        "residual_percent": fits.residual_percent[rows].astype(np.float32),
        "yaw_degrees": fits.yaw_degrees[rows].astype(np.float32),
        "landmarks21_crop_px": unknown21 if faces.landmarks21 is None else faces.landmarks21[rows],
    }
    if fits.roi_box is not None:
        arrays["roi_box"] = fits.roi_box[rows]
    if faces.landmark_set != 18:
        known = faces.weights[rows, :68] > 0
        visibility = np.where(known, 2, 0) if faces.visibility is None else faces.visibility[rows]
        arrays["landmarks68_visibility"] = visibility.astype(np.int8)
        arrays["landmarks68_crop_px"] = np.where(known[..., None], fits.labels[rows, :68], np.nan)
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
        encoded, _ = faces.read_encoded(
            int(row), None if fits.roi_box is None else fits.roi_box[row]
        )
        picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
        pictures.append(np.asarray(picture))
    true = None
    if faces.landmark_set != 18:
        known = faces.weights[shown, :68, None] > 0
        true = np.where(known, fits.labels[shown, :68], np.nan)
    write_ranked_faces(
        folder / "faces.png",
        np.stack(pictures),
        fits.points[shown],
        true=true,
        nme=fits.residual_percent[shown] / 100,
        title=f"accepted fits of {settings['face_model']}, residual in % above each",
        count=8,
    )

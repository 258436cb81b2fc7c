"""Fits of one face model as fits of another: BFM's as the open face model's, or back."""

from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from rich.console import Console

from twodasl_jax.data.fitted_source import EXPECTED, SETTINGS_FILE, FittedSource, require_fits
from twodasl_jax.data.labelled_faces import LabelledFaces, read_labelled_faces
from twodasl_jax.experiment.annotation.fits import (
    Fits,
    batches_of,
    framed,
    joined,
    label_weights,
    mean_distance,
)
from twodasl_jax.face_model.correspondence import correspondence
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.model import FaceModel, face_model_crc
from twodasl_jax.face_model.model_identity import differing_arrays, face_model_identity
from twodasl_jax.fitting.retarget import RetargetModel, make_retarget_model, retarget
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_68
from twodasl_jax.metrics.nme import normalised_mean_error
from twodasl_jax.user_files.json_file import read_json, require_entries


class Direction(NamedTuple):
    """From which face model to which.

    Attributes:
      source: of the fits that are there.
      target: of those wanted.
      model: of both, at points that both have.
    """

    source: FaceModel
    target: FaceModel
    model: RetargetModel


class RetargetedFits(NamedTuple):
    """Fits of the other model, and how near they are.

    Attributes:
      fits: with residuals from the labels.
      surface_mm: ``(n,)`` mean distance of corresponding points.
      landmarks_percent: ``(n,)`` mean distance of the 68 points from those of the fits that were
        there, in % of sqrt(w·h) of these.
    """

    fits: Fits
    surface_mm: np.ndarray
    landmarks_percent: np.ndarray


def read_fit_settings(folder: Path) -> dict[str, Any]:
    """What `annotation.json` says.

    Raises:
      FileNotFoundError, ValueError: where the folder is none of `--mode=annotate`.
    """
    require_fits(folder)
    settings = read_json(folder / SETTINGS_FILE, expected=EXPECTED)
    needed = {"face_model_crc": int, "face_model": str, "contour": str}
    require_entries(folder / SETTINGS_FILE, settings, needed, advice=EXPECTED)
    return settings


def direction_of(
    settings: dict[str, Any], open_face: FaceModel, bfm: FaceModel, *, folder: str, given: str
) -> Direction:
    """Which way fits go: from the model that they are of to the other one.

    Args:
      settings: of the fits.
      open_face: a model of the open face's mesh.
      bfm: the other one.
      folder: of the fits, for messages.
      given: the other model's file.

    Raises:
      ValueError: for fits of neither model, or another mesh than BFM's.
    """
    common = correspondence(open_face, bfm, given=given)
    forward = (open_face, bfm, common.open_face, common.bfm)
    back = (bfm, open_face, common.bfm, common.open_face)
    ways = [way for way in (forward, back) if _is_of(settings, way[0])]
    if not ways:
        raise ValueError(
            f"{folder} holds fits of the face model '{settings['face_model']}', which is neither "
            f"'{bfm.name}' (--face_model={given}) nor '{open_face.name}' (--open_face); give the "
            "models that were fitted"
        )
    source, target, here, there = ways[0]
    units = source.units_per_millimetre, target.units_per_millimetre
    model = make_retarget_model(here, there, units=units, whitening=target.whitening)
    return Direction(source, target, model)


def _is_of(settings: dict[str, Any], face_model: FaceModel) -> bool:
    """Whether fits are a face model's; those of earlier versions note a checksum of its basis."""
    identity = settings.get("face_model_identity")
    if identity is None:
        return settings["face_model_crc"] == face_model_crc(face_model)
    return not differing_arrays(identity, face_model_identity(face_model))


def retarget_fits(
    folder: Path, way: Direction, *, silhouette: bool, console: Console
) -> tuple[LabelledFaces, RetargetedFits]:
    """The faces of a folder of fits, and the other model's fits of them.

    Args:
      folder: of `--mode=annotate`.
      way: from `direction_of`.
      silhouette: jaw labels lie on the silhouette: they count little, as in `fit_faces_near`.
      console: where progress is shown.

    Raises:
      FileNotFoundError, ValueError: for a damaged folder.
    """
    fitted = FittedSource(folder, face_model_crc=face_model_crc(way.source))
    faces = read_labelled_faces(folder, None, either=True)
    rows = {fitted.record_name(row): row for row in range(len(fitted))}
    given = fitted.coefficients[[rows[str(name)] for name in faces.names]].astype(np.float32)
    found, surface = [], []
    for batch in batches_of(faces, console):
        part = retarget(way.model, jnp.asarray(given[batch]))
        found.append(np.asarray(part.coefficients))
        surface.append(np.asarray(part.surface_mm))
    coefficients = joined(found, faces)
    before, after = (
        np.asarray(landmarks_from_coefficients(landmark_model(model), jnp.asarray(of)))[..., :2]
        for model, of in ((way.source, given), (way.target, coefficients))
    )
    weights = label_weights(faces, silhouette=silhouette)
    distance = mean_distance(_of_set(after, faces.landmark_set), faces.landmarks, weights)
    before_distance = mean_distance(_of_set(before, faces.landmark_set), faces.landmarks, weights)
    fits = framed(way.target, faces, coefficients, distance)
    size = 100 * distance / fits.residual_percent
    fits = fits._replace(prior_percent=100 * before_distance / size)
    moved = 100 * normalised_mean_error(after, before, before)
    return faces, RetargetedFits(fits, joined(surface, faces), moved)


def _of_set(points: np.ndarray, landmark_set: int) -> np.ndarray:
    """``(n, m, 2)`` of ``(n, 68, 2)``, in the order of the labels."""
    eighteen = points[:, LANDMARKS_18_FROM_68].mean(axis=2)
    return {68: points, 18: eighteen, 86: np.concatenate([points, eighteen], axis=1)}[landmark_set]

"""Which fits of `--mode=annotate` are believed: little residual, and a head that shows its face."""

from collections.abc import Mapping

import numpy as np

from twodasl_jax.data.face_selection import pictures_show, reading_contrasts
from twodasl_jax.data.labelled_faces import LabelledFaces
from twodasl_jax.data.shown_faces import OVERRULES, pictures_prefer
from twodasl_jax.experiment.annotation.aspect import Refit, why_stretched
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.fitting.plausibility import (
    head_view,
    why_set_turned_away,
    why_set_upside_down,
    why_turned_away,
)

RESIDUAL = "residual"
"""The reason of a face that fits worse than asked."""

TELLING_RESIDUAL = 10.0
"""Fits up to this residual, %, tell how a set's heads are turned. On 512 AFLW faces the median is
2.3 with right labels, 7.0 with mirrored ones (a jaw that marches does not fit from behind), 46 with
labels in another order."""


FEWEST_TO_OVERRULE = 16
"""So many faces are needed for pictures to overrule labels that nothing else speaks against."""


def objections(
    face_model: FaceModel,
    faces: LabelledFaces,
    coefficients: np.ndarray,
    residual_percent: np.ndarray,
    *,
    limit: float,
    refit: Refit,
) -> dict[int, str]:
    """Why faces are rejected, after a look at the whole set.

    Args:
      face_model: that was fitted.
      faces: to these.
      coefficients: ``(n, 62)`` raw, of any crop.
      residual_percent: ``(n,)``, NaN where a fit failed.
      limit: of the residual, %.
      refit: fits some of the faces again, with other labels.

    Returns:
      Row -> reason, for rejected faces only.

    Raises:
      ValueError: where the labels are stretched, most heads are seen from behind, all stand on
        their heads though the pictures do not show it, or the pictures show them elsewhere: with
        the likely cause.
    """
    reasons = {int(row): RESIDUAL for row in np.flatnonzero(~(residual_percent <= limit))}
    rows = np.flatnonzero(residual_percent <= max(limit, TELLING_RESIDUAL))  # NaN is not
    view = head_view(coefficients[rows])
    wrong = why_stretched(
        face_model, faces, coefficients, residual_percent, rows=rows, refit=refit
    ) or why_set_turned_away(view)
    if wrong is None:
        wrong = why_set_upside_down(view)
        if wrong is not None and _pictures_are_upside_down(faces, rows):
            wrong = None
        wrong = wrong or _why_pictures_disagree(faces, rows)
    if wrong is not None:
        raise ValueError(f"{wrong} (the first face is {faces.names[rows[0]]})")
    for index, row in enumerate(rows):
        reason = why_turned_away(view, index)
        if reason is not None:
            reasons.setdefault(int(row), reason)
    return reasons


def none_left(faces: LabelledFaces, reasons: Mapping[int, str], best: float, limit: float) -> str:
    """The sentence for a set of which no face is accepted."""
    count = len(faces.names)
    if all(reason == RESIDUAL for reason in reasons.values()):
        return (
            f"none of {count} faces fits within {limit} %, the best has {best:.2f} %; are the "
            "landmarks those of these images, in this order? (--max_residual allows more)"
        )
    row, reason = next((row, why) for row, why in sorted(reasons.items()) if why != RESIDUAL)
    return f"none of {count} faces can be used; the first, {told(str(faces.names[row]), reason)}"


def told(name: str, reason: str) -> str:
    """A face's reason with its name, once."""
    return reason if reason.startswith(name) else f"{name}: {reason}"


def _why_pictures_disagree(faces: LabelledFaces, rows: np.ndarray) -> str | None:
    """Whether the pictures show faces where mirrored or turned labels would lie instead."""
    given, size = faces.labels_px[rows], faces.picture_size[rows][:, None]
    (x, y), (width, height) = np.moveaxis(given, -1, 0), np.moveaxis(size, -1, 0)
    # By what was done to the pictures and not to the labels.
    readings = {
        "mirrored": (width - x, y),
        "turned by 180 degrees": (width - x, height - y),
        "turned by 90 degrees clockwise": (width - y, x),
        "turned by 90 degrees anticlockwise": (y, height - x),
    }
    points = [given, *(np.stack(reading, axis=-1) for reading in readings.values())]
    contrasts = reading_contrasts(points, lambda index: faces.read_picture(int(rows[index])))
    if len(contrasts) < FEWEST_TO_OVERRULE:
        return None
    for column, name in enumerate(readings, start=1):
        if pictures_prefer(contrasts[:, column], contrasts[:, 0], least_share=OVERRULES):
            return (
                f"most pictures show faces where the labels would be if they were {name}; labels "
                "are expected in pixels of the pictures as these are shown (EXIF orientation)"
            )
    return None


def _pictures_are_upside_down(faces: LabelledFaces, rows: np.ndarray) -> bool:
    given = faces.labels_px[rows]
    turned = faces.picture_size[rows][:, None] - given
    return pictures_show(given, turned, lambda index: faces.read_picture(int(rows[index])))

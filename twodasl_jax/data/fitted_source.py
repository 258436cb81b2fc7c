"""Photographs with coefficients fitted to their 2D labels, as `--mode=annotate` writes them."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from twodasl_jax.coefficient_layout import NUM_COEFFICIENTS
from twodasl_jax.data.crop_files import ANNOTATION_MARKER
from twodasl_jax.data.source_protocol import Role
from twodasl_jax.data.sources import CropSource, landmarks18_and_weights
from twodasl_jax.replaced_files import finish_replacing
from twodasl_jax.user_files.arrays import names_of, numbers_of, read_npz, texts_of
from twodasl_jax.user_files.json_file import read_json, require_entries

_logger = logging.getLogger(__name__)

SETTINGS_FILE = ANNOTATION_MARKER
"""Without it a folder is a crops folder like any other."""


EXPECTED = "expected what --mode=annotate writes: fit again"

FITTED_LANDMARKS = "fitted_landmarks68_crop_px"
"""In ``annotations.npz``: ``(n, 68, 2)`` the points of the coefficients, so that these can be
looked at without the face model that was fitted."""


TURNED_FROM = "turned_from"
"""In ``annotations.npz``, of faces that `--mode=profile` turned: ``(n,)`` the names of the
photographs that they were, which they share their identity with."""


def require_fits(folder: Path) -> None:
    """Refuses a folder that `--mode=annotate` did not write.

    Raises:
      FileNotFoundError: with the command that makes one.
    """
    finish_replacing(folder, marker=SETTINGS_FILE)
    if not (folder / SETTINGS_FILE).exists():
        raise FileNotFoundError(
            f"{folder} holds no fitted faces (no {SETTINGS_FILE}); make them: "
            f"python run.py --mode=annotate --images=DIR --face_model=FILE --output={folder}"
        )


def read_fitted_landmarks(folder: Path) -> tuple[list[str], np.ndarray]:
    """The faces of a folder of fits, and where their 68 landmarks came to lie.

    Args:
      folder: written by `--mode=annotate`.

    Returns:
      ``n`` file names, and ``(n, 68, 2)`` float64 crop pixels.

    Raises:
      FileNotFoundError: naming what is missing, with the command that makes it.
      ValueError: where the landmarks are absent, misshapen or not finite.
    """
    require_fits(folder)
    path = folder / "annotations.npz"
    arrays = read_npz(path, expected=EXPECTED, only=("file_name", FITTED_LANDMARKS))
    if FITTED_LANDMARKS not in arrays:
        raise ValueError(
            f"{path} has no {FITTED_LANDMARKS}: an earlier version wrote it; fit again with "
            "--mode=annotate"
        )
    names = names_of(path, arrays, "file_name")
    points = numbers_of(path, arrays, FITTED_LANDMARKS, (len(names), 68, 2)).astype(np.float64)
    if not np.isfinite(points).all():
        raise ValueError(f"{path}: {FITTED_LANDMARKS} hold NaN or infinity; {EXPECTED}")
    return [str(name) for name in names], points


class FittedSource(CropSource):
    """A crops folder whose faces also have ``coefficients (n, 62)``.

    In the role ``annotated`` an element has image, coefficients, the labels that they were fitted
    to, and the 18 landmarks that a detector would find: those of the fit, hidden ones too, since
    detectors draw all 18 (fits of earlier versions keep no points: the visible labels then). In the
    role ``in_the_wild`` it is that of a `CropSource`.

    Attributes:
      coefficients: ``(n, 62)`` raw, of all faces.
      yaw_degrees: ``(n,)`` of the fitted cameras.
      face_model_identity: of the face model that was fitted; None in fits made before it was
        noted, of which only the shape basis's checksum is known.
    """

    def __init__(
        self, folder: str | Path, *, face_model_crc: int, role: Role = "annotated"
    ) -> None:
        """Opens the folder.

        Args:
          folder: written by `--mode=annotate`.
          face_model_crc: checksum of the face model to train with; coefficients of another
            model mean nothing.
          role: which fields an element has.

        Raises:
          FileNotFoundError: naming what is missing, with the command that makes it.
          ValueError: for another face model, or coefficients of the wrong shape.
        """
        folder = Path(folder)
        require_fits(folder)
        settings = read_json(folder / SETTINGS_FILE, expected=EXPECTED)
        require_entries(
            folder / SETTINGS_FILE,
            settings,
            {"face_model_crc": int, "face_model": str},
            advice=EXPECTED,
        )
        if settings["face_model_crc"] != face_model_crc:
            raise ValueError(
                f"{folder} was fitted with the face model '{settings['face_model']}', which is not "
                "the one of this experiment; fit again with --mode=annotate"
            )
        self.face_model_identity: dict[str, Any] | None = settings.get("face_model_identity")
        super().__init__(folder)
        self.role: Role = role
        path = folder / "annotations.npz"
        wanted = ("coefficients", "yaw_degrees", FITTED_LANDMARKS, TURNED_FROM)
        arrays = read_npz(path, expected=EXPECTED, only=wanted)
        self.coefficients = numbers_of(path, arrays, "coefficients", (len(self), NUM_COEFFICIENTS))
        broken = np.flatnonzero(~np.isfinite(self.coefficients).all(axis=1))
        if len(broken):
            raise ValueError(
                f"{path}: coefficients of {len(broken)} faces hold NaN or infinity, first "
                f"{self.record_name(int(broken[0]))}; fit again with --mode=annotate"
            )
        self.yaw_degrees = numbers_of(path, arrays, "yaw_degrees", (len(self),))
        self._points = None
        if FITTED_LANDMARKS not in arrays:
            _logger.warning(
                "%s has no %s (an earlier version wrote it): landmark maps are drawn from the "
                "visible labels alone; fit again with --mode=annotate for hidden points",
                path,
                FITTED_LANDMARKS,
            )
        else:
            self._points = numbers_of(path, arrays, FITTED_LANDMARKS, (len(self), 68, 2))

        self._turned_from: list[str] | None = None
        if TURNED_FROM in arrays:
            self._turned_from = texts_of(path, arrays, TURNED_FROM)
            if len(self._turned_from) != len(self):
                raise ValueError(
                    f"{path}: {TURNED_FROM} names {len(self._turned_from)} photographs for "
                    f"{len(self)} faces; turn them again with --mode=profile"
                )

    def identities(self) -> list[str]:
        """As of `CropSource`; of a turned face, that of the photograph that it was."""
        return super().identities() if self._turned_from is None else list(self._turned_from)

    def __getitem__(self, index: Any) -> dict[str, np.ndarray]:
        element = super().__getitem__(index)
        if self.role == "in_the_wild":
            return element
        element["coefficients"] = self.coefficients[int(index)]
        if self._points is not None:
            drawn = landmarks18_and_weights(self._points[int(index)], np.ones(68, np.float32))
            element["landmarks18"], element["landmark18_weights"] = drawn
        return element

"""What `--mode=profile` writes: turned faces as a training source, laid out as fits are."""

import contextlib
import csv
import io
import itertools
import json
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from twodasl_jax.data.crop_files import CHECKSUMS
from twodasl_jax.data.fitted_source import FITTED_LANDMARKS, SETTINGS_FILE, TURNED_FROM
from twodasl_jax.experiment.annotation.checks import told
from twodasl_jax.predict.pictures.drawing import contact_sheet, draw_landmarks
from twodasl_jax.replaced_files import replaced_files

TURNED_FILES = ("crops.tar", "annotations.npz", "rejected.csv", "faces.png", SETTINGS_FILE)
"""All that a set of turned faces consists of."""

WEBP_QUALITY = 90
"""Of the crops: 3 kB each."""

SHOWN = 30
"""Faces on ``faces.png``, each before and after."""


class TurnedFacesWriter:
    """Takes turned faces batch by batch; see `writing_turned_faces`.

    Attributes:
      rejected: photograph, yaw that it was turned to, and reason, of the faces that are left out.
    """

    def __init__(self, archive: tarfile.TarFile, num_faces: int) -> None:
        """Begins a set.

        Args:
          archive: of the crops.
          num_faces: that will come.
        """
        self._archive = archive
        self._shown = {*np.linspace(0, num_faces - 1, min(SHOWN, num_faces)).astype(int).tolist()}
        self._tiles: list[np.ndarray] = []
        self.rejected: list[tuple[str, float, str]] = []
        self._taken: set[str] = set()
        self._columns: dict[str, list[np.ndarray]] = {}

    def add(
        self, *, before: np.ndarray, images: np.ndarray, columns: Mapping[str, np.ndarray]
    ) -> None:
        """Writes some faces, perhaps none.

        Args:
          before: ``(n, 120, 120, 3)`` uint8 RGB, the photographs.
          images: ``(n, 120, 120, 3)`` uint8 RGB, turned.
          columns: array name in ``annotations.npz`` -> ``(n, ...)``: ``coefficients``,
            `FITTED_LANDMARKS`, `TURNED_FROM`, ``yaw_degrees`` and ``residual_percent``.
        """
        stored, checksums = [], []
        for index, image in enumerate(images):
            if len(self._taken) in self._shown:
                points = columns[FITTED_LANDMARKS][index]
                self._tiles.append(_before_and_after(before[index], image, points))
            bgr = np.ascontiguousarray(image[..., ::-1])
            _, encoded = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
            data = encoded.tobytes()
            name = self._name(str(columns[TURNED_FROM][index]), columns["yaw_degrees"][index])
            member = tarfile.TarInfo(name)
            member.size = len(data)
            self._archive.addfile(member, io.BytesIO(data))
            stored.append(name)
            checksums.append(zlib.crc32(data))
        own = {"file_name": np.array(stored, str), CHECKSUMS: np.array(checksums, np.uint32)}
        for key, values in {**own, **columns}.items():
            self._columns.setdefault(key, []).append(values)

    def _name(self, photograph: str, yaw_degrees: float) -> str:
        """Of a.jpg turned to 60 degrees a_yaw+60.webp, numbered where that is taken."""
        stem = f"{Path(photograph).stem}_yaw{yaw_degrees:+.0f}"
        tails = itertools.chain([""], (f"_{number}" for number in itertools.count(2)))
        name = next(name for tail in tails if (name := f"{stem}{tail}.webp") not in self._taken)
        self._taken.add(name)
        return name

    def reject(self, name: str, yaw_degrees: float, reason: str) -> None:
        """Notes a face that is left out.

        Args:
          name: of the photograph.
          yaw_degrees: that it was turned to.
          reason: why.
        """
        self.rejected.append((name, yaw_degrees, reason))

    def contact_sheet(self) -> np.ndarray:
        """`SHOWN` of the faces: before, after, and after with the points of the fit."""
        return contact_sheet(self._tiles, columns=3)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that was added, for ``annotations.npz``."""
        return {key: np.concatenate(values) for key, values in self._columns.items()}


@contextlib.contextmanager
def writing_turned_faces(
    folder: Path, settings: Mapping[str, Any], *, num_faces: int
) -> Iterator[TurnedFacesWriter]:
    """Writes a set of turned faces, whole or not at all.

    Args:
      folder: an earlier set in it is replaced; other files stay.
      settings: for ``annotation.json``.
      num_faces: that will come.

    Yields:
      What takes the faces.

    Raises:
      ValueError: where all faces were rejected; nothing is written then.
    """
    with replaced_files(folder, marker=SETTINGS_FILE) as unfinished:
        with tarfile.open(unfinished / "crops.tar", "w") as archive:
            writer = TurnedFacesWriter(archive, num_faces)
            yield writer
        arrays = writer.arrays()
        count = len(arrays["file_name"])
        if not count:
            name, _, reason = writer.rejected[0]
            raise ValueError(
                f"none of {len(writer.rejected)} turned faces can be used; the first, "
                f"{told(name, reason)}"
            )
        # No annotator saw these pictures: their points are the fits', and no labels.
        arrays |= {
            "landmarks68_crop_px": np.full((count, 68, 2), np.nan, np.float32),
            "landmarks68_visibility": np.zeros((count, 68), np.int8),
        }
        _write_rejected(unfinished / "rejected.csv", writer.rejected)
        sheet = np.ascontiguousarray(writer.contact_sheet()[..., ::-1])
        _, encoded = cv2.imencode(".png", sheet)
        (unfinished / "faces.png").write_bytes(encoded.tobytes())
        np.savez_compressed(unfinished / "annotations.npz", **arrays)  # pyright: ignore[reportArgumentType]
        listed = {**settings, "files": list(TURNED_FILES)}
        (unfinished / SETTINGS_FILE).write_text(json.dumps(listed, indent=2) + "\n")


def _write_rejected(path: Path, rejected: list[tuple[str, float, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "yaw_degrees", "reason"])
        table.writerows([name, f"{yaw:.1f}", reason] for name, yaw, reason in rejected)


def _before_and_after(before: np.ndarray, after: np.ndarray, points: np.ndarray) -> np.ndarray:
    # Drawn twice as large and shrunk: thin lines hide less of a small picture.
    large = np.repeat(np.repeat(after, 2, axis=0), 2, axis=1)
    drawn = draw_landmarks(large, 2 * points, thickness=1)
    small = cv2.resize(drawn, after.shape[1::-1], interpolation=cv2.INTER_AREA)
    return np.concatenate([before, after, np.asarray(small)], axis=1)

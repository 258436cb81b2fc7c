"""Photographs with coefficients fitted to their 2D labels, as `--mode=annotate` writes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from twodasl_jax.data.sources import CropSource, Role

SETTINGS_FILE = "annotation.json"
"""What the fits were made with; without it a folder is a crops folder like any other."""


class FittedSource(CropSource):
    """A crops folder whose faces also have ``coefficients (n, 62)``.

    In the role ``annotated`` an element has image, coefficients and the 18 landmarks; in the
    role ``in_the_wild`` it is that of a `CropSource`.

    Attributes:
      coefficients: ``(n, 62)`` raw, of all faces.
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
        if not (folder / SETTINGS_FILE).exists():
            raise FileNotFoundError(
                f"{folder} holds no fitted faces (no {SETTINGS_FILE}); make them: "
                f"python run.py --mode=annotate --images=DIR --face_model=FILE --output={folder}"
            )
        settings = json.loads((folder / SETTINGS_FILE).read_text())
        if settings["face_model_crc"] != face_model_crc:
            raise ValueError(
                f"{folder} was fitted with the face model '{settings['face_model']}', which is not "
                "the one of this experiment; fit again with --mode=annotate"
            )
        self.face_model_identity: dict[str, Any] | None = settings.get("face_model_identity")
        super().__init__(folder)
        self._role = role
        with np.load(folder / "annotations.npz") as file:
            self.coefficients = file["coefficients"]
        if self.coefficients.shape != (len(self), 62):
            raise ValueError(
                f"{folder}: coefficients are {self.coefficients.shape}; expected {(len(self), 62)}"
            )

    def __getitem__(self, index: Any) -> dict[str, np.ndarray]:
        element = super().__getitem__(index)
        if self._role == "in_the_wild":
            return element
        return {
            "image": element["image"],
            "coefficients": self.coefficients[int(index)],
            "landmarks18": element["landmarks18"],
            "landmark18_weights": element["landmark18_weights"],
        }

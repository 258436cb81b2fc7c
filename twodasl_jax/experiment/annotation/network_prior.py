"""A trained network as the prior of a fit: what it sees in a crop, and how far it may be wrong.

Networks were trained on heads that stand about upright, and AFLW's lie at any angle. So a head is
turned upright by its labels before the network sees it, is fitted there, and is turned back. It is
shown a second time mirrored, and the prior is the mean of what it sees: its errors are not the
same both times (``pretrained:bfm`` on `aflw_validation`: manual points 4.39 and 4.39 % alone, 4.35
together; docs/training_log.md). Labels are made once, so the second look costs little.
"""

from typing import Any, NamedTuple

import numpy as np

from twodasl_jax.coefficient_layout import CODE_LAYOUT
from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.data.crop_resize import resized_coefficients
from twodasl_jax.data.mirrored_faces import CoefficientMirror, mirror_coefficients, mirror_points
from twodasl_jax.experiment.run.trained import TrainedRun, open_trained
from twodasl_jax.face_model.mirrored_model import fit_mirror
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.face_model.model_identity import (
    describe_identity,
    differing_arrays,
    face_model_identity,
)
from twodasl_jax.landmark_tables import MIRROR_18
from twodasl_jax.methods.method import CodeStatistics
from twodasl_jax.methods.predictor import Predictor
from twodasl_jax.pretrained.names import PRETRAINED
from twodasl_jax.training.checksums import array_checksums, json_checksum

BASIS = ("mean", "shape_basis", "expression_basis")
"""The arrays of a face model that coefficients weigh."""

_FREE = 1e6
"""Standard deviation of a camera of which the method knows none: it moves freely."""


class NetworkPrior(NamedTuple):
    """A network whose code is the coefficients of a linear face model.

    Attributes:
      run: that it is of.
      statistics: of its code.
      predictor: crops and 18 landmarks to cameras and codes.
      mirror: of the face model's coefficients; None where it cannot show its faces mirrored, which
        are then seen once.
    """

    run: TrainedRun
    statistics: CodeStatistics
    predictor: Predictor
    mirror: CoefficientMirror | None = None

    @property
    def crop_size(self) -> int:
        """Side of the crops that it reads, pixels."""
        return self.run.method.crop_size

    @property
    def camera_std(self) -> np.ndarray:
        """``(3, 4)`` float32 spread of ``[f·R | t]`` in crops of 120 pixels."""
        std = self.statistics.camera_std
        spread = np.full((3, 4), _FREE) if std is None else std * (CROP_SIZE / self.crop_size)
        return np.asarray(spread, np.float32)

    def described(self, name: str) -> dict[str, Any]:
        """Which network it is, for ``annotation.json``: names and folders may mean others later.

        Args:
          name: as a command calls it.
        """
        told = {"network": name, "stage": self.run.stage, "step": self.run.step}
        told["views"] = "one" if self.mirror is None else "itself and mirrored, their mean"
        told["weights_checksum"] = json_checksum(array_checksums(self.run.networks.params))
        return {**told, "about": self.run.about} if self.run.about else told

    def coefficients(self, crops: np.ndarray, landmarks18: np.ndarray) -> np.ndarray:
        """What it sees in crops, as ``(n, 62)`` raw coefficients of 120-pixel crops.

        Args:
          crops: ``(n, crop_size, crop_size, 3)`` uint8 RGB.
          landmarks18: ``(n, 18, 2)`` pixels of a 120-pixel crop, NaN where unknown.

        Raises:
          ValueError: where it predicts no numbers.
        """
        seen = self._seen(crops, landmarks18)
        if self.mirror is None:
            return seen
        shown = np.stack([mirror_points(points)[MIRROR_18] for points in landmarks18])
        mirrored = self._seen(np.ascontiguousarray(crops[:, :, ::-1]), shown)
        back = np.stack([mirror_coefficients(face, self.mirror) for face in mirrored])
        return 0.5 * (seen + back)

    def _seen(self, crops: np.ndarray, landmarks18: np.ndarray) -> np.ndarray:
        shown = landmarks18.astype(np.float32) * np.float32(self.crop_size / CROP_SIZE)
        camera, code = self.predictor(self.run.networks, crops, shown)
        joined = np.concatenate([np.reshape(camera, (len(crops), 12)), code], axis=1)
        if not np.isfinite(joined).all():
            raise ValueError("--prior predicts NaN or infinity; its training has failed")
        return resized_coefficients(joined, crop_size=self.crop_size, new_size=CROP_SIZE)


def prior_path(name: str | None) -> str | None:
    """The folder or file of a network that a command names; None where the package has it.

    Args:
      name: as for `open_trained`; None is none.
    """
    return None if name is None or name.partition(":")[0] == PRETRAINED else name


def load_network_prior(
    name: str, face_model: FaceModel, *, given: str | None, batch_size: int
) -> NetworkPrior:
    """Reads a network and makes sure that its coefficients mean faces of the model to be fitted.

    Args:
      name: a run's folder, a network file, or one of the package's (`open_trained`).
      face_model: to be fitted.
      given: its file, where one was named: the network's own may lie there.
      batch_size: of the compiled prediction.

    Raises:
      FileNotFoundError, ValueError: as `open_trained`; or where the network's code is none of
        the face model's coefficients.
    """
    run = _opened(name, given)
    statistics = run.family.code_statistics(run.arrays)
    if statistics is None or dict(statistics.layout) != dict(CODE_LAYOUT):
        raise ValueError(
            f"--prior={name} is of the method '{run.settings_json['method']}', which predicts no "
            "coefficients of a linear face model to hold a fit near; give another network"
        )
    saved, wanted = face_model_identity(run.face_model), face_model_identity(face_model)
    differing = [array for array in differing_arrays(saved, wanted) if array in BASIS]
    if differing:
        raise ValueError(
            f"--prior={name} predicts coefficients of {describe_identity(saved)}, and the face "
            f"model to fit is {describe_identity(wanted)}: they differ in {', '.join(differing)}; "
            "give the face model that the network was trained with, --face_model=FILE"
        )
    predictor = run.predictor(
        batch_sizes=(batch_size,), dense=False, outputs=lambda faces: (faces.camera, faces.code)
    )
    mirror = fit_mirror(face_model)
    found = CoefficientMirror(mirror.matrix, mirror.offset, mirror.plane_x)
    return NetworkPrior(run, statistics, predictor, found if mirror.is_faithful else None)


def _opened(name: str, given: str | None) -> TrainedRun:
    """A network by its name, of the face model where that lies by itself or where one is given."""
    try:
        return open_trained(name)
    except FileNotFoundError:
        if given is None:
            raise
        return open_trained(name, face_model=given)

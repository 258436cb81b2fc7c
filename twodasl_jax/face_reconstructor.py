"""The Python API: faces of photographs from a trained network.

::

    reconstructor = FaceReconstructor.pretrained()  # or .from_checkpoint("runs/quickstart")
    for face in reconstructor(image):  # uint8 RGB (height, width, 3)
        print(face.head_pose.yaw, face.landmarks_px)
"""

import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from twodasl_jax.experiment.run.trained import TrainedRun, open_trained
from twodasl_jax.experiment.settings.experiment_settings import RunChoice
from twodasl_jax.methods.method import Faces, Method
from twodasl_jax.methods.predictor import Predictor
from twodasl_jax.predict.faces import recrop
from twodasl_jax.predict.faces.face_detectors import DEFAULT_DETECTOR, FACE_DETECTORS, FaceBox
from twodasl_jax.predict.faces.landmark_detectors import LANDMARK_DETECTORS
from twodasl_jax.predict.faces.reconstruct import CropFaces, Reconstruction, crop_faces
from twodasl_jax.predict.faces.upright_search import (
    area,
    reconstruct_any_way_up,
    reconstruct_detected_landmarks,
    surest_first,
)
from twodasl_jax.pretrained.names import PRETRAINED
from twodasl_jax.training.state import Networks

BATCH_SIZES = (1, 2, 4, 8, 16, 32)
"""One function is compiled for each of these that occurs; batches between are padded."""

NUM_REFINEMENTS = 2
"""How often a face that was found is cropped anew around its predicted landmarks. Measured on 40
AFLW2000-3D photographs, mean NME after 0, 1, 2, 3 times: 5.00, 3.28, 3.04, 2.97 % from MTCNN's
boxes, 4.74, 3.42, 3.16, 3.06 % from boxes around the true landmarks."""


class FaceReconstructor:
    """Finds and reconstructs the faces of photographs with a trained network.

    Several threads may share one.

    Attributes:
      face_model: the one whose coefficients are predicted.
      code_statistics: how the code is spread, where it weighs the face model's bases; else None.
      code_layout: parts of the code.
      crop_size: side of the crops that the network reads, pixels.
      about: a line on a network that is no run of one's own: which it is, and its licence.
    """

    def __init__(
        self,
        trained: TrainedRun,
        *,
        detector: str = DEFAULT_DETECTOR,
        num_passes: int = 2,
        max_faces: int | None = None,
    ) -> None:
        """Prepares the networks of a run.

        Args:
          trained: the run.
          detector: what finds the faces (`FACE_DETECTORS`), or their landmarks
            (`LANDMARK_DETECTORS`). It is made when it is first needed.
          num_passes: with 2, a face without given landmarks is shown to the network a second
            time with the map of its own first landmarks.
          max_faces: of what is found in a photograph only so many, the largest, are
            reconstructed: a bound on time and memory. None takes all.

        Raises:
          ValueError: for another number of passes, no face at all, or an unknown detector.
        """
        if max_faces is not None and max_faces < 1:
            raise ValueError(f"max_faces is {max_faces}; expected at least 1, or None for all")
        if num_passes not in (1, 2):
            raise ValueError(f"num_passes is {num_passes}; expected 1 or 2")
        choices = (*FACE_DETECTORS, *LANDMARK_DETECTORS)
        if detector not in choices:
            raise ValueError(
                f"no detector is called '{detector}'; choose one of {', '.join(choices)}"
            )
        self.face_model, self.about = trained.face_model, trained.about
        self.code_statistics = trained.family.code_statistics(trained.arrays)
        method = trained.method.with_passes(num_passes)
        self.code_layout, self.crop_size = method.code_layout, method.crop_size
        self._detector_name, self._max_faces = detector, max_faces
        self._detector: Callable[..., Any] | None = None
        self._making_detector = threading.Lock()
        # Once: the arrays of a checkpoint are numpy, and would be carried over for every batch.
        self._networks = jax.device_put(trained.networks)
        self._constants = trained.family.prediction_constants(self.face_model, trained.arrays)
        self._network = _CropNetwork(method, self._networks, self._constants)
        self._decode = jax.jit(method.decode)

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path,
        *,
        detector: str = DEFAULT_DETECTOR,
        num_passes: int = 2,
        max_faces: int | None = None,
        wanted: RunChoice | None = None,
        face_model: str | None = None,
    ) -> "FaceReconstructor":
        """Reads a trained network: the newest of a training run, or one that is a file.

        Args:
          path: folder of the run (``--workdir`` of its training); a network file
            (``--mode=pack``); or ``pretrained``, ``pretrained:bfm``: see `pretrained`.
          detector: as for the class.
          num_passes: as for the class.
          max_faces: as for the class.
          wanted: which checkpoint, in place of what the run's own settings say.
          face_model: where its face model lies now, if it is not found by itself.

        Raises:
          FileNotFoundError, ValueError: where there is no (complete) network, or its face model is
            not to be found, or another one.
        """
        trained = open_trained(path, wanted, face_model=face_model)
        return cls(trained, detector=detector, num_passes=num_passes, max_faces=max_faces)

    @classmethod
    def pretrained(
        cls, name: str = "open", *, face_model: str | None = None, **options: Any
    ) -> "FaceReconstructor":
        """Reads a network that comes with the package; its `about` names its licence.

        Args:
          name: ``open``, of the embedded open face model, or ``bfm``, of the Basel Face Model.
          face_model: file of the Basel Face Model, which cannot come with the package.
          **options: of the class: ``detector``, ``num_passes``, ``max_faces``.

        Raises:
          FileNotFoundError, ValueError: for another name, or a face model that is absent or
            another one.
        """
        return cls(open_trained(f"{PRETRAINED}:{name}", face_model=face_model), **options)

    def __call__(
        self,
        image: np.ndarray,
        *,
        boxes: Sequence[np.ndarray] | None = None,
        landmarks: np.ndarray | None = None,
    ) -> list[Reconstruction]:
        """Reconstructs the faces of one photograph.

        Args:
          image: ``(height, width, 3)`` uint8 RGB.
          boxes: ``(k, 4)`` ``(x1, y1, x2, y2)`` of the faces, image pixels, as a detector would
            frame them; without these they are looked for.
          landmarks: or their ``(k, 68, 2)`` 2D landmarks, image pixels; these give the crop and
            are fed to the network.

        Returns:
          The faces: in the given order, or the largest first; empty where none is found.

        Raises:
          ValueError: for an image, box or landmark of the wrong kind, both of them, or a given
            box around which no face is found.
        """
        recrop.check_image(image)
        if boxes is not None and landmarks is not None:
            raise ValueError("both boxes and landmarks were given; landmarks alone are enough")
        if boxes is None and landmarks is None and self._detector_name in LANDMARK_DETECTORS:
            faces = reconstruct_detected_landmarks(
                image, self._detect, self._network, self.face_model
            )
            return faces[: self._max_faces]
        if landmarks is not None:
            return recrop.reconstruct_from_landmarks(
                image, landmarks, self._network, self.face_model
            )
        found = self._detect(image) if boxes is None else [FaceBox(np.asarray(b)) for b in boxes]
        faces = reconstruct_any_way_up(
            image,
            found,
            self._network,
            self.face_model,
            num_refinements=NUM_REFINEMENTS,
            detect=self._detect if boxes is None else None,
        )
        if boxes is not None:
            return faces
        return sorted(surest_first(faces), key=area, reverse=True)[: self._max_faces]

    def reconstruct_at(
        self,
        image: np.ndarray,
        roi_boxes: Sequence[np.ndarray],
        turns_degrees: Sequence[float] | None = None,
    ) -> list[Reconstruction]:
        """Reconstructs faces at crops cut exactly where told: no detection, no re-cropping.

        Args:
          image: ``(height, width, 3)`` uint8 RGB.
          roi_boxes: ``(k, 4)`` ``(sx, sy, ex, ey)`` of the crops, image pixels.
          turns_degrees: ``(k,)`` by which the photograph is turned, counterclockwise about the
            middle of each box, before its crop is cut (`predict.faces.upright`); None turns none.
        """
        return recrop.reconstruct_at(
            image,
            roi_boxes,
            self._network,
            self.face_model,
            turns_degrees=turns_degrees,
        )

    def reconstruct_crops(
        self, crops: np.ndarray, landmarks: np.ndarray | None = None
    ) -> CropFaces:
        """Reconstructs many crops in batches, in the crops' own frame.

        Args:
          crops: ``(n, size, size, 3)`` uint8 RGB, of `crop_size` pixels.
          landmarks: ``(n, 18, 2)`` crop pixels for the landmark map, NaN where unknown.

        Returns:
          numpy arrays of all n faces.

        Raises:
          ValueError: for arrays of another kind.
        """
        given = np.full((len(crops), 18, 2), np.nan) if landmarks is None else landmarks
        wanted = (len(crops), 18, 2)
        size = self.crop_size
        if np.shape(crops)[1:] != (size, size, 3) or crops.dtype != np.uint8 or not len(crops):
            raise ValueError(
                f"the crops are {crops.shape} {crops.dtype}; expected (n, {size}, {size}, 3) uint8"
            )
        if np.shape(given) != wanted:
            raise ValueError(f"the landmarks are {np.shape(given)}; expected {wanted}")
        return self._network(crops, np.asarray(given, np.float32))

    def decode(self, camera: np.ndarray, code: np.ndarray) -> Faces:
        """The method's faces of other cameras and codes, such as smoothed ones.

        Args:
          camera: ``(b, 3, 4)``.
          code: ``(b, k)``.

        Returns:
          numpy arrays.
        """
        return jax.device_get(self._decode(self._networks, self._constants, camera, code))

    def prepare_detector(self) -> None:
        """Makes the detector now: what it lacks is then told before any photograph is read.

        Raises:
          ValueError: naming the package that is missing, and its command.
        """
        self._made_detector()

    def _made_detector(self) -> Callable[..., Any]:
        with self._making_detector:  # threads that come first together share one
            detector = self._detector
            if detector is None:
                detector = {**FACE_DETECTORS, **LANDMARK_DETECTORS}[self._detector_name]()
                self._detector = detector
            return detector

    def _detect(self, image: np.ndarray, /, *, quick: bool = False) -> Any:
        """Boxes or landmarks of the faces, at most the `max_faces` largest ones."""
        detect = self._made_detector()
        found = detect(image, quick=True) if quick else detect(image)
        if self._max_faces is None or len(found) <= self._max_faces:
            return found
        if self._detector_name in FACE_DETECTORS:
            found = sorted(found, key=lambda face: -np.prod(face.box[2:] - face.box[:2]))
        return found[: self._max_faces]


class _CropNetwork:
    """A method's networks as `ReconstructCrops`; one program for each batch size."""

    def __init__(self, method: Method, networks: Networks, constants: Any) -> None:
        self.crop_size, self._networks = method.crop_size, networks
        self._predictor = Predictor(
            method,
            constants,
            batch_sizes=BATCH_SIZES,
            outputs=functools.partial(crop_faces, crop_size=method.crop_size),
        )

    def __call__(self, crops: np.ndarray, landmarks: np.ndarray, /) -> CropFaces:
        return self._predictor(self._networks, crops, landmarks)

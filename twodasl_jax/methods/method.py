"""What everything above the methods knows of one: it is made, trained, saved, and asked for faces.

A *method* is one paper's networks and objective. Training, experiments, evaluation, prediction and
the page speak only this protocol; `methods.registry.METHODS` names the methods there are.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, UInt8

from twodasl_jax.array_types import Batch
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.geometry.camera import project_to_crop
from twodasl_jax.training.state import Networks, TrainState

Arrays = Mapping[str, np.ndarray]
"""The extra arrays of a method that belong in its checkpoint, by name; float32."""


class Faces(NamedTuple):
    """The faces of a batch of crops; a pytree of JAX or numpy arrays.

    Attributes:
      camera: ``(b, 3, 4)`` ``[M | t]``, from model points to the view frame: crop pixels, x right,
        y **up**.
      points: ``(b, 3, n)`` model points before the camera, planar, model units: all vertices of the
        face model, or its 68 landmarks alone (`MethodFamily.prediction_constants`).
      code: ``(b, k)`` what the points were decoded from; `Method.code_layout` names its parts.
      texture: ``(b, 3, n)`` RGB of the points in [0, 1], where the method predicts it.
    """

    camera: Any
    points: Any
    code: Any
    texture: Any = None


class CodeStatistics(NamedTuple):
    """The spread of a code whose parts weigh the face model's shape and expression bases.

    Attributes:
      mean: ``(k,)``.
      std: ``(k,)``, positive.
      layout: ``shape`` and ``expression``.
      camera_std: ``(3, 4)`` of ``[M | t]`` in crops of the method's size, positive; None where the
        method has none.
    """

    mean: np.ndarray
    std: np.ndarray
    layout: Mapping[str, slice]
    camera_std: np.ndarray | None = None


def crop_points(faces: Faces, crop_size: int) -> Float[Array, "b n 3"]:
    """The points as the crop shows them: pixels, x right, y **down**, depth towards the viewer.

    Args:
      faces: of crops.
      crop_size: of the method.
    """
    projected = project_to_crop(faces.camera, faces.points, crop_size=crop_size)
    return jnp.swapaxes(projected, -1, -2)


@runtime_checkable
class Method(Protocol):
    """Networks and objective of one paper, for one stage of training; frozen."""

    @property
    def crop_size(self) -> int:
        """Side of the square RGB crop that the networks read, pixels."""
        ...

    @property
    def reads(self) -> tuple[str, ...]:
        """The halves of the training data that a step looks at: ``annotated``, ``in_the_wild``."""
        ...

    @property
    def network_names(self) -> tuple[str, ...]:
        """Names of the networks that a step updates, and that need an optimiser."""
        ...

    @property
    def code_layout(self) -> Mapping[str, slice]:
        """Parts of the code that mean something by themselves.

        ``shape`` is a person's, the same in all of their pictures; ``expression`` moves. Other
        parts, or none, are the method's own.
        """
        ...

    def init(self, key: Array) -> Networks:
        """Fresh parameters and batch statistics, each a mapping of network name -> pytree."""
        ...

    def step(
        self,
        state: TrainState,
        batch: Batch,
        constants: Any,
        *,
        optimizer: optax.GradientTransformation,
        axis_name: str | None = None,
    ) -> tuple[TrainState, dict[str, Array]]:
        """One update of all networks, and scalars to log; pure.

        Args:
          state: networks, optimiser and step.
          batch: both halves of the data.
          constants: from `MethodFamily.training_constants`.
          optimizer: one `optax.multi_transform` over the networks' names.
          axis_name: the devices' axis where the step is pmapped; None under jit.
        """
        ...

    def with_passes(self, num_passes: int) -> "Method":
        """The same, whose prediction shows a face to the network at most so many times."""
        ...

    def predict(
        self,
        networks: Networks,
        constants: Any,
        image: UInt8[Array, "b size size 3"],
        landmarks: Float[Array, "b 18 2"],
    ) -> Faces:
        """The faces of crops; pure.

        Args:
          networks: of which only those for prediction need be there.
          constants: from `MethodFamily.prediction_constants`.
          image: uint8 RGB crops of `crop_size`.
          landmarks: 18 2D landmarks, crop pixels, NaN where unknown: all NaN where no detector was
            run. A method that reads none ignores them.
        """
        ...

    def decode(
        self,
        networks: Networks,
        constants: Any,
        camera: Float[Array, "b 3 4"],
        code: Float[Array, "b k"],
    ) -> Faces:
        """The faces of cameras and codes, such as smoothed or stored ones; pure.

        ``decode(networks, constants, faces.camera, faces.code)`` gives `predict`'s faces.
        """
        ...


class MethodFamily(Protocol):
    """How a method is made from plain settings and a face model: an entry of ``METHODS``."""

    @property
    def network_names(self) -> tuple[str, ...]:
        """Names of all networks that a stage of the method may have."""
        ...

    @property
    def prediction_network_names(self) -> tuple[str, ...]:
        """Names of those that prediction reads; the others only train it."""
        ...

    @property
    def settings(self) -> Mapping[str, type]:
        """The groups ``models`` and ``losses`` of an experiment -> dataclasses of their settings.

        A config is read by their fields: a default is what runs of earlier versions lack.
        """
        ...

    def make(
        self,
        *,
        models: Any,
        losses: Any,
        stage: Any,
    ) -> Method:
        """The networks of an experiment with the losses of one of its stages.

        Args:
          models: of the dataclass ``settings["models"]``.
          losses: of the dataclass ``settings["losses"]``.
          stage: one of its stages, with ``loss_weights``, ``ramp_steps`` and ``loss_formula``.

        Raises:
          ValueError: for settings that the method does not know, listing the choices.
        """
        ...

    def make_predicting(self, models: Any) -> Method:
        """The networks without an objective, for prediction alone.

        Args:
          models: of the dataclass ``settings["models"]``.

        Raises:
          ValueError: as `make`.
        """
        ...

    def meaning(self, models: Any) -> dict[str, Any]:
        """What the networks read and give, as plain values by the names of their settings.

        Networks whose meanings differ cannot go on from each other, whatever their shapes.
        """
        ...

    def widened(
        self, networks: Networks, meaning: Mapping[str, Any], models: Any
    ) -> tuple[Networks, Mapping[str, Any]]:
        """Another run's networks, made to read all that those of an experiment read.

        Only what leaves their predictions as they are; where there is no such way, or no need of
        one, both come back as they came, and whether they fit is asked elsewhere.

        Args:
          networks: of the other run.
          meaning: of these, as `meaning` gives it, and more.
          models: settings of the experiment that starts from them.

        Returns:
          Networks, and what they mean now.
        """
        ...

    def with_fresh_head(self, networks: Networks, fresh: Networks) -> Networks:
        """Another run's networks without what ties them to its face model.

        Args:
          networks: of the other run.
          fresh: of the experiment, not trained; what is tied comes from these.

        Returns:
          Those of the networks that can be of use to another face model.
        """
        ...

    def require_fit(self, face_model: FaceModel, losses: Any) -> None:
        """Refuses losses that the face model cannot serve, before anything is made.

        Raises:
          ValueError: naming the setting and both values.
        """
        ...

    def fit_arrays(
        self, face_model: FaceModel, coefficients: Float[np.ndarray, "n 62"]
    ) -> dict[str, np.ndarray]:
        """The extra arrays of a new run.

        Args:
          face_model: that the run is of.
          coefficients: raw, of all annotated training faces.

        Raises:
          ValueError: where the annotations cannot give them.
        """
        ...

    def why_other_arrays(self, saved: Arrays, wanted: Arrays) -> str | None:
        """What differs between a run's arrays and those that its data give now; None: nothing."""
        ...

    def training_constants(self, face_model: FaceModel, arrays: Arrays, losses: Any) -> Any:
        """What a step reads besides state and batch: a pytree of arrays.

        Raises:
          ValueError: where the checkpoint lacks an array.
        """
        ...

    def prediction_constants(
        self, face_model: FaceModel, arrays: Arrays, *, dense: bool = True
    ) -> Any:
        """What `Method.predict` reads besides networks and crops: a pytree of arrays.

        Args:
          face_model: whose points are predicted.
          arrays: of the checkpoint.
          dense: True predicts all vertices, False the 68 landmarks alone, in their order.

        Raises:
          ValueError: where the checkpoint lacks an array.
        """
        ...

    def code_statistics(self, arrays: Arrays) -> CodeStatistics | None:
        """How the code is spread, where it weighs the face model's own bases; else None."""
        ...

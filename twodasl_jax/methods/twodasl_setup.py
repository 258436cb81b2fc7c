"""2DASL as the rest of the project sees it: made from settings, its statistics, its constants."""

import dataclasses
import types
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, UInt8

from twodasl_jax.array_types import Batch
from twodasl_jax.coefficient_layout import (
    CAMERA,
    CODE_LAYOUT,
    NUM_CAMERA,
    NUM_COEFFICIENTS,
    TRANSLATION_Z,
    WEIGHTS,
)
from twodasl_jax.coefficients import Whitening, split_coefficients
from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.face_model.landmarks import landmark_model
from twodasl_jax.face_model.linear import (
    select_points,
    vertices_from_coefficients,
)
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.losses.vertex import vertex_gram
from twodasl_jax.methods import twodasl
from twodasl_jax.methods.method import Arrays, CodeStatistics, Faces
from twodasl_jax.methods.twodasl import PredictionConstants
from twodasl_jax.methods.twodasl_passes import Constants
from twodasl_jax.methods.twodasl_settings import LossSettings, ModelSettings, TwoDASL
from twodasl_jax.models.coefficient_regressor import make_regressor, with_blind_channel
from twodasl_jax.models.critic import Critic
from twodasl_jax.models.image_encoder import make_encoder
from twodasl_jax.models.widening import widen_mobilenet
from twodasl_jax.training.state import Networks, TrainState

MEAN, STD = "coefficient_mean", "coefficient_std"
"""Names of the whitening's two arrays in a checkpoint, ``(62,)`` each."""

_BACKBONE, _LANDMARK_MAP = "models.backbone", "models.landmark_map"

NETWORK_NAMES = ("regressor", "encoder", "critic")


@dataclasses.dataclass(frozen=True)
class TwoDASLMethod(TwoDASL):
    """2DASL as a `methods.method.Method`.

    Attributes:
      num_passes: with 2, a face without any given landmark is shown to the network a second time,
        with the map of its own first-pass landmarks; or, without maps, upright (`upright_pass`).
    """

    num_passes: int = 2

    @property
    def crop_size(self) -> int:
        """120, as its crops have been cut since 3DDFA."""
        return CROP_SIZE

    @property
    def reads(self) -> tuple[str, ...]:
        """In-the-wild images only where a term looks at them."""
        wild = ("in_the_wild",) if self.reads_in_the_wild else ()
        return ("annotated", *wild)

    @property
    def network_names(self) -> tuple[str, ...]:
        """Encoder and critic only where the self-critic is on."""
        return NETWORK_NAMES if self.has_critic else NETWORK_NAMES[:1]

    @property
    def code_layout(self) -> Mapping[str, slice]:
        """Shape and expression: the 62 coefficients without the camera."""
        return CODE_LAYOUT

    def init(self, key: Array) -> Networks:
        """See `twodasl.init_networks`."""
        return Networks(*twodasl.init_networks(self, key))

    def step(
        self,
        state: TrainState,
        batch: Batch,
        constants: Constants,
        *,
        optimizer: optax.GradientTransformation,
        axis_name: str | None = None,
    ) -> tuple[TrainState, dict[str, Array]]:
        """See `twodasl.train_step`."""
        return twodasl.train_step(
            state, batch, constants, method=self, optimizer=optimizer, axis_name=axis_name
        )

    def with_passes(self, num_passes: int) -> "TwoDASLMethod":
        """With another `num_passes`."""
        return dataclasses.replace(self, num_passes=num_passes)

    def predict(
        self,
        networks: Networks,
        constants: PredictionConstants,
        image: UInt8[Array, "b 120 120 3"],
        landmarks: Float[Array, "b 18 2"],
    ) -> Faces:
        """The network's coefficients, decoded."""
        coefficients = twodasl.predict(
            *networks, image, landmarks, constants, method=self, num_passes=self.num_passes
        )
        camera = coefficients[:, CAMERA].reshape(-1, 3, 4)
        return self.decode(networks, constants, camera, coefficients[:, WEIGHTS])

    def decode(
        self,
        networks: Networks,
        constants: PredictionConstants,
        camera: Float[Array, "b 3 4"],
        code: Float[Array, "b 50"],
    ) -> Faces:
        """The linear model's points; the networks have no part in it."""
        del networks
        parts = split_coefficients(jnp.concatenate([camera.reshape(-1, NUM_CAMERA), code], -1))
        points = vertices_from_coefficients(constants.points, parts.shape, parts.expression)
        return Faces(camera, points, code)


class TwoDASLFamily:
    """2DASL as a `methods.method.MethodFamily`."""

    network_names = NETWORK_NAMES

    prediction_network_names = NETWORK_NAMES[:1]

    settings = types.MappingProxyType({"models": ModelSettings, "losses": LossSettings})

    def make(
        self,
        *,
        models: ModelSettings,
        losses: LossSettings,
        stage: Any,
    ) -> TwoDASLMethod:
        """Three networks, and the terms of one stage."""
        return dataclasses.replace(
            self.make_predicting(models),
            loss_weights=dict(stage.loss_weights),
            ramp_steps=dict(stage.ramp_steps),
            loss_formula=stage.loss_formula,
            use_landmark_importance=losses.landmark_importance,
            depth_weight=losses.depth_weight,
        )

    def make_predicting(self, models: ModelSettings) -> TwoDASLMethod:
        """Three networks and no term."""
        return TwoDASLMethod(
            regressor=make_regressor(
                models.backbone,
                batch_norm=models.batch_norm,
                convolution=models.convolution,
            ),
            encoder=make_encoder(
                convolution=models.convolution, width_divisor=models.encoder_width_divisor
            ),
            critic=Critic(),
            loss_weights={},
            use_landmark_map=models.landmark_map,
            upright_pass=models.upright_pass,
        )

    def meaning(self, models: ModelSettings) -> dict[str, Any]:
        """Input, output and normalisation of the regressor."""
        return {
            "crop_size": CROP_SIZE,
            "num_coefficients": NUM_COEFFICIENTS,
            _BACKBONE: models.backbone,
            _LANDMARK_MAP: bool(models.landmark_map),
            "models.batch_norm": models.batch_norm,
        }

    def widened(
        self, networks: Networks, meaning: Mapping[str, Any], models: ModelSettings
    ) -> tuple[Networks, Mapping[str, Any]]:
        """A landmark map that is not seen yet beside RGB; a MobileNet of twice the channels."""
        if meaning.get(_LANDMARK_MAP) is False and models.landmark_map:
            regressor = with_blind_channel(networks.params["regressor"])
            networks = networks._replace(params={**networks.params, "regressor": regressor})
            meaning = {**meaning, _LANDMARK_MAP: True}
        if (meaning.get(_BACKBONE), models.backbone) == ("mobilenet_v1_half", "mobilenet_v1"):
            networks = _of_twice_the_width(networks)
            meaning = {**meaning, _BACKBONE: models.backbone}
        return networks, meaning

    def with_fresh_head(self, networks: Networks, fresh: Networks) -> Networks:
        """The regressor's backbone; the encoder and the critic know one face model's faces."""
        regressor = {**networks.params["regressor"], "head": fresh.params["regressor"]["head"]}
        statistics = {"regressor": networks.batch_stats["regressor"]}
        return Networks({"regressor": regressor}, statistics)

    def require_fit(self, face_model: FaceModel, losses: LossSettings) -> None:
        """Refuses a vertex distance cost over more vertices than there are."""
        asked = losses.num_vertices
        if asked > face_model.num_vertices:
            raise ValueError(
                f"losses.num_vertices is {asked:,}, and the face model '{face_model.name}' has "
                f"{face_model.num_vertices:,} vertices; expected at most these, or 0 for all of "
                "them"
            )

    def fit_arrays(
        self, face_model: FaceModel, coefficients: Float[np.ndarray, "n 62"]
    ) -> dict[str, np.ndarray]:
        """Whitening: the face model's published statistics, or those of the annotations."""
        if face_model.whitening is not None:
            mean, std = (np.asarray(part, np.float32) for part in face_model.whitening)
            return {MEAN: mean, STD: std}
        mean = coefficients.mean(axis=0, dtype=np.float64)
        std = coefficients.std(axis=0, dtype=np.float64)
        constant = np.flatnonzero(std < 1e-12 * np.maximum(np.abs(mean), 1.0))
        # t_z may be constant (it is unobservable); any other constant would be a broken data set.
        wrong = [int(index) for index in constant if index != TRANSLATION_Z]
        if wrong:
            raise ValueError(
                f"coefficients {wrong} are the same in all {len(coefficients)} training "
                "annotations; expected them to vary, check the annotated source"
            )
        std[constant] = 1.0
        return {MEAN: mean.astype(np.float32), STD: std.astype(np.float32)}

    def why_other_arrays(self, saved: Arrays, wanted: Arrays) -> str | None:
        """The first coefficient whose statistics differ by more than other sums' rounding."""
        for name in (MEAN, STD):
            there, here = np.asarray(saved[name]), np.asarray(wanted[name])
            spread = np.maximum(np.asarray(saved[STD]), np.abs(there))
            # Other processors may sum in another order: some last bits.
            differs = np.flatnonzero(np.abs(there - here) > 1e-4 * spread)
            if len(differs):
                first = int(differs[0])
                return (
                    f"the {name.removeprefix('coefficient_')} of coefficient {first} was "
                    f"{there[first]:.6g} and is {here[first]:.6g} now ({len(differs)} differ)"
                )
        return None

    def training_constants(
        self, face_model: FaceModel, arrays: Arrays, losses: LossSettings
    ) -> Constants:
        """Landmarks, the vertices' Gram matrix and the whitening."""
        asked = losses.num_vertices
        vertices = face_model.linear
        if asked:
            spread = np.linspace(0, face_model.num_vertices - 1, asked)
            marks = np.asarray(face_model.landmark_vertices)
            chosen = np.concatenate([marks, spread.astype(np.int32)])
            vertices = select_points(face_model.linear, jnp.asarray(chosen))
        gram = jnp.asarray(vertex_gram(vertices), jnp.float32)
        return Constants(landmark_model(face_model), gram, _whitening(arrays))

    def prediction_constants(
        self, face_model: FaceModel, arrays: Arrays, *, dense: bool = True
    ) -> PredictionConstants:
        """The face model at its landmarks and at the points to predict, and the whitening."""
        at_landmarks = landmark_model(face_model)
        points = face_model.linear if dense else at_landmarks
        return PredictionConstants(at_landmarks, points, _whitening(arrays))

    def code_statistics(self, arrays: Arrays) -> CodeStatistics:
        """Of shape, expression and camera, as in the training set."""
        mean, std = (np.asarray(part) for part in _whitening(arrays))
        return CodeStatistics(mean[WEIGHTS], std[WEIGHTS], CODE_LAYOUT, std[CAMERA].reshape(3, 4))


def _of_twice_the_width(networks: Networks) -> Networks:
    params, statistics = widen_mobilenet(
        networks.params["regressor"], networks.batch_stats["regressor"], factor=2, seed=0
    )
    return Networks(
        {**networks.params, "regressor": params},
        {**networks.batch_stats, "regressor": statistics},
    )


def _whitening(arrays: Arrays) -> Whitening:
    if not {MEAN, STD} <= set(arrays):
        raise ValueError(
            "the checkpoint has no whitening statistics; its outputs cannot be read: train again"
        )
    return Whitening(jnp.asarray(arrays[MEAN]), jnp.asarray(arrays[STD]))

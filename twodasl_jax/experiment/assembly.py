"""From a config to objects: face model, method, optimiser, constants.

Only `jobs` reads a config; everything below takes plain arguments.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from twodasl_jax.coefficients import TRANSLATION_Z, Whitening
from twodasl_jax.experiment.settings.experiment_settings import ExperimentSettings, StageSettings
from twodasl_jax.face_model.landmarks import landmark_model
from twodasl_jax.face_model.linear import select_points
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.losses.vertex import vertex_gram
from twodasl_jax.methods.twodasl import Constants, TwoDASL, predict
from twodasl_jax.models.coefficient_regressor import make_regressor
from twodasl_jax.models.critic import Critic
from twodasl_jax.models.image_encoder import make_encoder
from twodasl_jax.training.optimizer import OptimizerOptions, make_optimizer


def make_method(config: ExperimentSettings, stage: StageSettings) -> TwoDASL:
    """The networks of the config with the losses of one of its stages."""
    models = config.models
    return TwoDASL(
        regressor=make_regressor(
            models.backbone, batch_norm=models.batch_norm, convolution=models.convolution
        ),
        encoder=make_encoder(
            convolution=models.convolution, width_divisor=models.encoder_width_divisor
        ),
        critic=Critic(),
        loss_weights=dict(stage.loss_weights),
        ramp_steps=dict(stage.ramp_steps),
        loss_formula=stage.loss_formula,
        use_landmark_map=models.landmark_map,
        use_landmark_importance=config.losses.landmark_importance,
    )


def make_stage_optimizer(stage: StageSettings) -> optax.GradientTransformation:
    """One `optax.multi_transform` over the stage's networks; a cosine ends with the stage."""
    return make_optimizer(
        {network: _ending(options, stage) for network, options in stage.optimizers.items()}
    )


def _ending(options: OptimizerOptions, stage: StageSettings) -> OptimizerOptions:
    if options.schedule != "cosine" or options.total_steps is not None:
        return options
    return dataclasses.replace(options, total_steps=stage.num_steps)


def require_vertices(config: ExperimentSettings, face_model: FaceModel) -> None:
    """Refuses a vertex distance cost over more vertices than the face model has.

    Raises:
      ValueError: with both numbers.
    """
    asked = config.losses.num_vertices
    if asked > face_model.num_vertices:
        raise ValueError(
            f"losses.num_vertices is {asked:,}, and the face model '{face_model.name}' has "
            f"{face_model.num_vertices:,} vertices; expected at most these, or 0 for all of them"
        )


def make_constants(
    config: ExperimentSettings, face_model: FaceModel, whitening: Whitening
) -> Constants:
    """What the step reads besides state and batch."""
    vertices = face_model.linear
    if config.losses.num_vertices:
        spread = np.linspace(0, face_model.num_vertices - 1, config.losses.num_vertices)
        chosen = np.concatenate([np.asarray(face_model.landmark_vertices), spread.astype(np.int32)])
        vertices = select_points(face_model.linear, jnp.asarray(chosen))
    gram = jnp.asarray(vertex_gram(vertices), jnp.float32)
    return Constants(landmark_model(face_model), gram, whitening)


Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""``(n, 120, 120, 3)`` crops and ``(n, 18, 2)`` landmarks to ``(n, 62)`` coefficients."""


def make_predict(
    method: TwoDASL,
    networks: tuple[Any, Any],
    constants: Constants,
    *,
    num_passes: int,
    batch_size: int,
    on_batch: Callable[[int], None] = lambda _: None,
) -> Predict:
    """One compiled function for any number of crops: the last batch is padded.

    Args:
      method: networks.
      networks: their parameters and batch statistics.
      constants: face model and whitening.
      num_passes: with 2, faces without landmarks are fed the map of their first pass.
      batch_size: of the compiled function.
      on_batch: told how many crops are done, after every batch.
    """
    compiled = jax.jit(functools.partial(predict, method=method, num_passes=num_passes))

    def predict_all(image: np.ndarray, detected_landmarks: np.ndarray) -> np.ndarray:
        outputs = []
        for start in range(0, len(image), batch_size):
            rows = np.arange(start, start + batch_size) % len(image)
            batch = compiled(*networks, image[rows], detected_landmarks[rows], constants)
            outputs.append(jax.device_get(batch))
            on_batch(min(start + batch_size, len(image)))
        return np.concatenate(outputs)[: len(image)]

    return predict_all


def whitening_for(face_model: FaceModel, coefficients: np.ndarray) -> Whitening:
    """The face model's published statistics, or those of the training annotations.

    Args:
      face_model: may carry statistics of its own.
      coefficients: ``(n, 62)`` raw coefficients of the annotated training set.
    """
    if face_model.whitening is not None:
        return face_model.whitening
    mean = coefficients.mean(axis=0, dtype=np.float64)
    std = coefficients.std(axis=0, dtype=np.float64)
    constant = np.flatnonzero(std < 1e-12 * np.maximum(np.abs(mean), 1.0))
    # t_z may be constant (it is unobservable); any other constant would be a broken data set.
    wrong = [int(index) for index in constant if index != TRANSLATION_Z]
    if wrong:
        raise ValueError(
            f"coefficients {wrong} are the same in all {len(coefficients)} training annotations; "
            "expected them to vary, check the annotated source"
        )
    std[constant] = 1.0
    return Whitening(jnp.asarray(mean, jnp.float32), jnp.asarray(std, jnp.float32))

"""2DASL (arXiv 1903.09359), read top to bottom: networks, objective, one step, prediction.

    L = L_3d + λ1·L_2d_con + λ2·L_3d_con + λ3·L_cyc + λ4·L_sc        (stage 1)
    L_vdc                                                             (stage 2)

`twodasl_losses` has the table of the losses, `twodasl_settings` the settings (`TwoDASL`). A loss is
on when its name is in ``loss_weights``; one that is off is not computed.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, UInt8

from twodasl_jax.array_types import Batch
from twodasl_jax.coefficients import NUM_COEFFICIENTS, Whitening, unwhiten
from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.face_model.landmarks import landmarks18_from_68, landmarks_from_coefficients
from twodasl_jax.face_model.linear import LinearModel
from twodasl_jax.methods.twodasl_losses import LOSS_FORMULAS, LOSSES
from twodasl_jax.methods.twodasl_passes import (
    Constants,
    LossInputs,
    Prediction,
    batched,
    critic_logits,
    network_input,
)
from twodasl_jax.methods.twodasl_settings import TwoDASL
from twodasl_jax.methods.twodasl_upright import turn_to_upright, turned_back, turned_pictures
from twodasl_jax.training.parallel import mean_over
from twodasl_jax.training.state import TrainState, apply_gradients


class PredictionConstants(NamedTuple):
    """What prediction reads; the two models are one where only landmarks are wanted.

    Attributes:
      landmark_model: the face model at its 68 landmark vertices, for the second pass's map.
      points: the face model at the points to predict.
      whitening: of the coefficients.
    """

    landmark_model: LinearModel
    points: LinearModel
    whitening: Whitening


def init_networks(method: TwoDASL, key: Array) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fresh parameters and batch statistics, each a mapping of network name -> pytree.

    Encoder and critic exist only where the self-critic is on.
    """
    keys = dict(zip(("regressor", "encoder", "critic"), jax.random.split(key, 3), strict=True))
    rgb = jnp.zeros((1, CROP_SIZE, CROP_SIZE, 3))
    channels = 4 if method.use_landmark_map else 3
    variables = {
        "regressor": jax.jit(method.regressor.init, static_argnames="train")(
            keys["regressor"], jnp.zeros((1, CROP_SIZE, CROP_SIZE, channels)), train=False
        )
    }
    if method.has_critic:
        variables["encoder"] = jax.jit(method.encoder.init)(keys["encoder"], rgb)
        # Its shape alone: running the encoder would be compiled for nothing else.
        code = jax.eval_shape(method.encoder.apply, variables["encoder"], rgb)
        variables["critic"] = jax.jit(method.critic.init)(
            keys["critic"], jnp.zeros(code.shape), jnp.zeros((1, NUM_COEFFICIENTS))
        )
    params = {name: value["params"] for name, value in variables.items()}
    batch_stats = {
        name: value["batch_stats"] for name, value in variables.items() if "batch_stats" in value
    }
    return params, batch_stats


def _regress(
    method: TwoDASL,
    params: Any,
    batch_stats: Any,
    image: UInt8[Array, "b 120 120 3"],
    landmarks18: Float[Array, "b 18 2"],
) -> tuple[Float[Array, "b 62"], Any]:
    """One training pass of the regressor: whitened coefficients and updated batch statistics."""
    variables = {"params": params["regressor"]}
    if "regressor" in batch_stats:
        variables["batch_stats"] = batch_stats["regressor"]
    inputs = network_input(image, landmarks18 if method.use_landmark_map else None)
    whitened, updates = method.regressor.apply(
        variables, inputs, train=True, mutable=["batch_stats"]
    )
    return whitened, {"regressor": updates["batch_stats"]} if "batch_stats" in updates else {}


def _second_pass(
    method: TwoDASL,
    params: Any,
    batch_stats: Any,
    image: UInt8[Array, "b 120 120 3"],
    first: Prediction,
) -> Prediction:
    """p̂: the same images through the same network, with the map of the first pass's landmarks.

    Drawing is not differentiable, so the landmarks are cut off here; gradients reach the
    network through both passes. The second pass's batch statistics are dropped: the running
    averages must not count the in-the-wild images twice.
    """
    drawn = jax.lax.stop_gradient(first.landmarks18)
    cycled, _ = _regress(method, params, batch_stats, image, drawn)
    return Prediction(cycled, first.constants)


def loss_terms(
    method: TwoDASL,
    params: Any,
    batch_stats: Any,
    batch: Batch,
    known: Prediction,
    found: Prediction,
) -> dict[str, Float[Array, " b"]]:
    """Every loss that is on, one value per example, in the order of `LOSSES`.

    Args:
      method: networks and losses.
      params: network name -> parameters.
      batch_stats: the same for running averages.
      batch: both halves.
      known: what the network says of the annotated half.
      found: of the in-the-wild half.
    """
    second = critic = None
    if method.runs_second_pass:
        second = _second_pass(method, params, batch_stats, batch.in_the_wild.image, found)
    if method.has_critic:
        critic = critic_logits(method.encoder, method.critic, params, batch, found)
    formula, use_importance = LOSS_FORMULAS[method.loss_formula], method.use_landmark_importance
    rest = (found.constants, formula, use_importance, method.depth_weight)
    halves = {
        "annotated": LossInputs(batch.annotated, known, None, None, *rest),
        "in_the_wild": LossInputs(batch.in_the_wild, found, second, critic, *rest),
    }
    return {name: loss.function(halves[loss.half]) for name, loss in method.losses.items()}


def total_loss(
    params: Any, batch_stats: Any, step: Array, batch: Batch, constants: Constants, method: TwoDASL
) -> tuple[Array, tuple[dict[str, Array], Any]]:
    """The weighted sum of the terms that are on, their means, and new batch statistics."""
    annotated, wild = batch.annotated, batch.in_the_wild
    images, detected = annotated.image, annotated.detected_landmarks
    if method.reads_in_the_wild:
        # One pass over both sets: BatchNorm then sees the mixture that it averages over.
        images = jnp.concatenate([images, wild.image])
        detected = jnp.concatenate([detected, wild.detected_landmarks])
    whitened, new_stats = _regress(method, params, batch_stats, images, detected)
    halves = jnp.split(whitened, [annotated.image.shape[0]])
    known, found = (Prediction(half, constants) for half in halves)
    terms = loss_terms(method, params, batch_stats, batch, known=known, found=found)
    means = {name: values.mean() for name, values in terms.items()}
    total = sum(
        (_ramped_weight(method, name, step) * value for name, value in means.items()),
        start=jnp.zeros(()),
    )
    return total, (means, new_stats)


def _ramped_weight(method: TwoDASL, term: str, step: Array) -> Array | float:
    if LOSSES[term].goes_with is not None:
        return LOSSES[term].default_weight
    weight, ramp = method.loss_weights[term], method.ramp_steps.get(term, 0)
    return weight * jnp.minimum(1.0, step / ramp) if ramp else weight


def weighted_shares(method: TwoDASL, means: Mapping[str, Array], step: Array) -> dict[str, Array]:
    """``share/TERM``: which part of L a term is, ramped weight times mean over their sum.

    They add up to 1, or are all 0 where the sum is not a positive number. What the critic's own
    halves weigh says nothing (their optimiser sets their scale), so they are left out.
    """
    weighted = {
        name: _ramped_weight(method, name, step) * means[name] for name in method.loss_weights
    }
    total = sum(weighted.values(), start=jnp.zeros(()))
    known = jnp.isfinite(total) & (total > 0)
    divisor = jnp.where(known, total, 1.0)
    return {
        f"share/{name}": jnp.where(known, value / divisor, 0.0) for name, value in weighted.items()
    }


def train_step(
    state: TrainState,
    batch: Batch,
    constants: Constants,
    *,
    method: TwoDASL,
    optimizer: optax.GradientTransformation,
    axis_name: str | None = None,
) -> tuple[TrainState, dict[str, Array]]:
    """One update of all networks; pure.

    Args:
      state: networks, optimiser and step.
      batch: annotated and in-the-wild halves.
      constants: face model and whitening.
      method: networks and losses.
      optimizer: one `optax.multi_transform` over the networks' names.
      axis_name: the devices' axis where the step is pmapped; None under jit.

    Returns:
      The new state, and scalars: each term's unweighted mean, its `weighted_shares`, ``loss``
      and ``gradient_norm`` (the regressor's, before clipping).
    """
    (total, (means, new_stats)), gradients = jax.value_and_grad(total_loss, has_aux=True)(
        state.params, state.batch_stats, state.step, batch, constants, method
    )
    gradients = mean_over(gradients, axis_name)
    metrics = mean_over({**means, "loss": total}, axis_name)
    metrics |= weighted_shares(method, metrics, state.step)
    metrics["gradient_norm"] = optax.tree.norm(gradients["regressor"])
    batch_stats = {**state.batch_stats, **new_stats}
    return apply_gradients(state, gradients, optimizer, batch_stats=batch_stats), metrics


def predict(
    params: Any,
    batch_stats: Any,
    image: UInt8[Array, "b 120 120 3"],
    detected_landmarks: Float[Array, "b 18 2"],
    constants: Constants | PredictionConstants,
    *,
    method: TwoDASL,
    num_passes: int = 2,
) -> Float[Array, "b 62"]:
    """Raw coefficients of face crops.

    Args:
      params: network name -> parameters; the regressor's are used.
      batch_stats: the same for running averages.
      image: uint8 RGB crops.
      detected_landmarks: crop pixels, NaN where unknown (all NaN: no detector was run).
      constants: face model and whitening.
      method: networks.
      num_passes: with 2, a face without any given landmark is fed the map of its own
        first-pass landmarks; faces with given landmarks keep theirs. A network of RGB alone sees
        heads that lie in the picture again, upright, where its settings say so.
    """
    variables = {"params": params["regressor"]}
    if "regressor" in batch_stats:
        variables["batch_stats"] = batch_stats["regressor"]
    if not method.use_landmark_map:
        return _predict_by_rgb(variables, image, constants, method, num_passes)
    undetected = jnp.isnan(detected_landmarks).all(axis=(-1, -2))
    given = detected_landmarks
    coefficients = jnp.zeros((image.shape[0], NUM_COEFFICIENTS))
    for _ in range(num_passes):
        inputs = network_input(image, given)
        whitened = method.regressor.apply(variables, inputs, train=False)
        coefficients = unwhiten(whitened, batched(constants.whitening))
        own = landmarks18_from_68(
            landmarks_from_coefficients(constants.landmark_model, coefficients)
        )
        given = jnp.where(undetected[:, None, None], own[..., :2], detected_landmarks)
    return coefficients


def _predict_by_rgb(
    variables: Any,
    image: UInt8[Array, "b 120 120 3"],
    constants: Constants | PredictionConstants,
    method: TwoDASL,
    num_passes: int,
) -> Float[Array, "b 62"]:
    def look(pictures: UInt8[Array, "b 120 120 3"]) -> Float[Array, "b 62"]:
        whitened = method.regressor.apply(variables, network_input(pictures, None), train=False)
        return unwhiten(whitened, batched(constants.whitening))

    first = look(image)
    if num_passes == 1 or not method.upright_pass:
        return first
    turn = turn_to_upright(first)

    def again() -> Float[Array, "b 62"]:
        upright = turned_back(look(turned_pictures(image, turn)), turn)
        return jnp.where(turn[:, None] == 0, first, upright)

    # Most heads stand: a batch of these costs one pass.
    return jax.lax.cond((turn != 0).any(), again, lambda: first)

"""The 62 coefficients of a face from its 2D landmarks, many faces in one compiled call.

A robust maximum a posteriori fit: with pixels ``x_i`` labelled and ``y_i(q)`` projected,

    minimise  Σ_i v_i·c²·log(1 + ‖x_i - y_i(q)‖²/c²)/σ²  +  λ·Σ_k z_k²

over scale, rotation, translation and the 50 shape and expression coefficients z in standard
deviations. Levenberg-Marquardt steps with analytic derivatives: all is smooth and small (56
unknowns), so some 30 steps replace hundreds of a first-order method. Five starting yaws, because
half a face of a profile fits many wrong poses locally. The logarithm (Cauchy's loss) lets a label
on another face go.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from twodasl_jax.coefficients import NUM_SHAPE, Coefficients, join_coefficients
from twodasl_jax.crop_frame import flip_y
from twodasl_jax.fitting.fit_model import FitModel, labelled_points
from twodasl_jax.fitting.posed_face import (
    NUM_POSE,
    PosedFace,
    camera_of,
    improved,
    jacobian,
    project,
    start_at_yaw,
)

_HIGHEST = jax.lax.Precision.HIGHEST
_START_YAWS = np.deg2rad([-75.0, -40.0, 0.0, 40.0, 75.0]).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class FitOptions:
    """What the labels are worth.

    Attributes:
      label_sigma_px: standard deviation of an honest label's error, crop pixels.
      outlier_px: error from which a label counts as wrong rather than imprecise.
      prior: weight of the coefficients' prior; 1 is what the model's statistics say.
      start_steps: steps from each starting yaw.
      refine_steps: steps from the best of them.
    """

    label_sigma_px: float = 1.5
    outlier_px: float = 4.0
    prior: float = 1.0
    start_steps: int = 8
    refine_steps: int = 25

    def __post_init__(self) -> None:
        """Refuses what is not positive."""
        for name, value in dataclasses.asdict(self).items():
            if not value > 0:
                raise ValueError(f"{name} is {value}; expected a positive number")


class Fit(NamedTuple):
    """Fitted faces.

    Attributes:
      coefficients: ``(n, 62)`` raw, crop frame; t_z is 0 (it cannot be seen).
      points: ``(n, m, 2)`` crop pixels, where the labelled points are projected to.
    """

    coefficients: Float[Array, "n 62"]
    points: Float[Array, "n m 2"]


@functools.partial(jax.jit, static_argnames="options")
def fit_landmarks(
    model: FitModel,
    landmarks: Float[Array, "n m 2"],
    weights: Float[Array, "n m"],
    *,
    options: FitOptions = FitOptions(),
) -> Fit:
    """Fits every face by itself; pad a batch with weight-0 faces rather than change its size.

    Args:
      model: from `make_fit_model`; m is its landmark set.
      landmarks: crop pixels, y down; any finite number where the weight is 0.
      weights: 0 for a point that is not known.
      options: see `FitOptions`.

    Returns:
      A `Fit`; a face without any known point gets the prior's mean face, somewhere.
    """
    target = jnp.stack([landmarks[..., 0], flip_y(landmarks[..., 1])], axis=-2)
    fit_one = functools.partial(_fit_one, model, options)
    face, points = jax.vmap(fit_one)(target, weights)
    camera = jax.vmap(camera_of)(face)
    raw = face.z * model.coefficient_std[None] + model.coefficient_mean[None]
    parts = Coefficients(camera, raw[:, :NUM_SHAPE], raw[:, NUM_SHAPE:])
    crop = jnp.stack([points[:, 0], flip_y(points[:, 1])], axis=-1)
    return Fit(join_coefficients(parts), crop)


@jax.jit
def rough_rotations(
    model: FitModel, landmarks: Float[Array, "n m 2"], weights: Float[Array, "n m"]
) -> Float[Array, "n 3 3"]:
    """How heads are turned, by the mean face alone: the best of five yaws, carried onto the labels.

    Args:
      model: from `make_fit_model`, without a marching jaw.
      landmarks: crop pixels, y down; any finite number where the weight is 0.
      weights: 0 for a point that is not known.

    Returns:
      Rotations of the view frame (y up); their in-plane turn is what they tell best.
    """

    def best(target: Float[Array, "2 m"], weights: Float[Array, " m"]) -> Float[Array, "3 3"]:
        starts = jax.vmap(functools.partial(start_at_yaw, model.mean, target, weights))(
            jnp.asarray(_START_YAWS)
        )
        views = jax.vmap(lambda face: project(face, model.mean, model.basis)[:2])(starts)
        distance = jnp.sqrt(((views - target[None]) ** 2).sum(1))
        return starts.rotation[(distance @ weights).argmin()]

    target = jnp.stack([landmarks[..., 0], flip_y(landmarks[..., 1])], axis=-2)
    return jax.vmap(best)(target, weights)


def _fit_one(
    model: FitModel, options: FitOptions, target: Float[Array, "2 m"], weights: Float[Array, " m"]
) -> tuple[PosedFace, Float[Array, "2 m"]]:
    """Best of the starts, refined."""

    def run(face: PosedFace, num_steps: int) -> tuple[PosedFace, Float[Array, ""]]:
        step = functools.partial(_step, model, options, target, weights)
        (face, _, cost), _ = jax.lax.scan(
            step, (face, jnp.asarray(1e-2), jnp.asarray(0.0)), length=num_steps
        )
        return face, cost

    starts = jax.vmap(functools.partial(start_at_yaw, model.mean, target, weights))(
        jnp.asarray(_START_YAWS)
    )
    found, costs = jax.vmap(lambda face: run(face, options.start_steps))(starts)
    best = costs.argmin()
    face, _ = run(jax.tree.map(lambda values: values[best], found), options.refine_steps)
    mean, basis = labelled_points(model, face.rotation, face.z)
    return face, project(face, mean, basis)[:2]


def _cost(
    options: FitOptions,
    target: Float[Array, "2 m"],
    weights: Float[Array, " m"],
    face: PosedFace,
    view: Float[Array, "3 m"],
) -> Float[Array, ""]:
    square = ((target - view[:2]) ** 2).sum(0)
    robust = options.outlier_px**2 * jnp.log1p(square / options.outlier_px**2)
    data = (weights * robust).sum() / options.label_sigma_px**2
    return data + options.prior * (face.z**2).sum()


def _step(
    model: FitModel,
    options: FitOptions,
    target: Float[Array, "2 m"],
    weights: Float[Array, " m"],
    carry: tuple[PosedFace, Float[Array, ""], Float[Array, ""]],
    _: None,
) -> tuple[tuple[PosedFace, Float[Array, ""], Float[Array, ""]], None]:
    """One Levenberg-Marquardt step, taken only where it lowers the cost."""
    face, damping, _cost_before = carry
    mean, basis = labelled_points(model, face.rotation, face.z)
    view = project(face, mean, basis)
    residual = target - view[:2]
    trust = weights / (1.0 + (residual**2).sum(0) / options.outlier_px**2)
    trust = trust / options.label_sigma_px**2
    derivatives = jacobian(face, basis, view).reshape(NUM_POSE + 50, -1)
    prior = jnp.concatenate([jnp.zeros(NUM_POSE), jnp.full(50, options.prior)])
    weighted = derivatives * jnp.tile(trust, 2)[None]
    normal = jnp.matmul(weighted, derivatives.T, precision=_HIGHEST) + jnp.diag(prior)
    slope = weighted @ residual.reshape(-1)
    slope = slope.at[NUM_POSE:].add(-options.prior * face.z)

    def cost(moved: PosedFace) -> Float[Array, ""]:
        return _cost(options, target, weights, moved, project(moved, mean, basis))

    return improved(face, damping, normal, slope, cost), None

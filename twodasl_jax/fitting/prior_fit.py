"""A face fitted to its 2D labels near what a network sees in its picture.

Labels alone leave open what they do not show: the points that a profile hides, depth, most of a
face's shape. A network's prediction is a guess at all of it. So the fit starts there and is held
there: with pixels ``x_i`` labelled, ``y_i(q)`` projected and ``q°`` predicted,

    minimise  Σ_i v_i·√(‖x_i - y_i(q)‖² + 1) / Σ_i v_i  +  λ·‖(q - q°) / σ‖²

over scale, rotation, translation and the 50 shape and expression coefficients. σ is the spread of
the prior's coefficients, the 12 of its camera among them (without t_z, which cannot be seen). The
square root (pseudo-Huber) counts distances rather than squares: a wrong label pulls no harder than
a right one. Gauss-Newton steps on its weighted squares (`fitting.posed_face.improved`).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from twodasl_jax.coefficients import NUM_SHAPE, Coefficients, join_coefficients, split_coefficients
from twodasl_jax.crop_frame import flip_y
from twodasl_jax.fitting.fit_model import FitModel
from twodasl_jax.fitting.posed_face import (
    NUM_POSE,
    PosedFace,
    camera_of,
    improved,
    jacobian,
    project,
)
from twodasl_jax.geometry.camera import camera_parts

_HIGHEST = jax.lax.Precision.HIGHEST

NUM_STEPS = 30
"""Steps of a fit. Of 512 AFLW faces the cost falls by less than 1e-3 px after the 20th."""


class Prior(NamedTuple):
    """What a network predicts, and how far it may be wrong.

    Attributes:
      coefficients: ``(n, 62)`` raw, crop frame.
      camera_std: ``(3, 4)`` the spread of ``[f·R | t]``; that of t_z counts nothing.
    """

    coefficients: Float[Array, "n 62"]
    camera_std: Float[Array, "3 4"]


class PriorFit(NamedTuple):
    """Faces fitted near a prior.

    Attributes:
      coefficients: ``(n, 62)`` raw, crop frame; t_z is 0 (it cannot be seen).
      points: ``(n, m, 2)`` crop pixels, where the labelled points are projected to.
      prior_points: ``(n, m, 2)`` where the prior has them.
    """

    coefficients: Float[Array, "n 62"]
    points: Float[Array, "n m 2"]
    prior_points: Float[Array, "n m 2"]


@jax.jit
def fit_near_prior(
    model: FitModel,
    landmarks: Float[Array, "n m 2"],
    weights: Float[Array, "n m"],
    prior: Prior,
    strength: Float[Array, ""],
) -> PriorFit:
    """Fits every face by itself, from its prior on.

    Args:
      model: from `make_fit_model`, without a marching jaw; its statistics are the spread of the
        prior's shape and expression.
      landmarks: crop pixels, y down; any finite number where the weight is 0.
      weights: v, 0 for a point that is not known; their sizes count within one face alone.
      prior: of these faces, in the same crops.
      strength: λ, pixels.

    Returns:
      A `PriorFit`; a face without any known point is its prior, with the nearest true camera.
    """
    target = jnp.stack([landmarks[..., 0], flip_y(landmarks[..., 1])], axis=-2)
    fit_one = functools.partial(_fit_one, model, prior.camera_std, strength)
    face, points, before = jax.vmap(fit_one)(target, weights, prior.coefficients)
    camera = jax.vmap(camera_of)(face)
    raw = face.z * model.coefficient_std[None] + model.coefficient_mean[None]
    parts = Coefficients(camera, raw[:, :NUM_SHAPE], raw[:, NUM_SHAPE:])
    crop = [jnp.stack([view[:, 0], flip_y(view[:, 1])], axis=-1) for view in (points, before)]
    return PriorFit(join_coefficients(parts), *crop)


def _fit_one(
    model: FitModel,
    camera_std: Float[Array, "3 4"],
    strength: Float[Array, ""],
    target: Float[Array, "2 m"],
    weights: Float[Array, " m"],
    predicted: Float[Array, " 62"],
) -> tuple[PosedFace, Float[Array, "2 m"], Float[Array, "2 m"]]:
    """The face, and its labelled points in the view frame, fitted and as predicted."""
    parts = split_coefficients(predicted)
    camera = camera_parts(parts.camera)
    raw = jnp.concatenate([parts.shape, parts.expression])
    z = (raw - model.coefficient_mean) / model.coefficient_std
    start = PosedFace(camera.scale, camera.rotation, camera.translation[:2], z)
    share = weights / jnp.maximum(weights.sum(), 1e-6)
    held = _Held(parts.camera, camera_std, z, strength)
    step = functools.partial(_step, model, held, target, share)
    (face, _), _ = jax.lax.scan(step, (start, jnp.asarray(1e-3)), length=NUM_STEPS)
    points, before = (project(each, model.mean, model.basis)[:2] for each in (face, start))
    return face, points, before


class _Held(NamedTuple):
    """Where one face is held, and how."""

    camera: Float[Array, "3 4"]
    camera_std: Float[Array, "3 4"]
    z: Float[Array, " 50"]
    strength: Float[Array, ""]

    def moved(self, face: PosedFace) -> Float[Array, " 12"]:
        """How far a camera is from here, in standard deviations; t_z has not moved."""
        whitened = (camera_of(face) - self.camera) / self.camera_std
        return whitened.at[2, 3].set(0.0).ravel()

    def moves(self, face: PosedFace) -> Float[Array, "6 12"]:
        """Derivatives of `moved` by the unknowns of the pose."""
        scaled = face.scale * face.rotation
        # Of a turn about an axis e: e × each column.
        turns = jnp.cross(jnp.eye(3)[:, None], scaled.T[None]).transpose(0, 2, 1)
        linear = jnp.concatenate([turns, scaled[None], jnp.zeros((2, 3, 3))])
        shift = jnp.zeros((NUM_POSE, 3)).at[4, 0].set(1.0).at[5, 1].set(1.0)
        derivatives = jnp.concatenate([linear, shift[..., None]], axis=-1)
        return (derivatives / self.camera_std[None]).reshape(NUM_POSE, 12)


def _cost(
    held: _Held,
    target: Float[Array, "2 m"],
    share: Float[Array, " m"],
    face: PosedFace,
    view: Float[Array, "3 m"],
) -> Float[Array, ""]:
    distance = jnp.sqrt(((target - view[:2]) ** 2).sum(0) + 1.0)
    away = (held.moved(face) ** 2).sum() + ((face.z - held.z) ** 2).sum()
    return (share * distance).sum() + held.strength * away


def _step(
    model: FitModel,
    held: _Held,
    target: Float[Array, "2 m"],
    share: Float[Array, " m"],
    carry: tuple[PosedFace, Float[Array, ""]],
    _: None,
) -> tuple[tuple[PosedFace, Float[Array, ""]], None]:
    """One step on the squares that touch the cost's square roots at the current face."""
    face, damping = carry
    view = project(face, model.mean, model.basis)
    residual = target - view[:2]
    pull = share / jnp.sqrt((residual**2).sum(0) + 1.0)
    derivatives = jacobian(face, model.basis, view).reshape(NUM_POSE + 50, -1)
    weighted = derivatives * jnp.tile(pull, 2)[None]
    moves, stiffness = held.moves(face), 2 * held.strength
    normal = jnp.matmul(weighted, derivatives.T, precision=_HIGHEST)
    normal = normal.at[:NUM_POSE, :NUM_POSE].add(stiffness * moves @ moves.T)
    normal = normal + stiffness * jnp.diag((jnp.arange(NUM_POSE + 50) >= NUM_POSE) * 1.0)
    slope = weighted @ residual.reshape(-1)
    slope = slope.at[:NUM_POSE].add(-stiffness * moves @ held.moved(face))
    slope = slope.at[NUM_POSE:].add(-stiffness * (face.z - held.z))

    def cost(moved: PosedFace) -> Float[Array, ""]:
        return _cost(held, target, share, moved, project(moved, model.mean, model.basis))

    face, damping, _cost_now = improved(face, damping, normal, slope, cost)
    return (face, damping), None

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
from twodasl_jax.geometry.rotation import rotation_from_euler

_HIGHEST = jax.lax.Precision.HIGHEST
_START_YAWS = np.deg2rad([-75.0, -40.0, 0.0, 40.0, 75.0]).astype(np.float32)
_POSE_UNKNOWNS = 6


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


class _Face(NamedTuple):
    """One face's unknowns."""

    scale: Float[Array, ""]
    rotation: Float[Array, "3 3"]
    translation: Float[Array, " 2"]
    z: Float[Array, " 50"]


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
    camera = jnp.concatenate(
        [
            face.scale[:, None, None] * face.rotation,
            jnp.pad(face.translation, ((0, 0), (0, 1)))[..., None],
        ],
        axis=-1,
    )
    raw = face.z * model.coefficient_std[None] + model.coefficient_mean[None]
    parts = Coefficients(camera, raw[:, :NUM_SHAPE], raw[:, NUM_SHAPE:])
    crop = jnp.stack([points[:, 0], flip_y(points[:, 1])], axis=-1)
    return Fit(join_coefficients(parts), crop)


def _fit_one(
    model: FitModel, options: FitOptions, target: Float[Array, "2 m"], weights: Float[Array, " m"]
) -> tuple[_Face, Float[Array, "2 m"]]:
    """Best of the starts, refined."""

    def run(face: _Face, num_steps: int) -> tuple[_Face, Float[Array, ""]]:
        step = functools.partial(_step, model, options, target, weights)
        (face, _, cost), _ = jax.lax.scan(
            step, (face, jnp.asarray(1e-2), jnp.asarray(0.0)), length=num_steps
        )
        return face, cost

    starts = jax.vmap(functools.partial(_start, model, target, weights))(jnp.asarray(_START_YAWS))
    found, costs = jax.vmap(lambda face: run(face, options.start_steps))(starts)
    best = costs.argmin()
    face, _ = run(jax.tree.map(lambda values: values[best], found), options.refine_steps)
    mean, basis = labelled_points(model, face.rotation, face.z)
    return face, _project(face, mean, basis)[:2]


def _start(
    model: FitModel, target: Float[Array, "2 m"], weights: Float[Array, " m"], yaw: Float[Array, ""]
) -> _Face:
    """The mean face at a yaw, carried onto the labels by the best 2D similarity."""
    turned = rotation_from_euler(jnp.zeros(()), yaw, jnp.zeros(()))
    flat = (turned @ model.mean)[:2]
    share = weights / jnp.maximum(weights.sum(), 1e-6)
    flat_mean, target_mean = flat @ share, target @ share
    source, wanted = flat - flat_mean[:, None], target - target_mean[:, None]
    spread = jnp.maximum((share[None] * source**2).sum(), 1e-6)
    # As complex numbers: wanted ≈ (a + ib)·source, the least-squares a and b.
    a = (share[None] * source * wanted).sum() / spread
    b = (share * (source[0] * wanted[1] - source[1] * wanted[0])).sum() / spread
    scale = jnp.maximum(jnp.hypot(a, b), 1e-6)
    cos, sin = a / scale, b / scale
    zero, one = jnp.zeros_like(cos), jnp.ones_like(cos)
    roll = jnp.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one]).reshape(3, 3)
    translation = target_mean - scale * (roll[:2, :2] @ flat_mean)
    return _Face(scale, roll @ turned, translation, jnp.zeros(50))


def _project(
    face: _Face, mean: Float[Array, "3 m"], basis: Float[Array, "50 3 m"]
) -> Float[Array, "3 m"]:
    """The points in the view frame (y up); depth without translation."""
    points = mean + jnp.tensordot(face.z, basis, axes=1, precision=_HIGHEST)
    view = face.scale * jnp.matmul(face.rotation, points, precision=_HIGHEST)
    return view.at[:2].add(face.translation[:, None])


def _cost(
    options: FitOptions,
    target: Float[Array, "2 m"],
    weights: Float[Array, " m"],
    face: _Face,
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
    carry: tuple[_Face, Float[Array, ""], Float[Array, ""]],
    _: None,
) -> tuple[tuple[_Face, Float[Array, ""], Float[Array, ""]], None]:
    """One Levenberg-Marquardt step, taken only where it lowers the cost."""
    face, damping, _cost_before = carry
    mean, basis = labelled_points(model, face.rotation, face.z)
    view = _project(face, mean, basis)
    residual = target - view[:2]
    trust = weights / (1.0 + (residual**2).sum(0) / options.outlier_px**2)
    trust = trust / options.label_sigma_px**2
    jacobian = _jacobian(face, basis, view).reshape(_POSE_UNKNOWNS + 50, -1)
    prior = jnp.concatenate([jnp.zeros(_POSE_UNKNOWNS), jnp.full(50, options.prior)])
    weighted = jacobian * jnp.tile(trust, 2)[None]
    normal = jnp.matmul(weighted, jacobian.T, precision=_HIGHEST) + jnp.diag(prior)
    slope = weighted @ residual.reshape(-1)
    slope = slope.at[_POSE_UNKNOWNS:].add(-options.prior * face.z)
    diagonal = jnp.diagonal(normal)
    # The floor keeps the system solvable for a face without a known point.
    damped = normal + jnp.diag(damping * diagonal + 1e-6 * diagonal.max() + 1e-6)
    move = jax.scipy.linalg.solve(damped, slope, assume_a="pos")
    candidate = _moved(face, move)
    before = _cost(options, target, weights, face, view)
    after = _cost(options, target, weights, candidate, _project(candidate, mean, basis))
    better = after < before  # also False for NaN
    face = jax.tree.map(lambda new, old: jnp.where(better, new, old), candidate, face)
    damping = jnp.where(better, damping * 0.3, damping * 5.0).clip(1e-6, 1e6)
    return (face, damping, jnp.where(better, after, before)), None


def _jacobian(
    face: _Face, basis: Float[Array, "50 3 m"], view: Float[Array, "3 m"]
) -> Float[Array, "56 2 m"]:
    """Derivatives of view[:2] by turns about x, y, z, log scale, shifts in x, y, and z_1 … z_50."""
    x, y, depth = view.at[:2].add(-face.translation[:, None])
    zero, one = jnp.zeros_like(x), jnp.ones_like(x)
    pose = jnp.stack(
        [
            jnp.stack([zero, -depth]),
            jnp.stack([depth, zero]),
            jnp.stack([-y, x]),
            jnp.stack([x, y]),
            jnp.stack([one, zero]),
            jnp.stack([zero, one]),
        ]
    )
    scaled = face.scale * face.rotation[:2]
    shape = jnp.einsum("ij,kjn->kin", scaled, basis, precision=_HIGHEST)
    return jnp.concatenate([pose, shape])


def _moved(face: _Face, move: Float[Array, " 56"]) -> _Face:
    turn = _rotation_from_vector(move[:3])
    return _Face(
        scale=face.scale * jnp.exp(move[3].clip(-1.0, 1.0)),
        rotation=jnp.matmul(turn, face.rotation, precision=_HIGHEST),
        translation=face.translation + move[4:6],
        z=face.z + move[6:],
    )


def _rotation_from_vector(vector: Float[Array, " 3"]) -> Float[Array, "3 3"]:
    """Rodrigues: the rotation by ``‖vector‖`` about it; smooth at 0."""
    square = (vector**2).sum()
    angle = jnp.sqrt(jnp.maximum(square, 1e-12))
    x, y, z = vector
    zero = jnp.zeros_like(x)
    skew = jnp.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape(3, 3)
    first, second = jnp.sinc(angle / jnp.pi), 0.5 * jnp.sinc(0.5 * angle / jnp.pi) ** 2
    return jnp.eye(3) + first * skew + second * jnp.matmul(skew, skew, precision=_HIGHEST)

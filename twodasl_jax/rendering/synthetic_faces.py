"""What a rendered training face is made of: coefficients, skin, light.

`sample_faces` draws the numbers; the renderer turns them into pictures, and
`twodasl_jax.rendering.backgrounds` supplies what is behind them. All draws come from one
`numpy.random.Generator`, so a seed names a data set; what follows from them is computed in 64 bits,
so that it does not depend on the machine but for the last bits that the labels' 32 do not have.
"""

import dataclasses
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from twodasl_jax.coefficient_layout import NUM_CAMERA, NUM_EXPRESSION, NUM_SHAPE
from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.face_model.linear import LinearModel, vertices_from_coefficients
from twodasl_jax.geometry.camera import (
    CameraParts,
    camera_from_parts,
    crop_framing,
    project_to_crop,
)
from twodasl_jax.geometry.rotation import rotation_from_euler
from twodasl_jax.rendering.shading import brightest_light, directional_lighting

# A set is sampled once: its programs take far longer to compile than to run.
_COMPILED_QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@dataclasses.dataclass(frozen=True)
class FaceSettings:
    """The distribution that synthetic faces are drawn from; angles in degrees.

    Attributes:
      shape_std: ``(40,)`` or a number: standard deviation per shape coefficient (1 for the open
        face model, the whitening's for BFM).
      expression_std: ``(10,)`` or a number, likewise.
      shape_mean: ``(40,)`` or a number.
      expression_mean: ``(10,)`` or a number.
      wide_yaw_share: share of faces whose yaw is uniform over ±`max_yaw`; the others are
        normal with `yaw_std`. Uniform gives profiles as much room as the benchmark does.
      yaw_std: of the other faces.
      max_yaw: yaw stays within ±this.
      pitch_std: standard deviation; pitch stays within ±`max_pitch`.
      max_pitch: bound.
      roll_std: standard deviation; roll stays within ±`max_roll`.
      max_roll: bound.
      scale_jitter: relative standard deviation of the face's size around the crop rule's.
      shift_px: standard deviation of the face's position around the crop rule's, pixels of a crop
        of 120.
      tint: strength of the lights' colour cast; 0 is white light.
    """

    shape_std: float | np.ndarray = 1.0
    expression_std: float | np.ndarray = 1.0
    shape_mean: float | np.ndarray = 0.0
    expression_mean: float | np.ndarray = 0.0
    wide_yaw_share: float = 0.6
    yaw_std: float = 30.0
    max_yaw: float = 90.0
    pitch_std: float = 14.0
    max_pitch: float = 35.0
    roll_std: float = 14.0
    max_roll: float = 40.0
    scale_jitter: float = 0.06
    shift_px: float = 3.0
    tint: float = 0.08


class SyntheticFaces(NamedTuple):
    """Parameters of ``n`` faces to render.

    Attributes:
      coefficients: ``(n, 62)`` float32, raw, crop frame.
      albedo_coefficients: ``(n, k)`` float32, unit variance.
      lighting: ``(n, 9, 3)`` float32, spherical harmonics of the light; see `sample_lighting`.
      landmarks: ``(n, 68, 2)`` float32 crop pixels: the projections of the 68 landmark vertices.
      angles: ``(n, 3)`` float32 pitch, yaw, roll, degrees.
    """

    coefficients: np.ndarray
    albedo_coefficients: np.ndarray
    lighting: np.ndarray
    landmarks: np.ndarray
    angles: np.ndarray


def sample_faces(
    generator: np.random.Generator,
    count: int,
    landmark_model: LinearModel,
    *,
    num_albedo: int,
    settings: FaceSettings | None = None,
    crop_size: int = CROP_SIZE,
) -> SyntheticFaces:
    """Draws the parameters of `count` faces.

    The camera puts the box of the 68 projected landmarks where the crop rule of method.md
    section 2 puts it (centred, longer side ``size/√2``), then jitters size and place as a
    detector's box would. ``t_z`` centres the landmarks' depth on 0: it cannot be observed, and
    small numbers keep the depth's precision.

    Args:
      generator: source of all randomness.
      count: number of faces.
      landmark_model: the face model at its 68 landmarks.
      num_albedo: number of albedo coefficients, k; 0 for a model without colours.
      settings: the distribution; None is `FaceSettings()`, a unit-variance model.
      crop_size: side of the crop, pixels.
    """
    if count < 1 or num_albedo < 0:
        raise ValueError(
            f"got count={count}, num_albedo={num_albedo}; need at least one face, and k ≥ 0"
        )
    _check_landmark_model(landmark_model)
    settings = settings or FaceSettings()
    shape = settings.shape_mean + settings.shape_std * generator.normal(size=(count, NUM_SHAPE))
    expression = settings.expression_mean + settings.expression_std * generator.normal(
        size=(count, NUM_EXPRESSION)
    )
    angles = _sample_angles(generator, count, settings)
    jitter = np.exp(settings.scale_jitter * generator.normal(size=count))
    shift = settings.shift_px * generator.normal(size=(count, 2)) * (crop_size / CROP_SIZE)
    with jax.enable_x64(True):
        linear = LinearModel(*(jnp.asarray(array, jnp.float64) for array in landmark_model))
        camera, projected = jax.device_get(
            _place_faces(linear, shape, expression, angles, jitter, shift, crop_size=crop_size)
        )
    coefficients = [camera.reshape(count, NUM_CAMERA), shape, expression]
    return SyntheticFaces(
        coefficients=np.concatenate(coefficients, axis=1).astype(np.float32),
        albedo_coefficients=generator.normal(size=(count, num_albedo)).astype(np.float32),
        lighting=sample_lighting(generator, count, tint=settings.tint),
        landmarks=projected.astype(np.float32),
        angles=angles.astype(np.float32),
    )


def sample_lighting(
    generator: np.random.Generator, count: int, *, tint: float = 0.08
) -> np.ndarray:
    """Natural light: an ambient part and one or two directional lights, slightly coloured.

    Lambert's clamped cosine ``max(0, n·d)`` of a light from direction d has the
    spherical-harmonics coefficients ``A_l·Y_lm(d)`` with ``A = (π, 2π/3, π/4)`` (Ramamoorthi &
    Hanrahan 2001, eq. 8); three bands give a facing white surface 1.06 instead of 1. The total
    is scaled so that bands 0 and 1 reach 0.6 to 1.2 in the brightest direction; band 2 adds a
    highlight (1 % of directions towards the viewer pass 1.27), so little skin saturates.

    Args:
      generator: source of all randomness.
      count: number of faces.
      tint: strength of the colour cast.

    Returns:
      ``(count, 9, 3)`` float32 in the order and scale of `spherical_harmonics`, RGB.
    """
    ambient = generator.uniform(0.15, 0.7, size=(count, 1))
    ambient = ambient * (1 + tint * generator.normal(size=(count, 3)))
    directions, colours = np.empty((2, count, 3)), np.empty((2, count, 3))
    for light in range(2):
        # Lights come from the viewer's half-space, rather from above than from below.
        directions[light] = generator.normal(size=(count, 3)) * [1.0, 0.7, 0.4] + [0.0, 0.35, 0.9]
        strength = generator.uniform(0.1, 0.9, size=(count, 1))
        if light == 1:
            strength = strength * (generator.random((count, 1)) < 0.4)
        colours[light] = strength * (1 + tint * generator.normal(size=(count, 3)))
    target = generator.uniform(0.6, 1.2, size=count)
    with jax.enable_x64(True):
        return np.asarray(_lighting(ambient, directions, colours, target)).astype(np.float32)


@partial(jax.jit, compiler_options=_COMPILED_QUICKLY)
def _lighting(
    ambient: Float[Array, "n 3"],
    directions: Float[Array, "2 n 3"],
    colours: Float[Array, "2 n 3"],
    target: Float[Array, " n"],
) -> Float[Array, "n 9 3"]:
    """Ambient and two directional lights, scaled to a `brightest_light` of `target`."""
    lights = directional_lighting(
        directions, ambient=jnp.stack([ambient, jnp.zeros_like(ambient)]), directional=colours
    )
    lighting = lights[0] + lights[1]
    return lighting * (target / brightest_light(lighting).max(axis=-1))[:, None, None]


def _check_landmark_model(landmark_model: LinearModel) -> None:
    shapes = [np.shape(array) for array in landmark_model]
    expected = [(3, 68), (NUM_SHAPE, 3, 68), (NUM_EXPRESSION, 3, 68)]
    if shapes != expected:
        raise ValueError(
            f"landmark arrays are {shapes}, expected {expected}: "
            "planar mean, shape basis and expression basis at the 68 landmark vertices"
        )


def _sample_angles(
    generator: np.random.Generator, count: int, settings: FaceSettings
) -> np.ndarray:
    wide = generator.uniform(-settings.max_yaw, settings.max_yaw, count)
    near = generator.normal(scale=settings.yaw_std, size=count)
    yaw = np.where(generator.random(count) < settings.wide_yaw_share, wide, near)
    pitch = generator.normal(scale=settings.pitch_std, size=count)
    roll = generator.normal(scale=settings.roll_std, size=count)
    bounds = np.array([settings.max_pitch, settings.max_yaw, settings.max_roll])
    return np.clip(np.stack([pitch, yaw, roll], axis=1), -bounds, bounds)


@partial(jax.jit, static_argnames="crop_size", compiler_options=_COMPILED_QUICKLY)
def _place_faces(
    landmark_model: LinearModel,
    shape: Float[Array, "n 40"],
    expression: Float[Array, "n 10"],
    angles_degrees: Float[Array, "n 3"],
    jitter: Float[Array, " n"],
    shift: Float[Array, "n 2"],
    *,
    crop_size: int,
) -> tuple[Float[Array, "n 3 4"], Float[Array, "n 68 2"]]:
    """Cameras that place the landmarks' box as the crop rule does, jittered; and the landmarks."""
    points = vertices_from_coefficients(landmark_model, shape, expression)
    rotation = rotation_from_euler(*jnp.deg2rad(angles_degrees).T)
    rotated = jnp.matmul(rotation, points, precision=jax.lax.Precision.HIGHEST)
    scale, in_plane = crop_framing(rotated, crop_size=crop_size, zoom=jitter, shift=shift)
    depth = -scale * rotated[:, 2].mean(axis=1)
    translation = jnp.concatenate([in_plane, depth[:, None]], axis=1)
    camera = camera_from_parts(CameraParts(scale, rotation, translation))
    projected = project_to_crop(camera, points, crop_size=crop_size)
    return camera, jnp.swapaxes(projected[:, :2], 1, 2)

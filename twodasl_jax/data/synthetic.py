"""What a rendered training face is made of: coefficients, skin, light (numpy only).

`sample_faces` draws the numbers; the renderer turns them into pictures, and
`twodasl_jax.data.backgrounds` supplies what is behind them. All draws come from one
`numpy.random.Generator`, so a seed names a data set.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from twodasl_jax.crop_frame import CROP_SIZE, flip_y


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
      shift_px: standard deviation of the face's position around the crop rule's, crop pixels.
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


class LandmarkArrays(NamedTuple):
    """A face model at its 68 landmark vertices, as numpy arrays (planar, model units).

    Attributes:
      mean: ``(3, 68)``.
      shape_basis: ``(40, 3, 68)``.
      expression_basis: ``(10, 3, 68)``.
    """

    mean: np.ndarray
    shape_basis: np.ndarray
    expression_basis: np.ndarray


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


def rotation_matrices(angles_degrees: np.ndarray) -> np.ndarray:
    """``Rx(pitch)·Ry(yaw)·Rz(roll)`` in 300W-LP's convention (method.md section 1), on the host.

    Args:
      angles_degrees: ``(n, 3)`` pitch, yaw, roll.

    Returns:
      ``(n, 3, 3)`` float64.
    """
    cosines = np.cos(np.deg2rad(angles_degrees))
    sines = np.sin(np.deg2rad(angles_degrees))
    cx, cy, cz = cosines.T
    sx, sy, sz = sines.T
    one, zero = np.ones_like(cx), np.zeros_like(cx)
    about_x = np.stack([one, zero, zero, zero, cx, sx, zero, -sx, cx], -1).reshape(-1, 3, 3)
    about_y = np.stack([cy, zero, -sy, zero, one, zero, sy, zero, cy], -1).reshape(-1, 3, 3)
    about_z = np.stack([cz, sz, zero, -sz, cz, zero, zero, zero, one], -1).reshape(-1, 3, 3)
    return about_x @ about_y @ about_z


def project_landmarks(coefficients: np.ndarray, landmarks: LandmarkArrays) -> np.ndarray:
    """The 68 landmarks of given coefficients in the crop, on the host.

    ``V = f·R·S + t``, ``x = V_x``, ``y = 121 - V_y``.

    Args:
      coefficients: ``(n, 62)`` raw.
      landmarks: the face model at its landmarks.

    Returns:
      ``(n, 68, 3)`` float64: x right, y down, z towards the viewer, crop pixels.
    """
    coefficients = np.asarray(coefficients, np.float64)
    camera = coefficients[:, :12].reshape(-1, 3, 4)
    view = camera[:, :, :3] @ _decode(coefficients[:, 12:], landmarks) + camera[:, :, 3:]
    view[:, 1] = flip_y(view[:, 1])
    return view.swapaxes(1, 2)


def sample_faces(
    generator: np.random.Generator,
    count: int,
    landmarks: LandmarkArrays,
    *,
    num_albedo: int,
    settings: FaceSettings | None = None,
) -> SyntheticFaces:
    """Draws the parameters of `count` faces.

    The camera puts the box of the 68 projected landmarks where the crop rule of method.md
    section 2 puts it (centred, longer side ``120/√2``), then jitters size and place as a
    detector's box would. ``t_z`` centres the landmarks' depth on 0: it cannot be observed, and
    small numbers keep the depth's precision.

    Args:
      generator: source of all randomness.
      count: number of faces.
      landmarks: the face model at its 68 landmarks.
      num_albedo: number of albedo coefficients, k; 0 for a model without colours.
      settings: the distribution; None is `FaceSettings()`, a unit-variance model.
    """
    if count < 1 or num_albedo < 0:
        raise ValueError(
            f"got count={count}, num_albedo={num_albedo}; need at least one face, and k ≥ 0"
        )
    _check_landmarks(landmarks)
    settings = settings or FaceSettings()
    num_shape, num_expression = len(landmarks.shape_basis), len(landmarks.expression_basis)
    shape = settings.shape_mean + settings.shape_std * generator.normal(size=(count, num_shape))
    expression = settings.expression_mean + settings.expression_std * generator.normal(
        size=(count, num_expression)
    )
    angles = _sample_angles(generator, count, settings)
    weights = np.concatenate([shape, expression], axis=1)
    camera = _fit_cameras(generator, _decode(weights, landmarks), angles, settings)
    coefficients = np.concatenate([camera.reshape(count, 12), weights], axis=1)
    return SyntheticFaces(
        coefficients=coefficients.astype(np.float32),
        albedo_coefficients=generator.normal(size=(count, num_albedo)).astype(np.float32),
        lighting=sample_lighting(generator, count, tint=settings.tint),
        landmarks=project_landmarks(coefficients, landmarks)[..., :2].astype(np.float32),
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
    ambient = generator.uniform(0.15, 0.7, size=(count, 1, 1))
    lighting = np.zeros((count, 9, 3))
    lighting[:, :1] = ambient * (1 + tint * generator.normal(size=(count, 1, 3))) / _Y0
    bands = np.repeat([1.0, 2.0 / 3.0, 1.0 / 4.0], [1, 3, 5])
    for light in range(2):
        # Lights come from the viewer's half-space, rather from above than from below.
        direction = generator.normal(size=(count, 3)) * [1.0, 0.7, 0.4] + [0.0, 0.35, 0.9]
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        strength = generator.uniform(0.1, 0.9, size=(count, 1, 1))
        if light == 1:
            strength = strength * (generator.random((count, 1, 1)) < 0.4)
        colour = 1 + tint * generator.normal(size=(count, 1, 3))
        # π: the coefficients of a distant light are Y_lm(d); `bands` are A_l/π.
        lobe = np.pi * bands[:, None] * spherical_harmonics(direction)[..., None]
        lighting += strength * colour * lobe
    brightest = np.abs(lighting[:, :1] * _Y0) + np.linalg.norm(
        lighting[:, 1:4] * _Y1, axis=1, keepdims=True
    )
    target = generator.uniform(0.6, 1.2, size=(count, 1, 1))
    return (lighting * target / brightest.max(axis=2, keepdims=True)).astype(np.float32)


_Y0 = 0.5 * np.sqrt(1 / np.pi)
_Y1 = np.sqrt(3 / (4 * np.pi))


def spherical_harmonics(directions: np.ndarray) -> np.ndarray:
    """The nine real spherical harmonics of bands 0 to 2, orthonormal over the sphere.

    Order ``1, y, z, x, xy, yz, 3z² - 1, xz, x² - y²``: that of `twodasl_jax.rendering.shading`.

    Args:
      directions: ``(*batch, 3)`` unit vectors: x right, y up, z towards the viewer.

    Returns:
      ``(*batch, 9)``.
    """
    x, y, z = np.moveaxis(np.asarray(directions), -1, 0)
    c2 = 0.5 * np.sqrt(15 / np.pi)
    c20 = 0.25 * np.sqrt(5 / np.pi)
    return np.stack(
        [
            np.full_like(x, _Y0),
            _Y1 * y,
            _Y1 * z,
            _Y1 * x,
            c2 * x * y,
            c2 * y * z,
            c20 * (3 * z * z - 1),
            c2 * x * z,
            0.5 * c2 * (x * x - y * y),
        ],
        axis=-1,
    )


def _check_landmarks(landmarks: LandmarkArrays) -> None:
    shapes = [np.shape(array) for array in landmarks]
    if shapes != [(3, 68), (40, 3, 68), (10, 3, 68)]:
        raise ValueError(
            f"landmark arrays are {shapes}, expected [(3, 68), (40, 3, 68), (10, 3, 68)]: "
            "planar mean, shape basis and expression basis at the 68 landmark vertices"
        )


def _decode(weights: np.ndarray, landmarks: LandmarkArrays) -> np.ndarray:
    basis = np.concatenate([landmarks.shape_basis, landmarks.expression_basis]).astype(np.float64)
    return landmarks.mean + np.tensordot(weights, basis, axes=1)


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


def _fit_cameras(
    generator: np.random.Generator,
    points: np.ndarray,
    angles: np.ndarray,
    settings: FaceSettings,
) -> np.ndarray:
    """``(n, 3, 4)`` cameras that place the landmarks' box as the crop rule does, with jitter."""
    count = len(points)
    rotations = rotation_matrices(angles)
    rotated = rotations @ points
    lowest, highest = rotated.min(axis=2), rotated.max(axis=2)
    longer_side = (highest - lowest)[:, :2].max(axis=1)
    # L = 2√2·r: the crop is √2 times the longer side of the box.
    jitter = np.exp(settings.scale_jitter * generator.normal(size=count))
    scale = jitter * CROP_SIZE / np.sqrt(2) / longer_side
    middle = np.full(count, CROP_SIZE / 2)
    target = np.stack([middle, flip_y(middle)], axis=1)
    target = target + settings.shift_px * generator.normal(size=(count, 2))
    translation = np.empty((count, 3))
    translation[:, :2] = target - scale[:, None] * 0.5 * (lowest + highest)[:, :2]
    translation[:, 2] = -scale * rotated[:, 2].mean(axis=1)
    return np.concatenate([scale[:, None, None] * rotations, translation[..., None]], axis=2)

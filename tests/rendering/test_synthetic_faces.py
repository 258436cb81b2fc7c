import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.data.crop_resize import resized_coefficients
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.geometry.camera import camera_parts, head_pose
from twodasl_jax.rendering import shading
from twodasl_jax.rendering.synthetic_faces import (
    FaceSettings,
    sample_faces,
    sample_lighting,
)

CENTRED = FaceSettings(scale_jitter=0.0, shift_px=0.0)


@pytest.fixture(scope="module")
def landmarks(small_face_model):
    return landmark_model(small_face_model)


def faces(landmarks, *, count=200, seed=0, settings=None):
    generator = np.random.default_rng(seed)
    return sample_faces(generator, count, landmarks, num_albedo=4, settings=settings)


def test_shapes_and_types(landmarks):
    sample = faces(landmarks, count=3)
    shapes = [(3, 62), (3, 4), (3, 9, 3), (3, 68, 2), (3, 3)]
    assert [array.shape for array in sample] == shapes
    assert {array.dtype.name for array in sample} == {"float32"}


def test_angles_are_those_of_the_camera(landmarks):
    # Off ±90°, where pitch and roll are the same turn.
    sample = faces(landmarks, settings=FaceSettings(max_yaw=80.0))
    camera = jnp.asarray(sample.coefficients[:, :12].reshape(-1, 3, 4))
    pose = np.rad2deg(np.stack(head_pose(camera), axis=1))
    # Float32, magnified 6 times at yaw 80°.
    np.testing.assert_allclose(pose, sample.angles, atol=1e-3)


def test_cameras_are_scaled_rotations(landmarks):
    camera = faces(landmarks).coefficients[:, :12].reshape(-1, 3, 4)
    parts = camera_parts(jnp.asarray(camera))
    rebuilt = np.asarray(parts.scale[:, None, None] * parts.rotation)
    # Float32, relative to the scale.
    np.testing.assert_allclose(rebuilt, camera[:, :, :3], atol=1e-5 * float(parts.scale.max()))


def test_landmarks_are_the_compiled_steps_projection(landmarks):
    sample = faces(landmarks)
    compiled = landmarks_from_coefficients(landmarks, jnp.asarray(sample.coefficients))
    # Float32 sums of 50 terms, crop pixels.
    np.testing.assert_allclose(sample.landmarks, compiled[..., :2], atol=2e-3)


def test_a_seed_gives_the_same_faces_in_every_size_of_crop(landmarks):
    usual = faces(landmarks)
    small = sample_faces(np.random.default_rng(0), 200, landmarks, num_albedo=4, crop_size=96)
    expected = resized_coefficients(usual.coefficients, crop_size=120, new_size=96)
    # Float32; BFM-sized numbers in the translation.
    np.testing.assert_allclose(small.coefficients, expected, atol=1e-4)
    np.testing.assert_allclose(small.landmarks, usual.landmarks * np.float32(0.8), atol=1e-4)
    for one, two in ((small.lighting, usual.lighting), (small.angles, usual.angles)):
        np.testing.assert_array_equal(one, two)
    projected = landmarks_from_coefficients(
        landmarks, jnp.asarray(small.coefficients), crop_size=96
    )
    np.testing.assert_allclose(small.landmarks, projected[..., :2], atol=2e-3)


def test_the_landmark_box_is_the_crop_rules(landmarks):
    points = faces(landmarks, settings=CENTRED).landmarks
    lowest, highest = points.min(axis=1), points.max(axis=1)
    # Float32.
    np.testing.assert_allclose((lowest + highest) / 2, 60, atol=1e-3)
    np.testing.assert_allclose((highest - lowest).max(axis=1), 120 / np.sqrt(2), rtol=1e-5)


def test_depth_is_centred(landmarks):
    coefficients = jnp.asarray(faces(landmarks).coefficients)
    depth = np.asarray(landmarks_from_coefficients(landmarks, coefficients))[..., 2]
    # Float32 coefficients.
    np.testing.assert_allclose(depth.mean(axis=1), 0, atol=1e-3)


def test_jitter_has_the_stated_spread(landmarks):
    points = faces(landmarks, count=1000).landmarks
    lowest, highest = points.min(axis=1), points.max(axis=1)
    # 1,000 draws: 7 % is 3 standard deviations of a standard deviation.
    assert ((lowest + highest) / 2).std() == pytest.approx(3.0, rel=0.07)
    assert np.log((highest - lowest).max(axis=1)).std() == pytest.approx(0.06, rel=0.07)


def test_angles_keep_their_bounds_and_cover_profiles(landmarks):
    angles = faces(landmarks, count=1000).angles
    assert (np.abs(angles).max(axis=0) <= [35, 90, 40]).all()
    # 60 % uniform over ±90 and 40 % normal with σ = 30: 21.8 % beyond 60°; ±4 % is 3 deviations.
    assert (np.abs(angles[:, 1]) > 60).mean() == pytest.approx(0.218, abs=0.04)


def test_coefficients_have_the_stated_spread(landmarks):
    mean, std = np.arange(40.0), np.linspace(0.5, 2, 40)
    settings = FaceSettings(shape_mean=mean, shape_std=std, expression_std=0.0)
    coefficients = faces(landmarks, count=2000, settings=settings).coefficients
    # 4.5 standard deviations of 2,000 draws' mean and deviation.
    assert (np.abs(coefficients[:, 12:52].mean(axis=0) - mean) < 0.1 * std).all()
    np.testing.assert_allclose(coefficients[:, 12:52].std(axis=0), std, rtol=0.08)
    assert not coefficients[:, 52:].any()


def test_a_seed_names_the_faces(landmarks):
    first, again, other = (faces(landmarks, count=4, seed=seed) for seed in (1, 1, 2))
    for name, one, two in zip(first._fields, first, again, strict=True):
        np.testing.assert_array_equal(one, two, err_msg=name)
    assert (first.coefficients != other.coefficients).any(axis=1).all()


def test_light_is_bright_enough_and_does_not_saturate():
    lighting = sample_lighting(np.random.default_rng(0), 500)
    assert lighting.shape == (500, 9, 3)
    directions = np.random.default_rng(1).normal(size=(400, 3))
    directions[:, 2] = np.abs(directions[:, 2])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    harmonics = shading.spherical_harmonics(jnp.asarray(directions.T))
    shade = np.einsum("kd,nkc->ndc", harmonics, lighting)
    # The bound of 1.2 is of bands 0 and 1; band 2 adds up to a quarter of a light, not of all.
    assert shade.max() < 1.7
    assert shade.max(axis=(1, 2)).min() > 0.5
    assert shade.mean() > 0.3


def test_untinted_light_is_white():
    lighting = sample_lighting(np.random.default_rng(0), 20, tint=0.0)
    np.testing.assert_array_equal(lighting[..., 0], lighting[..., 1])
    np.testing.assert_array_equal(lighting[..., 0], lighting[..., 2])


def test_refuses(landmarks):
    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match="count=0"):
        sample_faces(generator, 0, landmarks, num_albedo=1)
    with pytest.raises(ValueError, match="k ≥ 0"):
        sample_faces(generator, 1, landmarks, num_albedo=-1)
    interleaved = landmarks._replace(mean=landmarks.mean.T)
    with pytest.raises(ValueError, match="planar mean"):
        sample_faces(generator, 1, interleaved, num_albedo=1)

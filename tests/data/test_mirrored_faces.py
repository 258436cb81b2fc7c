import numpy as np

from twodasl_jax.data.mirrored_faces import CoefficientMirror, mirror_coefficients, mirror_points


def random_mirror(plane_x=0.0):
    """An involution on the weights, as that of a symmetric face model is."""
    generator = np.random.default_rng(0)
    axes, _ = np.linalg.qr(generator.normal(size=(50, 50)))
    matrix = axes @ np.diag(np.repeat([1.0, -1.0], 25)) @ axes.T
    return CoefficientMirror(matrix, np.zeros(50), plane_x)


def test_columns_change_places():
    points = np.float32([[0, 5], [119.5, 7], [60, 1]])
    np.testing.assert_array_equal(mirror_points(points), [[120, 5], [0.5, 7], [60, 1]])


def test_the_mirrored_camera_shows_the_mirrored_point_at_the_mirrored_place():
    generator = np.random.default_rng(1)
    coefficients = generator.normal(scale=30, size=62).astype(np.float32)
    plane_x = 4.0
    mirrored = mirror_coefficients(coefficients, random_mirror(plane_x))
    point = np.array([10.0, -3.0, 6.0])
    twin = np.array([2 * plane_x - point[0], point[1], point[2]])
    before = coefficients[:12].reshape(3, 4) @ np.append(point, 1)
    after = mirrored[:12].reshape(3, 4) @ np.append(twin, 1)
    # Float32 numbers up to a few hundred.
    np.testing.assert_allclose(after, [120 - before[0], before[1], before[2]], atol=1e-3)


def test_a_mirrored_rotation_is_a_rotation():
    turn = np.deg2rad(30)
    rotation = np.array(
        [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    )
    camera = np.concatenate([0.7 * rotation, [[60], [61], [0]]], axis=1)
    coefficients = np.append(camera.ravel(), np.zeros(50)).astype(np.float32)
    mirrored = mirror_coefficients(coefficients, random_mirror())[:12].reshape(3, 4)
    # The other way round, and in float32.
    np.testing.assert_allclose(mirrored[:, :3], 0.7 * rotation.T, atol=1e-6)
    np.testing.assert_allclose(mirrored[:, 3], [60, 61, 0], atol=1e-6)


def test_mirroring_twice_gives_the_face_back():
    coefficients = np.random.default_rng(2).normal(scale=10, size=62).astype(np.float32)
    mirror = random_mirror(plane_x=2.0)
    twice = mirror_coefficients(mirror_coefficients(coefficients, mirror), mirror)
    # Float32 rounding, twice, of numbers up to 120.
    np.testing.assert_allclose(twice, coefficients, atol=1e-4)

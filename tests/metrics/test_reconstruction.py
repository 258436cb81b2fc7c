"""`metrics/reconstruction.py`: rigid alignment, closest points, both error definitions."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.metrics.reconstruction import (
    reconstruction_error,
    rigid_alignment,
    rigid_icp,
)

AXES = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (-1, 2, 0)]


@pytest.fixture(scope="module")
def mesh():
    """A face, ``(n, 3)`` float64."""
    return np.asarray(load_face_model().linear.mean, np.float64).T


def turned(points, axis, degrees):
    axis = np.array(axis) / np.linalg.norm(axis)
    return Rotation.from_rotvec(np.radians(degrees) * axis).apply(points)


def test_the_rigid_alignment_is_found_without_scale():
    random = np.random.default_rng(0)
    source = random.normal(size=(20, 3))
    target = 1.7 * turned(source, (1, 2, 3), 130) + [3, 4, 5]
    rotation, translation = rigid_alignment(source, target)
    expected = Rotation.from_rotvec(np.radians(130) * np.array([1, 2, 3]) / np.sqrt(14))
    # Float64 rounding.
    np.testing.assert_allclose(rotation, expected.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(translation, target.mean(0) - rotation @ source.mean(0), atol=1e-12)


def test_a_mirror_image_is_not_aligned_by_a_reflection():
    source = np.random.default_rng(1).normal(size=(20, 3))
    rotation, _ = rigid_alignment(source, source * [-1, 1, 1])
    # Float64 rounding.
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_no_other_rotation_is_better():
    random = np.random.default_rng(2)
    source, target = random.normal(size=(2, 30, 3))
    rotation, translation = rigid_alignment(source, target)
    best = np.square(source @ rotation.T + translation - target).sum()
    for _ in range(200):
        other = Rotation.from_rotvec(random.normal(size=3) * 0.1).as_matrix() @ rotation
        moved = source @ other.T
        moved += (target - moved).mean(axis=0)
        assert np.square(moved - target).sum() >= best


@pytest.mark.parametrize("axis", AXES)
def test_a_mesh_rotated_by_40_degrees_and_shifted_comes_back(mesh, axis):
    side = np.ptp(mesh, axis=0).max()
    moved = turned(mesh, axis, 40) + side * np.array([0.3, -0.5, 2.0])
    stride = max(1, len(mesh) // 1065)
    aligned = rigid_icp(moved[::stride], mesh[::stride])
    # Float64 rounding of some iterations.
    np.testing.assert_allclose(aligned.points, mesh[::stride], atol=1e-9 * side)
    assert aligned.num_iterations < 100
    error = reconstruction_error(moved, mesh, stride=stride)
    assert max(error) < 1e-9


def literal_icp(source, target):
    """Closest points by all distances, one by one."""
    points = source + target.mean(0) - source.mean(0)
    before = None
    while True:
        pairs = [int(np.argmin([np.sum((p - t) ** 2) for t in target])) for p in points]
        if pairs == before:
            return points
        before = pairs
        chosen = target[pairs]
        covariance = (chosen - chosen.mean(0)).T @ (points - points.mean(0))
        u, _, vt = np.linalg.svd(covariance)
        rotation = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
        points = (points - points.mean(0)) @ rotation.T + chosen.mean(0)


def test_equals_the_literal_definition():
    random = np.random.default_rng(3)
    true = random.normal(size=(60, 3)) * [30, 40, 10]
    predicted = turned(true, (0, 1, 0), 12) + random.normal(size=true.shape) + [5, 0, 0]
    error = reconstruction_error(predicted, true, stride=3)
    aligned = literal_icp(predicted[::3], true[::3])
    size = np.sqrt(np.prod(np.ptp(true[:, :2], axis=0)))
    same = np.mean([np.linalg.norm(a - t) for a, t in zip(aligned, true[::3], strict=True)])
    nearest = np.mean([min(np.linalg.norm(a - t) for t in true) for a in aligned])
    # Float64 rounding.
    assert error.same_vertex == pytest.approx(same / size, rel=1e-10)
    assert error.nearest_point == pytest.approx(nearest / size, rel=1e-10)
    assert error.nearest_point <= error.same_vertex


def test_does_not_change_with_a_joint_shift_or_scale(mesh):
    random = np.random.default_rng(4)
    predicted = turned(mesh, (0, 1, 0), 10) + random.normal(size=mesh.shape)
    before = reconstruction_error(predicted, mesh)
    for change in (lambda p: p + np.array([500.0, -300.0, 80.0]), lambda p: 2.5 * p):
        after = reconstruction_error(change(predicted), change(mesh))
        # Float64 rounding, through the same nearest points.
        np.testing.assert_allclose(after, before, rtol=1e-9)


def test_scale_is_not_aligned_away(mesh):
    assert reconstruction_error(1.2 * mesh, mesh).same_vertex > 0.02


def test_unequal_meshes_and_broken_points_are_refused(mesh):
    with pytest.raises(ValueError, match="expected the same vertices"):
        reconstruction_error(mesh[:-1], mesh)
    with pytest.raises(ValueError, match="expected \\(n, 3\\) finite"):
        rigid_icp(mesh * np.nan, mesh)
    with pytest.raises(ValueError, match=r"expected \(n, 3\) twice"):
        rigid_alignment(mesh[:5], mesh[:4])


def test_pairs_that_do_not_settle_are_refused(mesh, monkeypatch):
    monkeypatch.setattr("twodasl_jax.metrics.reconstruction.MAX_ITERATIONS", 1)
    with pytest.raises(ValueError, match="still change after 1 iterations"):
        rigid_icp(turned(mesh, (0, 1, 0), 40)[::50], mesh[::50])


def test_closest_points_start_from_equal_means(mesh):
    """From far away all points have one nearest neighbour, and the pairs say nothing."""
    points = mesh[::20]
    result = rigid_icp(points + np.array([9e4, -4e4, 7e4]), points)
    np.testing.assert_allclose(result.points, points, atol=1e-6)
    # Shifted alone: the right pairs are found at once, and found again.
    assert result.num_iterations <= 1

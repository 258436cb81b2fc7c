"""Mirror tables, winding and unrolled texture coordinates of a sheet whose mirror is known."""

import numpy as np
import pytest

from twodasl_jax.face_model.mirror import (
    counter_clockwise_triangles,
    cylindrical_uv,
    mirror_by_nearness,
    mirror_from_pairs,
)


@pytest.fixture
def mean(small_face_model):
    return np.asarray(small_face_model.linear.mean, np.float64)


@pytest.fixture
def mirror(small_face_model):
    return np.asarray(small_face_model.mirror_vertices)


def test_pairs_that_name_a_vertex_twice_become_an_involution(mean, mirror):
    pairs = np.stack([np.arange(len(mirror)), mirror], axis=1)
    pairs = pairs[pairs[:, 0] <= pairs[:, 1]]
    # A wrong partner besides the right one, listed first.
    pairs = np.concatenate([[[0, len(mirror) - 1]], pairs])
    np.testing.assert_array_equal(mirror_from_pairs(mean, pairs), mirror)


def test_vertices_that_no_pair_names_are_paired_by_nearness(mean, mirror):
    pairs = np.stack([np.arange(len(mirror)), mirror], axis=1)
    pairs = pairs[(pairs[:, 0] <= pairs[:, 1]) & (pairs[:, 0] > 20)]
    np.testing.assert_array_equal(mirror_from_pairs(mean, pairs), mirror)


def test_the_mirror_of_a_disturbed_mean_is_an_involution(mean, mirror):
    # Vertices are 12 apart.
    disturbed = mean + np.random.default_rng(3).normal(size=mean.shape) * 0.4
    np.testing.assert_array_equal(mirror_by_nearness(disturbed, 0.0), mirror)


def test_the_mirror_plane_may_lie_anywhere(mean, mirror):
    moved = mean + np.array([[77.0], [0.0], [0.0]])
    np.testing.assert_array_equal(mirror_by_nearness(moved, 77.0), mirror)


def test_a_mean_without_symmetry_has_no_mirror():
    with pytest.raises(ValueError, match="not symmetric"):
        mirror_by_nearness(np.random.default_rng(4).normal(size=(3, 50)), 0.0)


def test_either_winding_becomes_counter_clockwise(mean, small_face_model):
    triangles = np.asarray(small_face_model.triangles)
    np.testing.assert_array_equal(counter_clockwise_triangles(mean, triangles), triangles)
    turned = triangles[:, [0, 2, 1]]
    np.testing.assert_array_equal(counter_clockwise_triangles(mean, turned), triangles)


def test_unrolled_coordinates_go_with_the_face_from_corner_to_corner(mean, small_face_model):
    uv = cylindrical_uv(mean)
    assert (uv.min(axis=0).tolist(), uv.max(axis=0).tolist()) == ([0, 0], [1, 1])
    side = 11
    rows = uv.reshape(side, side, 2)
    assert (np.diff(rows[..., 0], axis=1) > 0).all(), "u grows with x along each row"
    np.testing.assert_allclose(rows[..., 1], np.linspace(1, 0, side)[:, None] * np.ones(side))

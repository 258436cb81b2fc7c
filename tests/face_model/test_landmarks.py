"""The 68 landmarks are vertices of the face; the 18 are those, or means of two."""

import chex
import jax.numpy as jnp
import numpy as np

from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.face_model.landmarks import (
    landmark_model,
    landmarks18_from_68,
    landmarks_from_coefficients,
)
from twodasl_jax.face_model.linear import vertices_from_coefficients
from twodasl_jax.geometry.camera import project_to_crop


def test_landmarks_are_the_projected_landmark_vertices(small_face_model):
    coefficients = jnp.asarray(np.random.default_rng(0).normal(size=(3, 62)), jnp.float32)
    parts = split_coefficients(coefficients)
    everything = vertices_from_coefficients(small_face_model.linear, parts.shape, parts.expression)
    dense = project_to_crop(parts.camera, everything)
    expected = jnp.swapaxes(dense[..., small_face_model.landmark_vertices], -1, -2)
    found = landmarks_from_coefficients(landmark_model(small_face_model), coefficients)
    # The same float32 sums in another order.
    chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-3)


def test_the_eighteen_are_single_points_or_means_of_two():
    landmarks = jnp.stack([jnp.arange(68.0), jnp.zeros(68)], axis=1)
    found = np.asarray(landmarks18_from_68(landmarks))[:, 0]
    expected = [17, 19, 21, 22, 24, 26, 36, 38.5, 39, 42, 44.5, 45, 31, 30, 35, 48, 64, 54]
    np.testing.assert_array_equal(found, expected)

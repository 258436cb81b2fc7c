import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.rendering.landmark_map import landmark_map, soft_landmark_map


def literal_map(landmarks: np.ndarray, size: int = 120) -> np.ndarray:
    drawn = np.full((size, size, 1), -1.0, np.float32)
    for x, y in landmarks:
        if np.isfinite(x) and np.isfinite(y):
            row = min(max(int(np.floor(y)), 0), size - 1)
            column = min(max(int(np.floor(x)), 0), size - 1)
            drawn[row, column] = 1.0
    return drawn


class LandmarkMapTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_pmap=True)
    def test_equals_the_literal_drawing(self):
        # pmap asks for one leading entry per device: the batch is 8.
        landmarks = np.random.default_rng(0).uniform(-30, 150, (8, 18, 2)).astype(np.float32)
        landmarks[0, 3] = np.nan
        landmarks[1, 5, 0] = np.nan
        landmarks[2, 7, 1] = np.inf
        landmarks[3, 0] = [1e30, -1e30]
        drawn = self.variant(landmark_map)(jnp.asarray(landmarks))
        expected = np.stack([literal_map(one) for one in landmarks])
        np.testing.assert_array_equal(drawn, expected)

    def test_all_missing_is_the_empty_map(self):
        drawn = landmark_map(jnp.full((18, 2), jnp.nan))
        np.testing.assert_array_equal(drawn, np.full((120, 120, 1), -1.0))

    def test_floor_not_round_and_row_is_y(self):
        drawn = np.asarray(landmark_map(jnp.array([[10.9, 20.99]])))[..., 0]
        assert drawn[20, 10] == 1.0
        assert (drawn == 1).sum() == 1

    def test_hard_map_sends_no_gradient_and_no_nan(self):
        landmarks = jnp.array([[10.9, 20.99], [jnp.nan, 3.0]])
        gradient = jax.grad(lambda points: landmark_map(points).sum())(landmarks)
        np.testing.assert_array_equal(gradient, np.zeros((2, 2)))

    @chex.variants(with_jit=True, without_jit=True)
    def test_soft_map_peaks_where_the_hard_map_marks(self):
        cells = np.array([[10.0, 20.0], [60.0, 7.0], [119.0, 118.0]], np.float32)
        soft = self.variant(soft_landmark_map)(jnp.asarray(cells + 0.5))
        hard = landmark_map(jnp.asarray(cells + 0.5))
        chex.assert_equal_shape([soft, hard])
        np.testing.assert_array_equal(np.asarray(soft) == 1.0, np.asarray(hard) == 1.0)

    def test_soft_map_gradient_points_at_the_landmark(self):
        landmarks = jnp.array([[40.3, 50.7], [jnp.nan, jnp.nan], [300.0, -300.0]])
        gradient = jax.grad(lambda points: soft_landmark_map(points)[50, 42, 0])(landmarks)
        assert bool(jnp.isfinite(gradient).all())
        assert gradient[0, 0] > 0  # moving right, towards column 42, brightens it
        np.testing.assert_array_equal(gradient[1:], np.zeros((2, 2)))

    def test_soft_map_refuses_a_width_of_zero(self):
        with pytest.raises(ValueError, match="sigma_px is 0"):
            soft_landmark_map(jnp.zeros((18, 2)), sigma_px=0.0)

import chex
import jax
import jax.numpy as jnp
import numpy as np

from twodasl_jax.rendering.landmark_map import landmark_map


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

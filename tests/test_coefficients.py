"""The 62-vector: split and join, whiten and unwhiten."""

import chex
import jax.numpy as jnp
import numpy as np

from twodasl_jax.coefficients import (
    CAMERA,
    EXPRESSION,
    NUM_COEFFICIENTS,
    SHAPE,
    TRANSLATION_Z,
    Whitening,
    join_coefficients,
    split_coefficients,
    unwhiten,
    whiten,
)

COEFFICIENTS = jnp.asarray(np.random.default_rng(0).normal(size=(4, 62)), jnp.float32)


class CoefficientsTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_pmap=True)
    def test_join_undoes_split(self):
        joined = self.variant(lambda q: join_coefficients(split_coefficients(q)))(COEFFICIENTS)
        chex.assert_trees_all_equal(joined, COEFFICIENTS)

    @chex.variants(with_jit=True, without_jit=True)
    def test_unwhiten_undoes_whiten(self):
        whitening = Whitening(jnp.full((1, 62), 3.0), jnp.full((1, 62), 0.1))
        back = self.variant(lambda q: unwhiten(whiten(q, whitening), whitening))(COEFFICIENTS)
        # float32: (q - 3)/0.1·0.1 + 3.
        chex.assert_trees_all_close(back, COEFFICIENTS, atol=1e-6)


def test_the_order_is_camera_shape_expression():
    numbers = np.arange(NUM_COEFFICIENTS)
    assert [len(numbers[part]) for part in (CAMERA, SHAPE, EXPRESSION)] == [12, 40, 10]
    parts = split_coefficients(jnp.arange(62.0))
    np.testing.assert_array_equal(parts.camera[:, 3], [3, 7, 11])  # t is the last column
    assert parts.camera[2, 3] == TRANSLATION_Z
    np.testing.assert_array_equal(parts.shape, np.arange(12, 52))
    np.testing.assert_array_equal(parts.expression, np.arange(52, 62))

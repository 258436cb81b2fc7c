import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from twodasl_jax.models.convolution import (
    IMPLEMENTATIONS,
    Conv,
    convolve,
    resolve_implementation,
)

# float32 sums of up to 7·7·8 products in a different order: some 1e-6 of values of order 1.
TOLERANCE = 2e-5

CASES = (
    {"kernel_size": 1, "stride": 1, "depthwise": False, "size": 8},
    {"kernel_size": 1, "stride": 2, "depthwise": False, "size": 9},
    {"kernel_size": 3, "stride": 1, "depthwise": False, "size": 8},
    {"kernel_size": 3, "stride": 2, "depthwise": False, "size": 8},
    {"kernel_size": 3, "stride": 2, "depthwise": False, "size": 9},
    {"kernel_size": 7, "stride": 2, "depthwise": False, "size": 12},
    {"kernel_size": 7, "stride": 2, "depthwise": False, "size": 13},
    {"kernel_size": 7, "stride": 4, "depthwise": False, "size": 12},
    {"kernel_size": 7, "stride": 4, "depthwise": False, "size": 15},
    {"kernel_size": 5, "stride": 3, "depthwise": False, "size": 10},
    {"kernel_size": 3, "stride": 1, "depthwise": True, "size": 8},
    {"kernel_size": 3, "stride": 2, "depthwise": True, "size": 9},
)


def _inputs(kernel_size, depthwise, size, channels=8, features=6):
    keys = jax.random.split(jax.random.key(0), 2)
    x = jax.random.normal(keys[0], (2, size, size, channels))
    shape = (1, channels) if depthwise else (channels, features)
    return x, 0.2 * jax.random.normal(keys[1], (kernel_size, kernel_size, *shape))


class ConvolveTest(chex.TestCase):
    @chex.variants(with_jit=True)  # op by op, 49 taps are 49 compilations; see the next test
    @parameterized.parameters(*CASES)
    def test_implementations_agree_in_values_and_gradients(
        self, kernel_size, stride, depthwise, size
    ):
        x, kernel = _inputs(kernel_size, depthwise, size)

        def value_and_gradients(implementation):
            def cost(x, kernel):
                y = convolve(x, kernel, stride=stride, implementation=implementation)
                return jnp.sum(jnp.sin(y)), y  # sin: gradients that differ from place to place

            return self.variant(jax.grad(cost, argnums=(0, 1), has_aux=True))(x, kernel)

        expected = value_and_gradients("native")
        for implementation in IMPLEMENTATIONS[1:]:
            chex.assert_trees_all_close(
                value_and_gradients(implementation), expected, atol=TOLERANCE, rtol=TOLERANCE
            )

    @chex.variants(with_jit=True, without_jit=True)
    def test_matches_the_sum_written_out(self):
        x, kernel = _inputs(3, False, 5, channels=2, features=3)
        padded = np.pad(np.asarray(x), ((0, 0), (1, 1), (1, 1), (0, 0)))
        expected = np.zeros((2, 3, 3, 3), np.float32)
        for row in range(3):
            for column in range(3):
                window = padded[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
                expected[:, row, column] = np.einsum("bijc,ijco->bo", window, np.asarray(kernel))
        for implementation in IMPLEMENTATIONS:
            function = functools.partial(convolve, stride=2, implementation=implementation)
            actual = self.variant(function)(x, kernel)
            chex.assert_trees_all_close(actual, expected, atol=TOLERANCE)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_parameters_are_those_of_flax_conv(implementation):
    x = jnp.ones((1, 8, 8, 4))
    ours = Conv(6, 3, use_bias=True, implementation=implementation)
    flax = nn.Conv(6, (3, 3), padding=1)
    variables = flax.init(jax.random.key(0), x)
    chex.assert_trees_all_equal_shapes(ours.init(jax.random.key(0), x), variables)
    # The same numbers in a different order of summation.
    chex.assert_trees_all_close(ours.apply(variables, x), flax.apply(variables, x), atol=TOLERANCE)


def test_auto_is_the_training_choice_of_the_backend():
    assert resolve_implementation("auto") == (
        "im2col" if jax.default_backend() == "cpu" else "native"
    )
    assert resolve_implementation("native") == "native"


def test_unknown_implementation_lists_the_choices():
    with pytest.raises(ValueError, match=r"'fft'.*auto, native, im2col, matmul_1x1"):
        resolve_implementation("fft")


def test_depthwise_must_keep_its_channels():
    with pytest.raises(ValueError, match="got 4, asked for 6"):
        Conv(6, 3, depthwise=True).init(jax.random.key(0), jnp.ones((1, 8, 8, 4)))

import chex
import jax
import jax.numpy as jnp
import pytest

from twodasl_jax.models.image_encoder import WIDTHS, make_encoder


def test_six_blocks_end_in_256_numbers():
    model = make_encoder()
    image = jax.ShapeDtypeStruct((2, 120, 120, 3), jnp.float32)
    (z, state) = jax.eval_shape(
        lambda x: model.init_with_output(
            jax.random.key(0), x, capture_intermediates=True, mutable=["params", "intermediates"]
        ),
        image,
    )
    assert (z.shape, z.dtype) == ((2, 256), jnp.float32)
    sides = [state["intermediates"][f"conv{i}"]["__call__"][0].shape for i in range(1, 7)]
    expected = zip((120, 60, 30, 15, 7, 3), WIDTHS, strict=True)
    assert sides == [(2, side, side, width) for side, width in expected]


def test_implementations_agree():
    image = jax.random.uniform(jax.random.key(0), (1, 120, 120, 3), minval=-1, maxval=1)
    variables = jax.jit(make_encoder().init)(jax.random.key(1), image)
    outputs = [
        jax.jit(make_encoder(convolution=convolution).apply)(variables, image)
        for convolution in ("native", "im2col")
    ]
    # Six layers of float32 sums in another order; outputs are of order 0.1 to 1.
    chex.assert_trees_all_close(*outputs, atol=1e-4)


def test_unknown_convolution_lists_the_choices():
    with pytest.raises(ValueError, match="auto, native"):
        make_encoder(convolution="fft")

import functools

import jax
import jax.numpy as jnp
import pytest

from twodasl_jax.models.mobilenet import MobileNetV1


@pytest.mark.parametrize(("width", "features"), [(1.0, 1024), (0.5, 512)])
def test_features_scale_with_the_width(width, features):
    image = jax.ShapeDtypeStruct((2, 120, 120, 4), jnp.float32)
    output, variables = jax.eval_shape(
        lambda x: MobileNetV1(width=width).init_with_output(jax.random.key(0), x, train=False),
        image,
    )
    assert output.shape == (2, features)
    kernel = variables["params"]["block1_depthwise_conv"]["kernel"]
    assert kernel.shape == (3, 3, 1, int(32 * width))


def test_implementations_agree():
    image = jax.random.normal(jax.random.key(0), (2, 32, 32, 3))
    variables = jax.jit(lambda key: MobileNetV1(width=0.25).init(key, image, train=False))(
        jax.random.key(1)
    )

    @functools.partial(jax.jit, static_argnums=0)
    def features(convolution):
        model = MobileNetV1(width=0.25, convolution=convolution)
        return model.apply(variables, image, train=False)

    native, *others = (features(convolution) for convolution in ("native", "im2col"))
    for other in others:
        # 27 layers of float32 sums in another order; features are of order 0.1 to 1.
        assert jnp.allclose(other, native, atol=1e-4)

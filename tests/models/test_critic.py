import chex
import jax
import jax.numpy as jnp

from twodasl_jax.models.critic import Critic


def test_one_logit_per_pair():
    keys = jax.random.split(jax.random.key(0), 3)
    z, p = jax.random.normal(keys[0], (5, 256)), jax.random.normal(keys[1], (5, 62))
    logits, variables = Critic().init_with_output(keys[2], z, p)
    chex.assert_shape(logits, (5,))
    assert jnp.unique(logits).size == 5, "a softmax over one neuron would be constant"
    widths = {name: layer["kernel"].shape for name, layer in variables["params"].items()}
    assert widths == {
        "dense1": (256 + 62, 512),
        "dense2": (512, 1024),
        "dense3": (1024, 1024),
        "logit": (1024, 1),
    }


def test_gradient_reaches_both_inputs():
    keys = jax.random.split(jax.random.key(0), 3)
    z, p = jax.random.normal(keys[0], (2, 256)), jax.random.normal(keys[1], (2, 62))
    variables = Critic().init(keys[2], z, p)
    gradients = jax.grad(lambda z, p: Critic().apply(variables, z, p).sum(), argnums=(0, 1))(z, p)
    for gradient in gradients:
        assert jnp.all(jnp.abs(gradient).max(axis=-1) > 0)

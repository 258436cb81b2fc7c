import chex
import jax
import jax.numpy as jnp
import pytest

from twodasl_jax.models.resnet import BasicBlock, BottleneckBlock, NarrowResNet, ResNet


def _features(model, size=120):
    image = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    features, _ = jax.eval_shape(
        lambda x: model.init_with_output(jax.random.key(0), x, train=False), image
    )
    return features.shape


@pytest.mark.parametrize(("block", "expected"), [(BasicBlock, 64), (BottleneckBlock, 256)])
def test_narrow_widths(block, expected):
    assert _features(ResNet(level_sizes=(1, 1, 1, 1), block=block, width=8)) == (2, expected)


def test_narrow_resnet_flattens_its_last_map():
    # 120 to 30 by the stem, then 15, 8, 4.
    model = NarrowResNet(widths=(8, 8, 16, 24), level_sizes=(1, 1, 1, 1), stem_width=8)
    assert _features(model) == (2, 4 * 4 * 24)


def test_a_block_starts_as_the_identity():
    model = ResNet(level_sizes=(2,), block=BasicBlock, width=4)
    image = jnp.linspace(-1.0, 1.0, 2 * 16 * 16 * 3).reshape(2, 16, 16, 3)
    variables = model.init(jax.random.key(0), image, train=False)
    params = variables["params"]
    for block in ("stage1_block1", "stage1_block2"):
        chex.assert_trees_all_equal(params[block]["norm2"]["scale"], jnp.zeros(4))
    # Without the blocks' convolutions nothing changes: only stem and shortcuts speak.
    silenced = jax.tree.map(lambda x: x, variables)
    silenced["params"]["stage1_block2"]["conv1"] = jax.tree.map(
        jnp.zeros_like, params["stage1_block2"]["conv1"]
    )
    chex.assert_trees_all_equal(
        model.apply(silenced, image, train=False), model.apply(variables, image, train=False)
    )


def test_mean_window_reads_the_top_left_only():
    # Map of 8x8 before the mean: stem 16, pool 8.
    settings = {"level_sizes": (1,), "block": BasicBlock, "width": 4}
    whole, corner = ResNet(**settings), ResNet(**settings, mean_window=2)
    image = jnp.zeros((1, 32, 32, 3))
    changed = image.at[:, 28:, 28:].set(1.0)
    variables = whole.init(jax.random.key(0), image, train=False)
    difference = {
        name: jnp.abs(
            model.apply(variables, changed, train=False)
            - model.apply(variables, image, train=False)
        ).max()
        for name, model in {"whole": whole, "corner": corner}.items()
    }
    assert difference["whole"] > 0
    assert difference["corner"] == 0

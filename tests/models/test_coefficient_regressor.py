import functools

import chex
import jax
import jax.numpy as jnp
import pytest

from twodasl_jax.models.coefficient_regressor import BACKBONES, make_regressor

MILLION = 1_000_000


def _variable_shapes(model, channels=4):
    image = jnp.zeros((1, 120, 120, channels))
    return jax.eval_shape(lambda key: model.init(key, image, train=False), jax.random.key(0))


def _parameter_count(variables):
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


# Compiled: op by op, a network takes longer to dispatch than to run.
@functools.partial(jax.jit, static_argnums=0)
def _predict(model, variables, image):
    return model.apply(variables, image, train=False)


@functools.partial(jax.jit, static_argnums=0)
def _train_call(model, variables, image):
    return model.apply(variables, image, train=True, mutable=["batch_stats"])


@pytest.fixture(scope="module")
def tiny():
    # native: the quickest to compile
    model = make_regressor("resnet_tiny", convolution="native")
    image = jnp.zeros((1, 120, 120, 4))
    return model, jax.jit(lambda key: model.init(key, image, train=False))(jax.random.key(0))


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("channels", [3, 4])
def test_every_backbone_gives_62_floats(backbone, channels):
    model = make_regressor(backbone)
    variables = _variable_shapes(model, channels)
    image = jax.ShapeDtypeStruct((2, 120, 120, channels), jnp.float32)
    output = jax.eval_shape(lambda v, x: model.apply(v, x, train=False), variables, image)
    assert (output.shape, output.dtype) == ((2, 62), jnp.float32)
    assert set(variables) == {"params", "batch_stats"}


# The bodies' counts as published for the 1000-class networks, less their classifiers, with
# our fourth input channel and our head of 62 (convolutions without bias).
@pytest.mark.parametrize(
    ("backbone", "body", "stem", "features"),
    [
        ("resnet50", 23_508_032, 49 * 64, 2048),
        ("resnet34", 21_284_672, 49 * 64, 512),
        ("resnet18", 11_176_512, 49 * 64, 512),
        ("mobilenet_v1", 3_206_976, 9 * 32, 1024),
    ],
)
def test_published_parameter_counts(backbone, body, stem, features):
    count = _parameter_count(_variable_shapes(make_regressor(backbone)))
    assert count == body + stem + features * 62 + 62


@pytest.mark.parametrize("backbone", ["resnet_tiny", "resnet18", "resnet50", "mobilenet_v1_half"])
def test_parameters_do_not_depend_on_the_convolution(backbone):
    native, *others = (
        _variable_shapes(make_regressor(backbone, convolution=convolution))
        for convolution in ("native", "im2col", "matmul_1x1")
    )
    for other in others:
        chex.assert_trees_all_equal_shapes_and_dtypes(other, native)


def test_a_checkpoint_runs_under_every_convolution(tiny):
    _, variables = tiny
    # A head large enough that the comparison sees the whole network.
    variables = jax.tree.map(lambda x: x, variables)
    variables["params"]["head"]["kernel"] = 100 * variables["params"]["head"]["kernel"]
    image = jax.random.uniform(jax.random.key(1), (2, 120, 120, 4), minval=-1, maxval=1)
    native, *others = (
        _predict(make_regressor("resnet_tiny", convolution=convolution), variables, image)
        for convolution in ("native", "im2col", "matmul_1x1")
    )
    for other in others:
        # Ten layers of float32 sums in another order; the outputs are of order 1.
        chex.assert_trees_all_close(other, native, atol=1e-4)


def test_first_prediction_is_near_the_mean_face(tiny):
    model, variables = tiny
    image = jax.random.uniform(jax.random.key(1), (4, 120, 120, 4), minval=-1, maxval=1)
    output = _predict(model, variables, image)
    # Whitened units: a tenth of the training set's spread.
    assert jnp.abs(output).max() < 0.3
    assert jnp.abs(output).mean() < 0.1
    assert jnp.abs(output).max() > 0, "exactly zero would cut the gradient to the backbone"


def test_train_uses_and_updates_batch_statistics(tiny):
    model, variables = tiny
    image = 3 + jax.random.normal(jax.random.key(1), (2, 120, 120, 4))
    output, updated = _train_call(model, variables, image)
    stored = _predict(model, variables, image)
    assert jnp.abs(output - stored).max() > 1e-4
    for new, old in zip(
        jax.tree.leaves(updated["batch_stats"]),
        jax.tree.leaves(variables["batch_stats"]),
        strict=True,
    ):
        assert jnp.abs(new - old).max() > 0


def test_frozen_batch_norm_keeps_its_statistics(tiny):
    _, variables = tiny
    model = make_regressor("resnet_tiny", batch_norm="frozen", convolution="native")
    image = 3 + jax.random.normal(jax.random.key(1), (2, 120, 120, 4))
    output, updated = _train_call(model, variables, image)
    chex.assert_trees_all_equal(updated["batch_stats"], variables["batch_stats"])
    chex.assert_trees_all_close(output, _predict(model, variables, image), atol=1e-6)  # fused apart


def test_pmapped_statistics_are_the_global_ones(tiny):
    _, variables = tiny
    image = jax.random.normal(jax.random.key(1), (8, 120, 120, 4))
    single = make_regressor("resnet_tiny", convolution="native")
    expected, expected_state = _train_call(single, variables, image)
    sharded = make_regressor("resnet_tiny", axis_name="devices", convolution="native")

    def per_device(image):
        return sharded.apply(variables, image, train=True, mutable=["batch_stats"])

    output, state = jax.pmap(per_device, axis_name="devices")(image.reshape(4, 2, 120, 120, 4))
    # Means of means in float32, through ten normalisations.
    chex.assert_trees_all_close(output.reshape(8, 62), expected, atol=1e-4)
    first = jax.tree.map(lambda x: x[0], state)
    chex.assert_trees_all_close(first, expected_state, atol=1e-4, rtol=1e-4)


def test_resnet50_released_pools_the_top_left_of_an_8x8_map():
    model = make_regressor("resnet50_released")
    variables = _variable_shapes(model)
    chex.assert_trees_all_equal_shapes(variables, _variable_shapes(make_regressor("resnet50")))
    assert (model.backbone.last_stride, model.backbone.mean_window) == (1, 7)


def test_unknown_names_list_the_choices():
    with pytest.raises(ValueError, match=r"'vgg'.*resnet50, .*resnet_narrow"):
        make_regressor("vgg")
    with pytest.raises(ValueError, match=r"'eval'.*train.*frozen"):
        _variable_shapes(make_regressor("resnet_tiny", batch_norm="eval"))

"""The method: which loss reaches which network, what is computed, one step, prediction."""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from twodasl_jax.array_types import AnnotatedBatch, Batch, InTheWildBatch
from twodasl_jax.coefficients import TRANSLATION_Z, Whitening
from twodasl_jax.face_model.landmarks import landmark_model
from twodasl_jax.losses.vertex import vertex_gram
from twodasl_jax.methods import twodasl
from twodasl_jax.methods.twodasl_losses import LOSSES, PAPER_WEIGHTS, Loss, choosable
from twodasl_jax.methods.twodasl_passes import Constants, LossInputs, Prediction, critic_logits
from twodasl_jax.methods.twodasl_settings import TwoDASL
from twodasl_jax.training.parallel import AXIS, compile_step, make_mesh, pmap_step, replicate
from twodasl_jax.training.state import create_state


class TinyRegressor(nn.Module):
    """Reads a coarse image and the landmark map through one BatchNorm."""

    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, *, train):
        coarse = x.reshape(x.shape[0], 8, 15, 8, 15, x.shape[-1]).mean((2, 4))
        coarse = nn.Dense(16)(coarse.reshape(x.shape[0], -1))
        coarse = nn.BatchNorm(use_running_average=not train, axis_name=self.axis_name)(coarse)
        return nn.Dense(62, kernel_init=nn.initializers.normal(0.05))(nn.relu(coarse))


class TinyEncoder(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(256)(x.mean((1, 2)))


class TinyCritic(nn.Module):
    @nn.compact
    def __call__(self, code, whitened):
        return nn.Dense(1)(jnp.concatenate([code, whitened], axis=-1))[:, 0]


def make_method(weights, **settings) -> TwoDASL:
    regressor = TinyRegressor(axis_name=settings.pop("axis_name", None))
    return TwoDASL(regressor, TinyEncoder(), TinyCritic(), weights, **settings)


@pytest.fixture(scope="module")
def constants(small_face_model) -> Constants:
    mean = jnp.zeros(62).at[jnp.array([0, 5, 10])].set(0.6).at[jnp.array([3, 7])].set(60.0)
    landmarks = landmark_model(small_face_model)
    gram = jnp.asarray(vertex_gram(landmarks), jnp.float32)
    return Constants(landmarks, gram, Whitening(mean, jnp.full(62, 0.1)))


@pytest.fixture(scope="module")
def batch(constants) -> Batch:
    generator = np.random.default_rng(0)

    def images():
        return generator.integers(0, 256, (8, 120, 120, 3)).astype(np.uint8)

    def points(count):
        return generator.uniform(20, 100, (8, count, 2)).astype(np.float32)

    noise = 0.1 * generator.normal(size=(8, 62)).astype(np.float32)
    coefficients = np.asarray(constants.whitening.mean)[None] + noise
    wild = InTheWildBatch(
        images(),
        points(68),
        generator.integers(0, 2, (8, 68)).astype(np.float32),
        points(18),
        generator.integers(0, 2, (8, 18)).astype(np.float32),
        points(18),
    )
    known = AnnotatedBatch(
        images(),
        coefficients,
        points(18),
        points(68),
        generator.integers(0, 2, (8, 68)).astype(np.float32),
    )
    return jax.tree.map(jnp.asarray, Batch(known, wild))


REACHES = {
    "coefficient": {"regressor"},
    "landmark_2d": {"regressor"},
    "landmark_3d": {"regressor"},
    "cycle": {"regressor"},
    "self_critic": {"regressor", "encoder", "critic"},
    "vertex": {"regressor"},
    "landmark68_fit": {"regressor"},
    "landmark68_label": {"regressor"},
    "annotated_orthogonality": {"regressor"},
    "annotated_prior": {"regressor"},
    "landmark68_2d": {"regressor"},
    "orthogonality": {"regressor"},
    "coefficient_prior": {"regressor"},
}


@functools.cache
def fresh_networks():
    """All three networks: initialisation is compiled once for the whole file."""
    return twodasl.init_networks(make_method({"self_critic": 1.0}), jax.random.key(0))


def gradients_of(weights, batch, constants):
    method = make_method(weights)
    params, stats = fresh_networks()
    loss = functools.partial(twodasl.total_loss, method=method)
    gradient = jax.jit(jax.grad(loss, has_aux=True))
    return gradient(params, stats, jnp.zeros(()), batch, constants)


@pytest.mark.parametrize("term", sorted(choosable()))
def test_each_loss_reaches_only_its_networks(term, batch, constants):
    assert set(REACHES) == set(choosable())
    gradients, _ = gradients_of({term: 1.0}, batch, constants)
    chex.assert_tree_all_finite(gradients)
    reached = {name for name, tree in gradients.items() if optax.tree.norm(tree) > 0}
    assert reached == REACHES[term]


def self_critic_terms(params, batch, whitened, constants):
    found = Prediction(whitened, constants)
    logits = critic_logits(TinyEncoder(), TinyCritic(), params, batch, found)
    given = LossInputs(batch.in_the_wild, found, None, logits, constants, None, True)
    names = ("critic_real", "critic_fake", "self_critic")
    return {name: LOSSES[name].function(given) for name in names}


def test_halves_of_the_self_critic_stay_apart(batch, constants):
    def half(name):
        def value(params, whitened):
            return self_critic_terms(params, batch, whitened, constants)[name].sum()

        return jax.grad(value, argnums=(0, 1))(fresh_networks()[0], jnp.ones((8, 62)))

    of_networks, of_prediction = half("self_critic")
    assert optax.tree.norm(of_networks) == 0
    assert optax.tree.norm(of_prediction) > 0
    of_networks, of_prediction = half("critic_fake")
    assert optax.tree.norm(of_networks["encoder"]) > 0
    assert optax.tree.norm(of_networks["critic"]) > 0
    assert optax.tree.norm(of_networks["regressor"]) == 0
    assert optax.tree.norm(of_prediction) == 0


def test_the_critic_cannot_see_depth_translation(batch, constants):
    params, _ = fresh_networks()

    def terms(whitened):
        return self_critic_terms(params, batch, whitened, constants)

    whitened = jnp.ones((8, 62))
    chex.assert_trees_all_equal(terms(whitened), terms(whitened.at[:, TRANSLATION_Z].set(40.0)))
    known = batch.annotated
    deeper = AnnotatedBatch(
        known.image, known.coefficients.at[:, TRANSLATION_Z].add(40.0), known.detected_landmarks
    )
    moved = Batch(deeper, batch.in_the_wild)
    chex.assert_trees_all_equal(
        terms(whitened), self_critic_terms(params, moved, whitened, constants)
    )


def test_a_loss_that_reads_what_its_entry_does_not_ask_for_is_told(batch, constants):
    found = Prediction(jnp.zeros((8, 62)), constants)
    given = LossInputs(batch.in_the_wild, found, None, None, constants, None, True)
    with pytest.raises(TypeError, match="second_pass=True"):
        LOSSES["landmark_3d"].function(given)
    with pytest.raises(TypeError, match="critic=True"):
        LOSSES["self_critic"].function(given)
    with pytest.raises(TypeError, match="reads AnnotatedBatch and was given InTheWildBatch"):
        LOSSES["vertex"].function(given)
    with pytest.raises(ValueError, match="expected half='in_the_wild'"):
        Loss("annotated", LOSSES["cycle"].function, 1.0, "", second_pass=True)


def test_a_landmark_of_weight_zero_has_no_say(batch, constants):
    weights = {"landmark_2d": 1.0, "cycle": 1.0, "landmark68_2d": 1.0}
    moved = jnp.where(batch.in_the_wild.landmark18_weights[..., None] > 0, 0.0, 1e6)
    moved68 = jnp.where(batch.in_the_wild.landmark_weights[..., None] > 0, 0.0, 1e6)
    wild = batch.in_the_wild
    other = InTheWildBatch(
        wild.image,
        wild.landmarks + moved68,
        wild.landmark_weights,
        wild.landmarks18 + moved,
        wild.landmark18_weights,
        wild.detected_landmarks,
    )
    first, _ = gradients_of(weights, batch, constants)
    second, _ = gradients_of(weights, Batch(batch.annotated, other), constants)
    chex.assert_trees_all_equal(first, second)


def test_a_term_that_is_off_is_not_computed(batch, constants):
    _, (means, _) = gradients_of({"coefficient": 1.0}, batch, constants)
    assert set(means) == {"coefficient"}


def test_weights_grow_from_zero_over_the_ramp(batch, constants):
    method = make_method({"coefficient": 2.0}, ramp_steps={"coefficient": 10})
    params, stats = fresh_networks()
    losses = [
        twodasl.total_loss(params, stats, jnp.asarray(step), batch, constants, method)
        for step in (0, 5, 10, 99)
    ]
    mean = losses[0][1][0]["coefficient"]
    # float32: one multiplication.
    np.testing.assert_allclose(
        [total / mean for total, _ in losses], [0.0, 1.0, 2.0, 2.0], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("weights", "settings", "message"),
    [
        ({"cycel": 1.0}, {}, "cycel; the terms are coefficient"),
        ({"cycle": 1.0}, {"use_landmark_map": False}, "use_landmark_map=True"),
        ({"cycle": 1.0}, {"loss_formula": "l1"}, "expected one of paper, released"),
        ({"cycle": 1.0}, {"ramp_steps": {"x": 1}}, "ramp_steps names x"),
    ],
)
def test_wrong_settings_say_what_is_right(weights, settings, message):
    with pytest.raises(ValueError, match=message):
        make_method(weights, **settings)


def _stepped(method, batch, constants, compile_):
    optimizer = optax.sgd(1e-2)
    params, stats = fresh_networks()
    step = functools.partial(twodasl.train_step, method=method, optimizer=optimizer)
    state = create_state(params, stats, optimizer)
    return compile_(step)(state, batch, constants)


def test_the_compiled_step_is_the_literal_pmapped_one(batch, constants):
    """Parameters after the update, not the loss: eight devices, BatchNorm over all of them."""
    weights = {**PAPER_WEIGHTS, "vertex": 0.01, "cycle": 0.01}

    def jitted(step):
        mesh = make_mesh()

        def run(state, batch, constants):
            return compile_step(step, mesh)(
                replicate(state, mesh), batch, replicate(constants, mesh)
            )

        return run

    one, metrics = _stepped(make_method(weights), batch, constants, jitted)
    mapped = functools.partial(_pmapped, num_devices=8)
    eight, metrics8 = _stepped(make_method(weights, axis_name=AXIS), batch, constants, mapped)
    # float32 sums in another order, through BatchNorm of 8 or 16 examples.
    chex.assert_trees_all_close(one.params, eight.params, atol=2e-5, rtol=2e-4)
    chex.assert_trees_all_close(one.batch_stats, eight.batch_stats, atol=2e-5, rtol=2e-4)
    chex.assert_trees_all_close(metrics, metrics8, atol=1e-4, rtol=1e-3)


def _pmapped(step, num_devices):
    return pmap_step(functools.partial(step, axis_name=AXIS), num_devices=num_devices)


def test_second_pass_is_fed_its_own_landmarks_only_where_none_were_given(batch, constants):
    method = make_method(PAPER_WEIGHTS)
    params, stats = fresh_networks()
    given = batch.in_the_wild.detected_landmarks.at[:4].set(jnp.nan)

    def predict(num_passes):
        return twodasl.predict(
            params,
            stats,
            batch.in_the_wild.image,
            given,
            constants,
            method=method,
            num_passes=num_passes,
        )

    once, twice = predict(1), predict(2)
    chex.assert_shape(twice, (8, 62))
    assert bool((jnp.abs(once[:4] - twice[:4]).max(axis=1) > 0).all())
    chex.assert_trees_all_equal(once[4:], twice[4:])

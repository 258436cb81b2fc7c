"""The whole objective against a literal one: every term, its mask, its inputs, its share of L.

The networks are run by this file itself, on maps that it draws itself, and the losses are written
out in float64 numpy. So what the objective feeds to a network (which picture, which map), which
landmarks carry which weight, and which terms are added up cannot change unseen.
"""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.array_types import AnnotatedBatch, Batch, InTheWildBatch
from twodasl_jax.coefficients import TRANSLATION_Z, Whitening
from twodasl_jax.face_model.landmarks import landmark_model
from twodasl_jax.losses.vertex import vertex_gram
from twodasl_jax.methods import twodasl
from twodasl_jax.methods.twodasl_losses import PAPER_WEIGHTS, RELEASED_WEIGHTS
from twodasl_jax.methods.twodasl_passes import Constants
from twodasl_jax.methods.twodasl_settings import TwoDASL

HALF = 3
IMPORTANCE = np.array([1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 2, 1, 1, 4, 1, 2, 4, 2], np.float64)
"""The paper's mask v: nose tip and centre of the mouth 4, eye centres and mouth corners 2."""
PAIRS = [17, 19, 21, 22, 24, 26, 36, (37, 40), 39, 42, (43, 46), 45, 31, 30, 35, 48, (62, 66), 54]
WEIGHTS = {
    "coefficient": 1.3,
    "landmark_2d": 0.5,
    "landmark_3d": 0.25,
    "cycle": 0.125,
    "self_critic": 0.7,
    "vertex": 0.01,
    "landmark68_2d": 0.03,
    "orthogonality": 2.0,
    "coefficient_prior": 0.2,
}


class Regressor(nn.Module):
    """Every pixel counts, and left is not right: a mirrored picture gives other numbers."""

    @nn.compact
    def __call__(self, x, *, train):
        flat = x.reshape(x.shape[0], -1)
        flat = nn.BatchNorm(use_running_average=not train)(nn.Dense(24)(flat))
        return nn.Dense(62, kernel_init=nn.initializers.normal(0.5))(nn.tanh(flat))


class Encoder(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(256)(x[:, ::24, ::24].reshape(x.shape[0], -1))


class Critic(nn.Module):
    @nn.compact
    def __call__(self, code, whitened):
        return nn.Dense(1)(nn.tanh(nn.Dense(8)(jnp.concatenate([code, whitened], -1))))[:, 0]


def make_method(weights=WEIGHTS, **settings) -> TwoDASL:
    return TwoDASL(Regressor(), Encoder(), Critic(), weights, **settings)


@pytest.fixture(scope="module")
def constants(small_face_model) -> Constants:
    mean = jnp.zeros(62).at[jnp.array([0, 5, 10])].set(0.6).at[jnp.array([3, 7])].set(60.0)
    std = jnp.linspace(0.02, 0.2, 62)
    landmarks = landmark_model(small_face_model)
    gram = jnp.asarray(vertex_gram(landmarks), jnp.float32)
    return Constants(landmarks, gram, Whitening(mean, std))


@pytest.fixture(scope="module")
def batch(constants) -> Batch:
    generator = np.random.default_rng(0)

    def images():
        return generator.integers(0, 256, (HALF, 120, 120, 3)).astype(np.uint8)

    def points(count):
        return generator.uniform(10, 110, (HALF, count, 2)).astype(np.float32)

    def detected():
        found = points(18)
        found[0, 4] = np.nan  # missed
        return found

    noise = 0.1 * generator.normal(size=(HALF, 62)).astype(np.float32)
    wild = InTheWildBatch(
        images(),
        points(68),
        generator.integers(0, 2, (HALF, 68)).astype(np.float32),
        points(18),
        generator.integers(0, 2, (HALF, 18)).astype(np.float32),
        detected(),
    )
    known = np.asarray(constants.whitening.mean)[None] + noise
    return jax.tree.map(jnp.asarray, Batch(AnnotatedBatch(images(), known, detected()), wild))


@functools.cache
def fresh_networks():
    return twodasl.init_networks(make_method(), jax.random.key(3))


def drawn(image, landmarks):
    """The network's input, drawn pixel by pixel: RGB, and +1 at [floor(y), floor(x)]."""
    maps = np.full((len(image), 120, 120, 1), -1.0)
    for face, points in enumerate(np.asarray(landmarks, np.float64)):
        for x, y in points[~np.isnan(points).any(axis=1)]:
            column, row = (int(np.clip(np.floor(value), 0, 119)) for value in (x, y))
            maps[face, row, column] = 1.0
    rgb = (np.asarray(image, np.float64) - 127.5) / 128
    return np.concatenate([rgb, maps], axis=-1).astype(np.float32)


def regress(inputs):
    params, stats = fresh_networks()
    variables = {"params": params["regressor"], "batch_stats": stats["regressor"]}
    out, _ = Regressor().apply(variables, inputs, train=True, mutable=["batch_stats"])
    return np.asarray(out, np.float64)


def project(model, raw):
    """``(n, points, 3)`` crop frame of raw coefficients, straight from the definition."""
    mean, shape, expression = (np.asarray(part, np.float64) for part in model)
    faces = []
    for q in np.asarray(raw, np.float64):
        camera = q[:12].reshape(3, 4)
        points = mean + np.tensordot(q[12:52], shape, 1) + np.tensordot(q[52:], expression, 1)
        view = camera[:, :3] @ points + camera[:, 3:]
        faces.append(np.stack([view[0], 121 - view[1], view[2]], axis=-1))
    return np.stack(faces)


def eighteen(points):
    return np.stack([points[:, np.atleast_1d(pair)].mean(axis=1) for pair in PAIRS], axis=1)


def softplus(values):
    return np.logaddexp(0, values)


def literal_terms(batch, constants, importance=IMPORTANCE):
    """Every term's mean over its half of the batch, and the critic's two halves."""
    annotated, wild = batch.annotated, batch.in_the_wild
    model = tuple(constants.landmark_model)
    mean, std = (np.asarray(part, np.float64) for part in constants.whitening)
    first = regress(
        np.concatenate(
            [
                drawn(annotated.image, annotated.detected_landmarks),
                drawn(wild.image, wild.detected_landmarks),
            ]
        )
    )
    known, found = first[:HALF], first[HALF:]
    raw = found * std + mean
    points = project(model, raw)
    y = eighteen(points)[..., :2]
    again_whitened = regress(drawn(wild.image, y))
    again = project(model, again_whitened * std + mean)
    x, x68 = (np.asarray(part, np.float64) for part in (wild.landmarks18, wild.landmarks))
    v = np.asarray(wild.landmark18_weights, np.float64) * importance
    difference = points - again
    difference[..., 2] -= difference[..., 2].mean(axis=1, keepdims=True)
    terms = annotated_terms(known, annotated, constants, mean, std)
    terms["landmark_2d"] = (v * np.linalg.norm(x - y, axis=-1)).sum(axis=1)
    y_hat = eighteen(again)[..., :2]
    terms["cycle"] = (v * np.linalg.norm(x - y_hat, axis=-1)).sum(axis=1)
    terms["landmark_3d"] = np.linalg.norm(difference, axis=-1).sum(axis=1)
    distance68 = np.linalg.norm(x68 - points[..., :2], axis=-1)
    terms["landmark68_2d"] = (np.asarray(wild.landmark_weights) * distance68).sum(axis=1)
    terms["coefficient_prior"] = (found[:, 12:] ** 2).mean(axis=1)
    blocks = raw[:, :12].reshape(-1, 3, 4)[..., :3]
    grams = blocks @ blocks.transpose(0, 2, 1)
    scale = np.trace(grams, axis1=1, axis2=2)[:, None, None] / 3
    terms["orthogonality"] = ((grams / scale - np.eye(3)) ** 2).sum(axis=(1, 2))
    terms |= critic_terms(batch, found, mean, std)
    return {name: values.mean() for name, values in terms.items()}


def annotated_terms(known, annotated, constants, mean, std):
    model = tuple(constants.landmark_model)
    target = np.asarray(annotated.coefficients, np.float64)
    raw = known * std + mean
    weights = np.zeros_like(target)
    for face, (q, truth) in enumerate(zip(raw, target, strict=True)):
        base = project(model, truth[None])
        for index in set(range(62)) - {TRANSLATION_Z}:
            replaced = truth.copy()
            replaced[index] = q[index]
            weights[face, index] = np.linalg.norm(project(model, replaced[None]) - base)
        weights[face] /= weights[face].sum()
    same_depth = raw.copy()
    same_depth[:, TRANSLATION_Z] = target[:, TRANSLATION_Z]
    vertices = ((project(model, same_depth) - project(model, target)) ** 2).sum(axis=-1)
    return {
        "coefficient": (weights * (known - (target - mean) / std) ** 2).sum(axis=1),
        "vertex": vertices.mean(axis=1),
    }


def critic_terms(batch, found, mean, std):
    params, _ = fresh_networks()

    def judge(image, whitened):
        rgb = ((np.asarray(image, np.float64) - 127.5) / 128).astype(np.float32)
        code = Encoder().apply({"params": params["encoder"]}, rgb)
        hidden = np.array(whitened, np.float32)
        hidden[:, TRANSLATION_Z] = 0.0
        return np.asarray(Critic().apply({"params": params["critic"]}, code, hidden), np.float64)

    target = (np.asarray(batch.annotated.coefficients, np.float64) - mean) / std
    real, fake = judge(batch.annotated.image, target), judge(batch.in_the_wild.image, found)
    return {
        "critic_real": 0.5 * softplus(-real),
        "critic_fake": 0.5 * softplus(fake),
        "self_critic": softplus(-fake),
    }


@pytest.fixture(scope="module")
def literal(batch, constants):
    return literal_terms(batch, constants)


def objective(method, batch, constants):
    """The total, the terms' means and the new batch statistics."""
    params, stats = fresh_networks()
    compiled = jax.jit(functools.partial(twodasl.total_loss, method=method))
    total, (means, new_stats, *_) = compiled(params, stats, jnp.asarray(10), batch, constants)
    return total, means, new_stats


@pytest.fixture(scope="module")
def computed(batch, constants):
    return objective(make_method(), batch, constants)


def test_every_term_is_the_literal_one(literal, computed):
    _, means, _ = computed
    assert set(means) == set(literal)
    for name, expected in literal.items():
        # float32 networks over 57,600 inputs, then sums over 68 points.
        np.testing.assert_allclose(means[name], expected, rtol=2e-4, err_msg=name)


def test_the_objective_is_the_weighted_sum_of_the_terms(literal, computed):
    total, *_ = computed
    expected = sum(WEIGHTS.get(name, 1.0) * value for name, value in literal.items())
    np.testing.assert_allclose(total, expected, rtol=2e-4)  # as above


def test_without_the_mask_all_landmarks_count_alike(literal, batch, constants):
    weights = {"landmark_2d": 1.0, "cycle": 1.0}
    method = make_method(weights, use_landmark_importance=False)
    _, means, _ = objective(method, batch, constants)
    plain = literal_terms(batch, constants, importance=np.ones(18))
    for name in ("landmark_2d", "cycle"):
        np.testing.assert_allclose(means[name], plain[name], rtol=2e-4)  # as above
        # The two differ by far more than the tolerance: the mask is seen.
        assert abs(literal[name] / plain[name] - 1) > 0.2


def test_the_oracle_sees_a_mirrored_second_pass(literal, batch, constants):
    """What the comparison above is worth: pictures mirrored for the second pass alone differ."""
    model = tuple(constants.landmark_model)
    mean, std = (np.asarray(part, np.float64) for part in constants.whitening)
    wild = batch.in_the_wild
    images = np.concatenate([batch.annotated.image, wild.image])
    detected = np.concatenate([batch.annotated.detected_landmarks, wild.detected_landmarks])
    found = regress(drawn(images, detected))[HALF:]
    y = eighteen(project(model, found * std + mean))[..., :2]
    mirrored = regress(drawn(np.asarray(wild.image)[:, :, ::-1], y))
    y_hat = eighteen(project(model, mirrored * std + mean))[..., :2]
    v = np.asarray(wild.landmark18_weights, np.float64) * IMPORTANCE
    distance = np.linalg.norm(np.asarray(wild.landmarks18) - y_hat, axis=-1)
    cycle = (v * distance).sum(axis=1).mean()
    assert abs(cycle / literal["cycle"] - 1) > 5e-3  # the tolerance above is 2e-4


def test_batch_statistics_are_those_of_the_first_pass(computed, batch):
    """The second pass sees the in-the-wild pictures again, which must not count twice."""
    params, stats = fresh_networks()
    wild = batch.in_the_wild
    images = np.concatenate([batch.annotated.image, wild.image])
    detected = np.concatenate([batch.annotated.detected_landmarks, wild.detected_landmarks])
    variables = {"params": params["regressor"], "batch_stats": stats["regressor"]}
    _, expected = Regressor().apply(
        variables, drawn(images, detected), train=True, mutable=["batch_stats"]
    )
    *_, new_stats = computed
    # float32: the maps are drawn by different programs, the sums are the same.
    chex.assert_trees_all_close(new_stats["regressor"], expected["batch_stats"], rtol=1e-4)


def test_the_second_pass_of_prediction_sees_the_map_of_the_first(batch, constants):
    params, stats = fresh_networks()
    variables = {"params": params["regressor"], "batch_stats": stats["regressor"]}
    image, unknown = batch.in_the_wild.image, jnp.full((HALF, 18, 2), jnp.nan)
    mean, std = (np.asarray(part, np.float64) for part in constants.whitening)

    def applied(landmarks):
        out = Regressor().apply(variables, drawn(image, landmarks), train=False)
        return np.asarray(out, np.float64) * std + mean

    own = eighteen(project(tuple(constants.landmark_model), applied(unknown)))[..., :2]
    predicted = twodasl.predict(
        params, stats, image, unknown, constants, method=make_method(), num_passes=2
    )
    np.testing.assert_allclose(predicted, applied(own), atol=1e-4)  # float32 networks


def test_the_presets_are_the_published_numbers():
    """arXiv 1903.09359, section 4; the authors' early code."""
    assert PAPER_WEIGHTS == {
        "coefficient": 1.0,
        "landmark_2d": 0.005,
        "landmark_3d": 0.005,
        "cycle": 1.0,
        "self_critic": 0.005,
    }
    assert RELEASED_WEIGHTS == {
        "coefficient": 10.0,
        "landmark_2d": 0.005,
        "cycle": 0.005,
        "self_critic": 0.05,
    }

"""`losses/vertex.py` against two literal decodes."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from twodasl_jax.coefficients import TRANSLATION_Z
from twodasl_jax.face_model.linear import LinearModel
from twodasl_jax.losses.vertex import vertex_distance_cost, vertex_gram

NUM_POINTS = 50


def make_case() -> tuple[LinearModel, jnp.ndarray, jnp.ndarray]:
    """A BFM-sized model and a prediction some pixels from its target."""
    random = np.random.default_rng(0)
    model = LinearModel(
        jnp.asarray(random.normal(size=(3, NUM_POINTS)) * 6e4, jnp.float32),
        jnp.asarray(random.normal(size=(40, 3, NUM_POINTS)) * 1e-2, jnp.float32),
        jnp.asarray(random.normal(size=(10, 3, NUM_POINTS)) * 2e3, jnp.float32),
    )
    rotation = 5e-4 * np.linalg.qr(random.normal(size=(4, 3, 3)))[0]
    camera = np.concatenate([rotation, np.full((4, 3, 1), 60.0)], axis=-1).reshape(4, 12)
    scale = np.concatenate([np.full(40, 2e5), np.ones(10)])
    target = np.concatenate([camera, random.normal(size=(4, 50)) * scale], axis=-1)
    error = np.concatenate([np.tile([1e-5, 1e-5, 1e-5, 2.0], 3), 0.3 * scale])
    predicted = target + random.normal(size=(4, 62)) * error
    return model, jnp.asarray(predicted, jnp.float32), jnp.asarray(target, jnp.float32)


def literal_cost(model: LinearModel, predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    costs = []
    for q, q_star in zip(np.float64(predicted), np.float64(target), strict=True):
        q[TRANSLATION_Z] = q_star[TRANSLATION_Z]
        vertices = []
        for coefficients in (q, q_star):
            camera = coefficients[:12].reshape(3, 4)
            points = np.float64(model.mean)
            points += np.einsum("k,kcn->cn", coefficients[12:52], np.float64(model.shape_basis))
            points += np.einsum("k,kcn->cn", coefficients[52:], np.float64(model.expression_basis))
            vertices.append(camera[:, :3] @ points + camera[:, 3:])
        costs.append(((vertices[0] - vertices[1]) ** 2).sum(0).mean())
    return np.array(costs)


class VertexDistanceCostTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_equals_two_literal_decodes(self):
        model, predicted, target = make_case()
        expected = literal_cost(model, np.asarray(predicted), np.asarray(target))
        cost = self.variant(vertex_distance_cost)(vertex_gram(model), predicted, target)
        # Terms of about (50 px)² cancel: 2500 px² times float32's 1e-7, and a few of them.
        chex.assert_trees_all_close(np.asarray(cost), expected, rtol=2e-4, atol=2e-3)

    def test_depth_may_weigh_less(self):
        model, predicted, target = make_case()
        gram = vertex_gram(model)
        flat = vertex_distance_cost(gram, predicted, target, depth_weight=0.0)
        half = vertex_distance_cost(gram, predicted, target, depth_weight=0.5)
        whole = vertex_distance_cost(gram, predicted, target)
        assert (flat < whole).all()
        chex.assert_trees_all_close(half, 0.5 * (flat + whole), rtol=1e-4, atol=2e-3)
        deeper = predicted.at[:, 8:11].multiply(2.0)
        moved = vertex_distance_cost(gram, deeper, target, depth_weight=0.0)
        chex.assert_trees_all_close(moved, flat, rtol=1e-5, atol=2e-3)

    def test_gradient_equals_central_differences_of_the_literal_cost(self):
        model, predicted, target = make_case()
        gram = vertex_gram(model)
        gradient = jax.grad(lambda q: vertex_distance_cost(gram, q, target).sum())(predicted)
        exact, target = np.float64(predicted), np.float64(target)
        for index in (0, 3, 6, 12, 30, 52, 61):
            step = np.zeros(62)
            # The cost is a quadratic in each coefficient alone: any step is exact.
            step[index] = np.abs(exact[:, index]).max()
            rise = literal_cost(model, exact + step, target)
            fall = literal_cost(model, exact - step, target)
            expected = (rise - fall) / (2 * step[index])
            # The same cancellation as above, relative to the largest of the four examples.
            scale = np.abs(expected).max()
            chex.assert_trees_all_close(gradient[:, index] / scale, expected / scale, atol=2e-3)

    def test_depth_translation_is_the_ground_truths_and_gets_no_gradient(self):
        model, predicted, target = make_case()
        gram = vertex_gram(model)
        deeper = predicted.at[:, TRANSLATION_Z].add(30.0)
        np.testing.assert_array_equal(
            vertex_distance_cost(gram, predicted, target),
            vertex_distance_cost(gram, deeper, target),
        )
        gradient = jax.grad(lambda q: vertex_distance_cost(gram, q, target).sum())(predicted)
        np.testing.assert_array_equal(gradient[:, TRANSLATION_Z], 0.0)

    def test_a_perfect_prediction_costs_nothing_and_has_a_finite_gradient(self):
        model, _, target = make_case()
        gram = vertex_gram(model)
        cost = jax.value_and_grad(lambda q: vertex_distance_cost(gram, q, target).sum())
        value, gradient = cost(target)
        assert value == 0.0
        chex.assert_tree_all_finite(gradient)

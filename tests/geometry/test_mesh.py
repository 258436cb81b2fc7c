"""Normals against a literal loop; safe where a triangle has no area."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from twodasl_jax.geometry.mesh import vertex_normals

TRIANGLES = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]], np.int32)


def literal_normals(vertices, triangles):
    sums = np.zeros(vertices.shape)
    for a, b, c in triangles:
        cross = np.cross(vertices[:, b] - vertices[:, a], vertices[:, c] - vertices[:, a])
        for corner in (a, b, c):
            sums[:, corner] += cross
    return sums / np.linalg.norm(sums, axis=0)


class NormalsTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_they_are_area_weighted_sums_of_the_triangles(self):
        vertices = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
        found = self.variant(vertex_normals)(jnp.asarray(vertices), jnp.asarray(TRIANGLES))
        # float32 cross products of values near 1.
        np.testing.assert_allclose(found, literal_normals(vertices, TRIANGLES), atol=1e-5)


def test_they_turn_with_the_mesh():
    generator = np.random.default_rng(1)
    vertices = jnp.asarray(generator.normal(size=(3, 4)), jnp.float32)
    rotation = jnp.asarray(np.linalg.qr(generator.normal(size=(3, 3)))[0], jnp.float32)
    rotation = rotation * jnp.sign(jnp.linalg.det(rotation))
    triangles = jnp.asarray(TRIANGLES)
    np.testing.assert_allclose(
        vertex_normals(rotation @ vertices, triangles),
        rotation @ vertex_normals(vertices, triangles),
        atol=1e-5,
    )


def test_a_triangle_without_area_gives_finite_normals_and_gradients():
    vertices = jnp.zeros((3, 3))
    triangles = jnp.array([[0, 1, 2]])
    value, gradient = jax.value_and_grad(lambda v: vertex_normals(v, triangles).sum())(vertices)
    chex.assert_tree_all_finite((value, gradient))


def test_a_batch_is_its_meshes_one_by_one():
    vertices = jnp.asarray(np.random.default_rng(3).normal(size=(2, 5, 3, 4)), jnp.float32)
    found = vertex_normals(vertices, jnp.asarray(TRIANGLES))
    alone = [[vertex_normals(one, jnp.asarray(TRIANGLES)) for one in row] for row in vertices]
    np.testing.assert_allclose(found, np.asarray(alone), atol=1e-6)  # sums in another order

"""Shading: literal spherical harmonics, and a lamp at the viewer's head."""

import chex
import jax.numpy as jnp
import numpy as np

from twodasl_jax.rendering.shading import shade_headlight, shade_spherical_harmonics


def unit_normals(count):
    normals = np.random.default_rng(0).normal(size=(3, count))
    return (normals / np.linalg.norm(normals, axis=0)).astype(np.float32)


def literal_harmonics(x, y, z):
    """The nine of bands 0 to 2, orthonormal over the sphere: ``(9, n)``."""
    c0, c1 = np.sqrt(1 / (4 * np.pi)), np.sqrt(3 / (4 * np.pi))
    c2, c20 = np.sqrt(15 / (4 * np.pi)), np.sqrt(5 / (16 * np.pi))
    first = [c0 * np.ones_like(x), c1 * y, c1 * z, c1 * x]
    second = [c2 * x * y, c2 * y * z, c20 * (3 * z * z - 1), c2 * x * z, c2 / 2 * (x * x - y * y)]
    return np.stack(first + second)


class ShadingTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_it_is_albedo_times_the_light_of_nine_harmonics(self):
        """The host's harmonics (which draw the lights) and the renderer's must be the same."""
        generator = np.random.default_rng(1)
        normals, albedo = unit_normals(20), generator.uniform(0, 1, (3, 20)).astype(np.float32)
        lighting = 0.1 * generator.normal(size=(9, 3)).astype(np.float32)
        lighting[0] += 3.0  # bright enough that nothing is clipped at black
        expected = albedo * (literal_harmonics(*normals).T @ lighting).T
        shade = self.variant(shade_spherical_harmonics)
        found = shade(jnp.asarray(normals), jnp.asarray(albedo), jnp.asarray(lighting))
        # float32 sums of nine products.
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_headlight_lights_what_looks_at_the_viewer():
    towards, sideways = jnp.array([[0.0], [0.0], [1.0]]), jnp.array([[1.0], [0.0], [0.0]])
    albedo = jnp.full((3, 1), 0.5)
    bright, dark = shade_headlight(towards, albedo), shade_headlight(sideways, albedo)
    assert float(bright.min()) > float(dark.max()) >= 0.0
    assert float(bright.max()) <= 0.5 + 1e-6

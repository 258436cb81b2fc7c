"""Similarity alignment finds what moved the points."""

import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.geometry.alignment import similarity_alignment


@pytest.mark.parametrize("dimension", [2, 3])
def test_it_recovers_a_known_similarity(dimension):
    generator = np.random.default_rng(0)
    source = generator.normal(size=(5, 20, dimension))
    rotation = np.linalg.qr(generator.normal(size=(5, dimension, dimension)))[0]
    rotation[np.linalg.det(rotation) < 0, :, 0] *= -1
    scale = generator.uniform(0.5, 2, 5)
    shift = generator.normal(size=(5, dimension))
    moved = scale[:, None, None] * source @ rotation.swapaxes(1, 2) + shift[:, None]
    found = similarity_alignment(jnp.asarray(source, jnp.float32), jnp.asarray(moved, jnp.float32))
    # float32 SVD.
    np.testing.assert_allclose(found.scale, scale, rtol=1e-4)
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-4)
    np.testing.assert_allclose(found.translation, shift, atol=1e-4)


def test_mirrored_points_are_not_mirrored_back():
    source = np.random.default_rng(1).normal(size=(20, 3))
    found = similarity_alignment(
        jnp.asarray(source, jnp.float32), jnp.asarray(source * [-1, 1, 1], jnp.float32)
    )
    assert float(jnp.linalg.det(found.rotation)) == pytest.approx(1.0, abs=1e-5)


def test_coinciding_points_have_no_scale():
    found = similarity_alignment(jnp.ones((4, 3)), jnp.zeros((4, 3)))
    assert float(found.scale) == 0.0
    assert bool(jnp.isfinite(found.rotation).all())


def test_applying_what_was_found_carries_the_points():
    generator = np.random.default_rng(2)
    source = generator.normal(size=(5, 20, 3))
    rotation = np.linalg.qr(generator.normal(size=(5, 3, 3)))[0]
    rotation[np.linalg.det(rotation) < 0, :, 0] *= -1
    moved = 1.5 * source @ rotation.swapaxes(1, 2) + generator.normal(size=(5, 1, 3))
    source, moved = jnp.asarray(source, jnp.float32), jnp.asarray(moved, jnp.float32)
    found = similarity_alignment(source, moved)
    turned = source @ jnp.swapaxes(found.rotation, -1, -2)
    carried = found.scale[..., None, None] * turned + found.translation[..., None, :]
    np.testing.assert_allclose(carried, moved, atol=1e-4)  # float32 SVD

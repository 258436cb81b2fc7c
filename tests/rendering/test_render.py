"""Compositing, batches and devices."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.rendering.render import (
    Render,
    render_batch,
    render_face,
    render_with_enough_capacity,
)
from twodasl_jax.training.parallel import over_local_devices

TRIANGLES = jnp.array([[0, 2, 1]])


def triangle(shift=0.0):
    return jnp.array([[4.0, 26.0, 4.0], [4.0, 4.0, 26.0], [0.0, 0.0, 0.0]]) + shift


def test_background_shows_where_nothing_covers_it_and_colours_where_something_does():
    background = jnp.full((32, 32, 3), 0.25)
    colours = jnp.array([[1.0] * 3, [0.5] * 3, [0.0] * 3])
    render = render_face(triangle(), TRIANGLES, colours, background, capacity=4096)
    assert int(render.overflow) == 0
    np.testing.assert_allclose(render.image[30, 30], 0.25)
    np.testing.assert_allclose(render.image[8, 8], [1.0, 0.5, 0.0], atol=1e-6)
    assert float(render.coverage[8, 8]) == 1.0
    assert float(render.coverage[30, 30]) == 0.0


def test_supersampling_softens_the_outline_only():
    background = jnp.zeros((32, 32, 3))
    white = jnp.ones((3, 3))
    hard = render_face(triangle(), TRIANGLES, white, background, capacity=8192)
    soft = render_face(triangle(), TRIANGLES, white, background, capacity=8192, supersample=2)
    assert set(np.unique(hard.coverage)) == {0.0, 1.0}
    assert len(np.unique(soft.coverage)) > 2
    assert float(soft.coverage[8, 8]) == 1.0
    # The triangle's true area is 22²/2 = 242: the finer sampling comes nearer to it.
    assert float(soft.coverage.sum()) == pytest.approx(242, rel=0.03)
    assert abs(float(soft.coverage.sum()) - 242) < abs(float(hard.coverage.sum()) - 242)


def test_a_batch_is_its_faces_one_by_one_and_so_is_a_pmapped_one():
    vertices = jnp.stack([triangle(shift) for shift in np.linspace(-3, 3, 11)])
    colours = jnp.broadcast_to(jnp.linspace(0, 1, 9).reshape(3, 3), (11, 3, 3))
    background = jnp.full((11, 32, 32, 3), 0.5)
    singly = [
        render_face(v, TRIANGLES, c, b, capacity=4096)
        for v, c, b in zip(vertices, colours, background, strict=True)
    ]
    expected = Render(*(jnp.stack(parts) for parts in zip(*singly, strict=True)))
    batched = render_batch(vertices, TRIANGLES, colours, background, capacity=4096)

    # 11 faces on 8 devices: padded and cut again.
    def draw(triangles, vertices, colours, background):
        return render_batch(vertices, triangles, colours, background, capacity=4096)

    spread = over_local_devices(draw, num_shared=1)(TRIANGLES, vertices, colours, background)
    assert jax.local_device_count() == 8
    for found in (batched, spread):
        chex.assert_trees_all_close(found, expected, atol=1e-6)


def test_too_small_a_capacity_is_answered_with_one_that_suffices():
    background = jnp.zeros((32, 32, 3))

    def render(capacity):
        return render_face(triangle(), TRIANGLES, jnp.ones((3, 3)), background, capacity=capacity)

    assert int(render(16).overflow) > 0
    complete, capacity = render_with_enough_capacity(render, 16)
    assert int(complete.overflow) == 0
    # 196 pixels or more: doubled until they fit, which later pictures then find compiled.
    assert capacity in (16 * 2**n for n in range(1, 10))
    chex.assert_trees_all_equal(complete.image, render(4096).image)

"""The candidate list against a literal loop, chunk by chunk."""

import jax
import jax.numpy as jnp
import numpy as np

from twodasl_jax.rendering.candidates import (
    PixelBoxes,
    candidates_of_chunk,
    list_candidates,
    pixel_boxes,
)
from twodasl_jax.rendering.rasterizer import interpolate, rasterize


def boxes_of(left, top, width, height):
    parts = (jnp.asarray(part, jnp.float32) for part in (left, top, width, height))
    return PixelBoxes(*parts)


def literal_list(boxes):
    return [
        (number, top + row, left + column)
        for number, (left, top, width, height) in enumerate(np.stack(boxes, 1).astype(int))
        for row in range(height)
        for column in range(width)
    ]


def read(boxes, *, capacity, chunk):
    """The whole list, read a chunk at a time."""
    candidates = list_candidates(boxes, capacity=capacity, chunk=chunk)
    found, previous = [], jnp.int32(0)
    for first in range(0, int(candidates.total), chunk):
        triangle, row, column, is_real = candidates_of_chunk(
            boxes, candidates, jnp.int32(first), previous, chunk=chunk
        )
        found.append(np.stack([triangle, row, column], 1)[np.asarray(is_real)])
        previous = triangle[-1]
    return np.concatenate(found), candidates


def test_every_pixel_of_every_box_is_listed_once_in_order():
    generator = np.random.default_rng(0)
    # Empty boxes at the beginning, in the middle and at the end.
    width, height = generator.integers(0, 4, (2, 30)) * (generator.uniform(size=30) > 0.3)
    width[[0, 1, 29]] = 0
    left, top = generator.integers(0, 50, (2, 30))
    boxes = boxes_of(left, top, width, height)
    expected = literal_list(boxes)
    # The chunk ends within a box; the list is as long as its capacity.
    found, candidates = read(boxes, capacity=len(expected), chunk=len(expected) // 3)
    np.testing.assert_array_equal(found, expected)
    assert int(candidates.overflow) == 0
    short, candidates = read(boxes, capacity=len(expected) - 2, chunk=7)
    np.testing.assert_array_equal(short, expected[:-2])
    assert int(candidates.overflow) == 2


def test_only_a_single_pixel_that_is_clearly_missed_is_left_out():
    # In pixels (x, y) about the centre (3, 3): missed by far, hit, on an edge, and a box of two
    # pixels, which is not looked into.
    corners = np.array(
        [
            [[2.5, 2.9], [2.9, 3.4], [3.1, 3.4]],
            [[2.5, 2.5], [3.5, 2.6], [3.0, 3.5]],
            [[3.0, 2.5], [3.0, 3.5], [3.5, 3.0]],
            [[2.5, 2.9], [2.9, 3.4], [4.1, 3.4]],
        ],
        np.float32,
    )
    corners = jnp.asarray(np.concatenate([corners, np.zeros((4, 3, 1))], 2), jnp.float32)
    boxes = pixel_boxes(corners, jnp.ones(4, bool), height=8, width=8)
    np.testing.assert_array_equal(boxes.width * boxes.height, [0, 1, 1, 2])


def test_a_triangle_far_beyond_the_border_keeps_its_one_pixel():
    # The picture holds one pixel of a long triangle whose edge runs through it: with coordinates
    # of 1e4 the edge function is known to a few units only, so the pixel stays a candidate.
    corners = jnp.array([[[-1e4, -1e4, 0.0], [1e4, 1e4, 0.0], [1e4, 0.9e4, 0.0]]])
    boxes = pixel_boxes(corners, jnp.ones(1, bool), height=1, width=1)
    np.testing.assert_array_equal(boxes.width * boxes.height, [1])


def test_several_chunks_draw_what_one_does_also_batched_and_under_a_gradient():
    # Two sheets of 90 x 90 pixels, one behind the other: 24,000 candidates in more than one
    # chunk; the nearer one is drawn first and has to stay.
    x, y = jnp.array([2.0, 92.0, 92.0, 2.0] * 2), jnp.array([2.0, 2.0, 92.0, 92.0] * 2)
    vertices = jnp.stack([x, y, jnp.repeat(jnp.array([5.0, 1.0]), 4)])
    triangles = jnp.array([[0, 2, 1], [0, 3, 2], [4, 6, 5], [4, 7, 6]])

    @jax.jit
    def total(vertices):
        raster = rasterize(vertices, triangles, height=100, width=100, capacity=40_000)
        return interpolate(vertices[2:], raster, vertices, triangles).sum(), raster

    (value, raster), gradient = jax.value_and_grad(total, has_aux=True)(vertices)
    assert int(raster.overflow) == 0
    ids = np.asarray(raster.triangle_ids)
    assert set(np.unique(ids).tolist()) == {-1, 0, 1}
    assert (ids >= 0).sum() == 91 * 91
    # 5 at each of 91² pixels; float32 sums of 8,281 numbers.
    np.testing.assert_allclose(value, 5 * 91 * 91, rtol=1e-5)
    np.testing.assert_allclose(gradient[2, :4].sum(), 91 * 91, rtol=1e-5)
    np.testing.assert_array_equal(gradient[:, 4:], 0.0)
    batch = jnp.stack([vertices, vertices + jnp.array([[3.0], [0.0], [0.0]])])
    _, rasters = jax.vmap(total)(batch)
    np.testing.assert_array_equal(rasters.triangle_ids[0], ids)
    np.testing.assert_array_equal(rasters.triangle_ids[1, :, 3:], ids[:, :-3])

"""The z-buffer of a face's region against the rasteriser over the whole picture."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.predict.pictures import surface as module
from twodasl_jax.predict.pictures.surface import (
    TILE,
    face_surface,
    raster_vertices,
    rasterize_complete,
    region_of,
)
from twodasl_jax.predict.pictures.visibility import depth_buffer, visible_vertices
from twodasl_jax.rendering.rasterizer import interpolate


def over_picture(surface, height, width):
    """Ids and depth pasted into a picture of background."""
    ids, depth = np.full((height, width), -1), np.full((height, width), -np.inf, np.float32)
    ids[surface.region.slices], depth[surface.region.slices] = surface.triangle_ids, surface.depth
    return ids, depth


@pytest.mark.parametrize(
    ("scale", "shift"),
    [
        (1.0, (0.0, 0.0)),
        (0.2, (150.0, 90.0)),
        (5.3, (-100.5, -60.25)),  # over several tiles, and cut by all four borders
        (3.1, (250.7, -200.0)),
        (1.0, (-75.0, 130.0)),
    ],
)
def test_a_region_is_the_rasterisers_picture_pixel_for_pixel(frontal, dome_face, scale, shift):
    height, width = 420, 610
    vertices = frontal.vertices * scale + np.array([[*shift, 0.0]], np.float32).T
    vertices = vertices.astype(np.float32)
    framed = raster_vertices(vertices)
    expected = rasterize_complete(framed, dome_face.triangles, height=height, width=width)
    surface = face_surface(vertices, dome_face.triangles, height=height, width=width)
    assert (np.asarray(expected.triangle_ids) >= 0).any()
    ids, depth = over_picture(surface, height, width)
    chex.assert_trees_all_equal(ids, np.asarray(expected.triangle_ids))
    # The shift to the tile is exact, the sum of three products may round otherwise.
    covered = ids >= 0
    chex.assert_trees_all_close(depth[covered], np.asarray(expected.depth)[covered], rtol=1e-5)
    assert (depth[~covered] == -np.inf).all()
    attributes = dome_face.linear.mean
    wanted = interpolate(attributes, expected, jnp.asarray(framed), dome_face.triangles)
    values, mask = np.zeros((3, height, width), np.float32), np.zeros((height, width), bool)
    for tile, part, shares in surface.tiles(np.asarray(attributes)):
        values[(slice(None), *tile.slices)], mask[tile.slices] = shares, part
    chex.assert_trees_all_equal(mask, covered)
    # Millimetres up to 50; weights of float32 pixels up to 600: 2e-3 is 30 of their last places.
    chex.assert_trees_all_close(values, np.asarray(wanted), atol=2e-3)


def test_only_the_faces_own_region_is_kept(frontal):
    region = region_of(frontal.vertices, height=2000, width=3000)
    # 100 px around (100, 80): pixels 50 to 149 and 30 to 129.
    assert (region.left, region.top, region.right, region.bottom) == (50, 30, 150, 130)
    assert (region.width, region.height) == (100, 100)


@pytest.mark.parametrize("shift", [-1e4, 1e4, 1e30])
def test_a_face_beside_the_picture_has_no_pixels(frontal, dome_face, shift):
    surface = face_surface(
        frontal.vertices + np.float32(shift), dome_face.triangles, height=160, width=200
    )
    assert surface.triangle_ids.size == 0
    assert not list(surface.tiles(frontal.vertices))


def test_pictures_of_any_size_share_one_compilation(frontal, dome_face):
    def draw(size):
        face_surface(frontal.vertices * 2, dome_face.triangles, height=size, width=size + 31)

    draw(200)
    before = module._rasterize._cache_size()
    for size in (90, 333, 1200):
        draw(size)
    assert module._rasterize._cache_size() == before


def test_tiles_go_on_with_the_candidate_list_that_sufficed(monkeypatch):
    """Layers over four tiles: only the first one is tried with too short a list."""
    tried, rasterize = [], module._rasterize

    def counted(*args, capacity, **size):
        tried.append(capacity)
        return rasterize(*args, capacity=capacity, **size)

    monkeypatch.setattr(module, "_rasterize", counted)
    monkeypatch.setattr(module, "TILE", 32)
    corners = np.array([[-50.0, 200.0, -50.0], [-50.0, -50.0, 200.0]])
    layers = np.concatenate([np.tile(corners, 40), np.repeat(np.arange(40.0), 3)[None]])
    triangles = np.arange(120, dtype=np.int32).reshape(40, 3)
    surface = face_surface(layers, triangles, height=64, width=64)
    assert (surface.triangle_ids == 39).all()
    enough = tried[-1]
    assert tried[0] < enough
    assert tried[-4:] == [enough] * 4
    assert tried.count(enough) == 4


def test_the_rasteriser_gets_as_large_a_list_as_it_needs():
    # Forty layers that each fill the picture: far beyond the default candidate list.
    corners = np.array([[-50.0, 200.0, -50.0], [-50.0, -50.0, 200.0]])
    layers = np.concatenate([np.tile(corners, 40), np.repeat(np.arange(40.0), 3)[None]])
    raster = rasterize_complete(
        layers, np.arange(120, dtype=np.int32).reshape(40, 3), height=32, width=32
    )
    assert int(raster.overflow) == 0
    assert (np.asarray(raster.triangle_ids) == 39).all()


def test_the_z_buffer_of_a_whole_face_knows_no_border(frontal, dome_face):
    buffer = depth_buffer(frontal.vertices, dome_face.triangles)
    moved = frontal.vertices + np.array([[1000.0], [-700.0], [0.0]], np.float32)
    shifted = depth_buffer(moved, dome_face.triangles)
    chex.assert_shape(buffer.depth, (TILE, TILE))
    # The frame is the face's own: 254 pixels over 100 px.
    assert buffer.scale == pytest.approx(2.54, rel=1e-4)
    covered = np.isfinite(buffer.depth) & np.isfinite(shifted.depth)
    assert covered.mean() > 0.95
    # float32 of positions near 1,100 px: a vertex moves by up to 1e-4 px, on slopes below 10.
    chex.assert_trees_all_close(buffer.depth[covered], shifted.depth[covered], atol=5e-3)
    nose = frontal.vertices[:, [int(dome_face.landmark_vertices[30])]]
    assert buffer.sees(nose).all()
    assert not buffer.sees(nose - np.array([[0.0], [0.0], [10.0]])).any()


def test_a_frontal_dome_is_seen_whole(dome_face, frontal):
    assert visible_vertices(frontal, dome_face).mean() > 0.95


def test_the_far_side_of_a_turned_dome_is_hidden(
    dome_face, frontal_coefficients, roi_box, reconstruct, turned_by
):
    found = reconstruct(turned_by(80.0, frontal_coefficients), roi_box)
    seen = visible_vertices(found, dome_face)
    x = np.asarray(dome_face.linear.mean)[0]
    near = found.vertices[2] > np.median(found.vertices[2])
    assert seen[near].mean() > 0.8
    assert seen[~near].mean() < seen[near].mean() - 0.3
    assert seen[x * np.sign(x[near].mean()) > 20].mean() > 0.8

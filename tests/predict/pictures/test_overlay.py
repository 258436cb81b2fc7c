"""The mesh and the dots over the photograph: where the ink lands, at any size."""

import chex
import numpy as np
import pytest

from twodasl_jax.predict.pictures.maps import code_colours
from twodasl_jax.predict.pictures.overlay import draw_dense_alignment, overlay_mesh
from twodasl_jax.predict.pictures.surface import TILE
from twodasl_jax.predict.pictures.visibility import visible_vertices

GREY = np.full((160, 200, 3), 128, np.uint8)


def changed(before, after):
    return (before != after).any(-1)


def test_a_mesh_covers_its_own_pixels_and_no_others(frontal, dome_face):
    drawn = overlay_mesh(GREY, frontal.vertices, dome_face.triangles, opacity=1.0)
    ink = changed(GREY, drawn)
    # 100 mm at 1 px/mm around (100, 80): its rim runs along the edges of pixels.
    assert ink[30:130, 50:150].mean() > 0.99
    ink[30:130, 50:150] = False
    assert not ink.any()


def test_the_nearer_surface_is_lit_from_the_viewer(frontal, dome_face):
    drawn = overlay_mesh(GREY, frontal.vertices, dome_face.triangles, opacity=1.0).astype(float)
    forehead, cheek_edge = drawn[50, 100].mean(), drawn[80, 54].mean()
    assert forehead > cheek_edge + 4


def test_opacity_and_colours_are_honoured(frontal, dome_face):
    args = (GREY, frontal.vertices, dome_face.triangles)
    chex.assert_trees_all_equal(overlay_mesh(*args, opacity=0.0), GREY)
    red = np.tile(np.array([[255, 0, 0]], np.uint8), (dome_face.num_vertices, 1))
    pixel = overlay_mesh(*args, colours=red, opacity=1.0)[60, 90]
    assert pixel[0] > 60
    assert pixel[1:].max() == 0
    with pytest.raises(ValueError, match=r"opacity is 2\.0; expected 0 to 1"):
        overlay_mesh(*args, opacity=2.0)


def test_inputs_are_not_changed(frontal, dome_face, photo):
    before = photo.copy()
    overlay_mesh(photo, frontal.vertices, dome_face.triangles)
    draw_dense_alignment(photo, frontal, dome_face, code_colours(dome_face))
    chex.assert_trees_all_equal(photo, before)


def test_a_cut_face_is_the_part_of_the_whole_one(frontal, dome_face):
    """The same face on a picture that ends within it."""
    whole = overlay_mesh(GREY, frontal.vertices, dome_face.triangles)
    cut = overlay_mesh(GREY[:, :101], frontal.vertices, dome_face.triangles)
    # Mean over the pixel's grid points: rounding to 8 bits twice is all that may differ.
    chex.assert_trees_all_close(cut.astype(int), whole[:, :101].astype(int), atol=1)
    moved = frontal.vertices - np.array([[100.0], [80.0], [0.0]])
    corner = overlay_mesh(GREY[80:, 100:], moved, dome_face.triangles)
    chex.assert_trees_all_close(corner.astype(int), whole[80:, 100:].astype(int), atol=1)


def test_a_face_beside_the_picture_draws_nothing(frontal, dome_face):
    for shift in (-500.0, 500.0):
        drawn = overlay_mesh(GREY, frontal.vertices + shift, dome_face.triangles)
        chex.assert_trees_all_equal(drawn, GREY)


def test_a_large_face_is_drawn_on_a_bounded_grid(frontal, dome_face):
    """Coarser than its pixels, and still where it lies."""
    sheet = np.full((700, 900, 3), 128, np.uint8)
    enlarged = frontal.vertices * 5.0 - np.array([[50.0], [50.0], [0.0]])
    drawn = overlay_mesh(sheet, enlarged, dome_face.triangles, opacity=1.0, largest_grid=TILE)
    ink = changed(sheet, drawn)
    rows, columns = np.nonzero(ink)
    # 500 px around (450, 350); a grid point is about two pixels.
    bounds = np.array([columns.min(), columns.max(), rows.min(), rows.max()])
    chex.assert_trees_all_close(bounds, np.array([200, 700, 100, 600]), atol=4)
    assert ink[110:590, 210:690].all()


def test_dots_mark_seen_vertices_in_their_colour(frontal, dome_face):
    colours = code_colours(dome_face)
    drawn = draw_dense_alignment(GREY, frontal, dome_face, colours)
    ink = changed(GREY, drawn)
    x, y = np.floor(frontal.vertices[:2]).astype(int)
    # Vertices are 6 px apart, the grid's cells 2 px: each of the dome's gets its dot.
    assert ink[y, x].mean() > 0.95
    assert 0.1 < ink[30:130, 50:150].mean() < 0.6
    nose = int(dome_face.landmark_vertices[30])
    chex.assert_trees_all_equal(drawn[y[nose], x[nose]], colours[nose])


def test_hidden_vertices_get_no_dot(
    dome_face, frontal_coefficients, roi_box, reconstruct, turned_by
):
    found = reconstruct(turned_by(80.0, frontal_coefficients), roi_box)
    hidden = ~visible_vertices(found, dome_face)
    assert hidden.sum() > 20
    white_where_hidden = np.where(hidden, 255, 0).astype(np.uint8)[:, None].repeat(3, axis=1)
    drawn = draw_dense_alignment(GREY, found, dome_face, white_where_hidden)
    assert drawn.min() == 0
    assert drawn.max() == 128

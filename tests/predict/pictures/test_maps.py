"""Depth, PNCC and normals against the rasteriser's z-buffer over the whole photograph."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.predict.pictures.maps import (
    DepthScale,
    code_colours,
    depth_map,
    depth_scale,
    normal_map,
    normalised_coordinates,
    pncc_map,
    view_normals,
)
from twodasl_jax.predict.pictures.surface import face_surface, raster_vertices, rasterize_complete
from twodasl_jax.rendering.rasterizer import interpolate

SIZE = {"height": 160, "width": 200}


@pytest.fixture(scope="module", params=[(0.0, 0.0), (-70.0, 45.0)], ids=["inside", "cut"])
def vertices(request, frontal):
    """A turned dome; cut by two of the picture's borders, or not."""
    cosine, sine = np.cos(0.5), np.sin(0.5)
    x, y, z = frontal.vertices - frontal.vertices.mean(axis=1, keepdims=True)
    turned = np.stack([cosine * x + sine * z + 100, y + 80, cosine * z - sine * x])
    return (turned + np.array([[*request.param, 0.0]]).T).astype(np.float32)


@pytest.fixture(scope="module")
def surface(vertices, dome_face):
    return face_surface(vertices, dome_face.triangles, **SIZE)


@pytest.fixture(scope="module")
def z_buffer(vertices, dome_face):
    return rasterize_complete(raster_vertices(vertices), dome_face.triangles, **SIZE)


def test_depth_is_the_z_buffer_pixel_for_pixel(surface, z_buffer, vertices):
    scale = depth_scale([surface])
    picture = depth_map([surface], scale, **SIZE)
    assert picture.dtype == np.uint16
    covered = np.asarray(z_buffer.triangle_ids) >= 0
    chex.assert_trees_all_equal(picture > 0, covered)
    assert scale.far_px == (vertices[2].min(),)
    depth = scale.far_px[0] + (picture[covered].astype(float) - 1) * scale.step_px
    # Half a step of about 1e-3 px, and float32's last place of depths up to 50 px.
    chex.assert_trees_all_close(
        depth, np.asarray(z_buffer.depth, float)[covered], atol=0.5 * scale.step_px + 1e-5
    )


def test_the_deepest_face_takes_all_values(frontal, dome_face):
    half = np.array([[0.5], [0.5], [0.0]], np.float32)
    surfaces = [
        face_surface(frontal.vertices * factor + half, dome_face.triangles, height=400, width=400)
        for factor in (1.0, 2.0)
    ]
    scale = depth_scale(surfaces)
    assert np.ptp(surfaces[1].vertices[2]) / scale.step_px == pytest.approx(65534, rel=1e-6)
    picture = depth_map(
        surfaces[1:], DepthScale(scale.step_px, scale.far_px[1:]), height=400, width=400
    )
    # The nose's tip is a vertex, at the centre of pixel (200, 160).
    assert picture.max() > 65000
    assert (
        depth_map(
            surfaces[:1], scale._replace(far_px=scale.far_px[:1]), height=400, width=400
        ).max()
        < 33000
    )


def test_a_flat_face_has_a_depth(frontal, dome_face):
    flat = frontal.vertices * np.array([[1.0], [1.0], [0.0]], np.float32)
    surface = face_surface(flat, dome_face.triangles, **SIZE)
    picture = depth_map([surface], depth_scale([surface]), **SIZE)
    assert set(np.unique(picture)) == {0, 1}


def test_pncc_is_the_z_buffers_codes_pixel_for_pixel(surface, z_buffer, vertices, dome_face):
    picture = pncc_map([surface], dome_face, **SIZE)
    code = jnp.asarray(normalised_coordinates(dome_face))
    expected = interpolate(
        code, z_buffer, jnp.asarray(raster_vertices(vertices)), dome_face.triangles
    )
    wanted = (np.moveaxis(np.asarray(expected), 0, -1) * 255).round()
    # Values within float32 of a half may round to either side.
    assert np.abs(picture - wanted).max() <= 1
    assert (picture == wanted).mean() > 0.999
    assert (picture[np.asarray(z_buffer.triangle_ids) < 0] == 0).all()


def test_the_code_is_the_mean_face_in_a_unit_cube(dome_face):
    code = normalised_coordinates(dome_face)
    chex.assert_trees_all_equal(code.min(axis=1), np.zeros(3, np.float32))
    chex.assert_trees_all_equal(code.max(axis=1), np.ones(3, np.float32))
    nose = int(dome_face.landmark_vertices[30])
    # In the middle, and the nearest point.
    chex.assert_trees_all_close(code[:, nose], np.array([0.5, 0.5, 1.0], np.float32), atol=1e-6)
    chex.assert_trees_all_equal(code_colours(dome_face)[nose], np.array([128, 128, 255], np.uint8))


def test_normals_are_the_z_buffers_pixel_for_pixel(surface, z_buffer, vertices, dome_face):
    picture = normal_map([surface], **SIZE)
    normals = jnp.asarray(view_normals(vertices, dome_face.triangles))
    expected = interpolate(
        normals, z_buffer, jnp.asarray(raster_vertices(vertices)), dome_face.triangles
    )
    mixed = np.moveaxis(np.asarray(expected), 0, -1)
    covered = np.asarray(z_buffer.triangle_ids) >= 0
    unit = mixed[covered] / np.linalg.norm(mixed[covered], axis=-1, keepdims=True)
    wanted = (0.5 * (unit + 1) * 255).round()
    assert np.abs(picture[covered] - wanted).max() <= 1
    assert (picture[covered] == wanted).mean() > 0.999
    assert (picture[~covered] == 0).all()


def test_normals_point_right_up_and_towards_the_viewer(frontal, dome_face):
    surface = face_surface(frontal.vertices, dome_face.triangles, **SIZE)
    picture = normal_map([surface], **SIZE).astype(int)
    left, right, top, bottom = (
        picture[80, 55],
        picture[80, 145],
        picture[35, 100],
        picture[125, 100],
    )
    assert right[0] > 128 + 40 > 128 - 40 > left[0]
    assert top[1] > 128 + 40 > 128 - 40 > bottom[1]
    assert min(side[2] for side in (left, right, top, bottom)) > 128 + 40


def test_of_overlapping_faces_the_first_lies_on_top(frontal, dome_face):
    behind = frontal.vertices + np.array([[40.0], [0.0], [500.0]], np.float32)
    surfaces = [face_surface(v, dome_face.triangles, **SIZE) for v in (frontal.vertices, behind)]
    alone = [pncc_map([surface], dome_face, **SIZE) for surface in surfaces]
    both = pncc_map(surfaces, dome_face, **SIZE)
    mask = alone[0].any(-1)
    chex.assert_trees_all_equal(both[mask], alone[0][mask])
    chex.assert_trees_all_equal(both[~mask], alone[1][~mask])
    assert (both[~mask] > 0).any()

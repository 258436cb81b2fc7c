"""Meshes written, read back and checked."""

import dataclasses

import chex
import numpy as np
import pytest
import trimesh

from twodasl_jax.predict.export import (
    MESH_SUFFIXES,
    colours_from_photo,
    mesh_bytes,
    mesh_vertices,
)
from twodasl_jax.predict.maps import code_colours
from twodasl_jax.predict.visibility import visible_vertices


def read_back(path):
    (mesh,) = trimesh.load_scene(path, process=False).geometry.values()
    # trimesh keeps the colours of a mesh that also has a material among its attributes.
    has_material = isinstance(mesh.visual, trimesh.visual.TextureVisuals)
    colours = mesh.visual.vertex_attributes["color"] if has_material else mesh.visual.vertex_colors
    colours = np.asarray(colours)[:, :3]
    return np.asarray(mesh.vertices), np.asarray(mesh.faces), colours


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
def test_a_mesh_comes_back_as_it_was_written(tmp_path, dome_face, frontal, suffix):
    path = tmp_path / f"face{suffix}"
    vertices, colours = mesh_vertices(frontal, dome_face), code_colours(dome_face)
    path.write_bytes(mesh_bytes(suffix, vertices, np.asarray(dome_face.triangles), colours))
    back, triangles, shades = read_back(path)
    unit = 1000.0 if suffix == ".glb" else 1.0
    # obj prints 8 decimals, glb and ply keep float32: 1e-3 mm is far above either.
    chex.assert_trees_all_close(back * unit, vertices.astype(back.dtype), atol=1e-3)
    chex.assert_trees_all_equal(triangles.astype(np.int32), np.asarray(dome_face.triangles))
    if suffix == ".glb":
        linear = shades / 255.0
        shades = (
            np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
        )
        # 8 bits of linear light: one step is up to 13 of 255 levels in the deepest shadow.
        chex.assert_trees_all_close(shades, colours.astype(shades.dtype), atol=13.0)
    else:
        # obj prints colours as decimals of 255ths.
        assert np.abs(shades.astype(int) - colours.astype(int)).max() <= 1


def test_the_mesh_stands_upright_and_looks_along_z(tmp_path, dome_face, frontal):
    path = tmp_path / "face.glb"
    triangles = np.asarray(dome_face.triangles)
    vertices = mesh_vertices(frontal, dome_face)
    path.write_bytes(mesh_bytes(".glb", vertices, triangles, code_colours(dome_face)))
    vertices, faces, _ = read_back(path)
    nose = int(dome_face.landmark_vertices[30])
    assert np.argmax(vertices[:, 2]) == nose
    top_of_image = int(np.argmin(frontal.vertices[1]))
    assert vertices[top_of_image, 1] == vertices[:, 1].max()
    left_of_image = int(np.argmin(frontal.vertices[0]))
    assert vertices[left_of_image, 0] == vertices[:, 0].min()
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert normals[:, 2].sum() > 0


def test_the_material_is_matt_and_two_sided(dome_face, frontal):
    vertices, triangles = mesh_vertices(frontal, dome_face), np.asarray(dome_face.triangles)
    data = mesh_bytes(".glb", vertices, triangles, code_colours(dome_face))
    assert data[:4] == b"glTF"
    assert b'"metallicFactor":0.0' in data
    assert b'"doubleSided":true' in data


def test_a_mesh_looks_ahead_however_the_head_is_turned(
    dome_face, frontal_coefficients, roi_box, reconstruct, turned_by
):
    found = reconstruct(turned_by(30.0, frontal_coefficients), roi_box)
    mean = np.asarray(dome_face.linear.mean, np.float64)
    expected = mean - mean.mean(axis=1, keepdims=True)
    # float32 of lengths up to 50 mm.
    chex.assert_trees_all_close(
        mesh_vertices(found, dome_face).T, expected.astype(np.float32), atol=1e-4
    )


def test_lengths_are_millimetres_whatever_the_models_unit(dome_face, frontal):
    micrometres = dataclasses.replace(dome_face, units_per_millimetre=1000.0)
    # float32 of lengths up to 50 mm.
    chex.assert_trees_all_close(
        mesh_vertices(frontal, micrometres) * 1000.0, mesh_vertices(frontal, dome_face), atol=1e-4
    )


def test_colours_are_sampled_under_the_vertices(dome_face, frontal, photo):
    colours = colours_from_photo(photo, frontal, dome_face)
    left = frontal.vertices[0] < 98
    right = frontal.vertices[0] > 101
    assert (colours[left] == (200, 0, 0))[:, 0].all()
    assert (colours[right] == (0, 0, 200))[:, 2].all()
    # The green ramp is the row number, whose centre lies half a pixel further; bilinear sampling
    # rounds to 8 bits.
    chex.assert_trees_all_close(
        colours[:, 1].astype(np.float32), frontal.vertices[1] - 0.5, atol=0.51
    )


def test_hidden_vertices_take_their_mirror_images_colour(
    dome_face, frontal_coefficients, roi_box, photo, reconstruct, turned_by
):
    found = reconstruct(turned_by(80.0, frontal_coefficients), roi_box)
    seen, mirror = visible_vertices(found, dome_face), np.asarray(dome_face.mirror_vertices)
    colours = colours_from_photo(photo, found, dome_face)
    mirrored = ~seen & seen[mirror]
    assert mirrored.sum() > 10
    chex.assert_trees_all_equal(colours[mirrored], colours[mirror[mirrored]])


def test_a_face_outside_the_photograph_is_refused(
    dome_face, frontal_coefficients, photo, reconstruct
):
    away = reconstruct(frontal_coefficients, np.array([5000.0, 0, 5120, 120]))
    with pytest.raises(ValueError, match="no vertex of the face lies in the 200 x 160 picture"):
        colours_from_photo(photo, away, dome_face)


def test_bad_meshes_are_refused():
    triangles = np.array([[0, 1, 2]])
    corners, grey = np.eye(3), np.full((3, 3), 128, np.uint8)
    with pytest.raises(ValueError, match=r"suffix '.stl'; expected one of .glb, .obj, .ply"):
        mesh_bytes(".stl", corners, triangles, grey)
    with pytest.raises(ValueError, match=r"expected \(n, 3\), all finite"):
        mesh_bytes(".glb", corners * np.nan, triangles, grey)
    with pytest.raises(ValueError, match=r"expected \(3, 3\) uint8"):
        mesh_bytes(".glb", corners, triangles, grey / 255.0)

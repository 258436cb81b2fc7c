"""The face as a mesh: its lengths, and its colours from the photograph."""

import dataclasses

import chex
import numpy as np
import pytest

from twodasl_jax.predict.meshes.mesh import colours_from_photo, mesh_vertices
from twodasl_jax.predict.pictures.visibility import visible_vertices


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

"""Faces of photographs turned to larger yaw, against faces rendered there."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.crop_frame import CROP_SIZE, image_to_raster
from twodasl_jax.experiment.sources.rendered_data import sample_model_faces
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.linear import vertices_from_coefficients
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.geometry.camera import camera_parts, head_pose, project_to_crop
from twodasl_jax.geometry.rotation import rotation_from_euler
from twodasl_jax.rendering import face_profiling
from twodasl_jax.rendering.face_profiling import head_yaw, turn_faces, turned_camera
from twodasl_jax.rendering.render import render_face

COUNT = 4
CAPACITY = 2**20


@pytest.fixture(scope="module")
def open_face():
    return load_face_model()


@pytest.fixture(scope="module")
def codes(open_face):
    """Faces with a yaw of 5 to 50 degrees to either side."""
    drawn = sample_model_faces(open_face, np.random.default_rng(3), 60)
    chosen = np.flatnonzero((np.abs(drawn.angles[:, 1]) > 5) & (np.abs(drawn.angles[:, 1]) < 50))
    return drawn.coefficients[chosen[:COUNT]]


@pytest.fixture(scope="module")
def turns(codes):
    yaw = np.asarray(head_yaw(jnp.asarray(codes[:, :12].reshape(-1, 3, 4))))
    return (np.sign(yaw) * np.deg2rad(30)).astype(np.float32)


def painted(face_model, codes, colours=None):
    """Unlit pictures: whatever the head's pose, a point of it has one colour."""
    mean = face_model.linear.mean
    colours = mean / jnp.abs(mean).max() * 0.5 + 0.5 if colours is None else colours

    def draw(code):
        parts = split_coefficients(code)
        points = vertices_from_coefficients(face_model.linear, parts.shape, parts.expression)
        x, y, z = project_to_crop(parts.camera, points)
        vertices = jnp.stack([image_to_raster(x), image_to_raster(y), z])
        return render_face(
            vertices,
            face_model.triangles,
            colours,
            jnp.full((CROP_SIZE, CROP_SIZE, 3), 0.5),
            capacity=CAPACITY,
            supersample=2,
        )

    return jax.jit(lambda batch: jax.lax.map(draw, batch))(jnp.asarray(codes))


@pytest.fixture(scope="module")
def turned(open_face, codes, turns):
    picture = painted(open_face, codes).image
    return jax.jit(lambda *given: turn_faces(open_face, *given, capacity=CAPACITY))(
        picture, jnp.asarray(codes), jnp.asarray(turns)
    )


def test_a_turned_face_looks_as_if_it_were_rendered_there(open_face, turned):
    direct = painted(open_face, np.asarray(turned.coefficients))
    inside = np.asarray(direct.coverage) == 1
    error = np.abs(np.asarray(turned.image) - np.asarray(direct.image)).max(axis=-1)[inside]
    # Colours run over the head by 1 in 100 px: 0.03 is three pixels. Texture is taken from up to
    # five inside at the sides of the head, and a side that was not seen has none.
    assert np.median(error) < 0.01
    assert (error < 0.05).mean() > 0.9
    assert (np.asarray(turned.overflow) == 0).all()


def test_shape_stays_and_the_camera_turns_about_the_heads_own_axis(open_face, codes, turns, turned):
    before, after = split_coefficients(jnp.asarray(codes)), split_coefficients(turned.coefficients)
    chex.assert_trees_all_equal((before.shape, before.expression), (after.shape, after.expression))
    moved = np.asarray(head_yaw(after.camera) - head_yaw(before.camera))
    np.testing.assert_allclose(moved, turns, atol=1e-4)  # float32 angles
    assert (np.abs(head_pose(after.camera).yaw) > np.abs(head_pose(before.camera).yaw)).all()
    # The vertical axis is where it was.
    one, other = camera_parts(before.camera).rotation, camera_parts(after.camera).rotation
    np.testing.assert_allclose(one[..., 1], other[..., 1], atol=1e-5)


def test_the_turned_head_is_framed_by_the_crop_rule(open_face, turned):
    points = landmarks_from_coefficients(landmark_model(open_face), turned.coefficients)[..., :2]
    lowest, highest = np.asarray(points.min(axis=1)), np.asarray(points.max(axis=1))
    np.testing.assert_allclose((lowest + highest) / 2, CROP_SIZE / 2, atol=1e-3)
    np.testing.assert_allclose((highest - lowest).max(axis=1), CROP_SIZE / np.sqrt(2), rtol=1e-5)


@pytest.mark.parametrize("roll", [0.0, 1.0, -2.5])
def test_head_yaw_does_not_see_how_the_picture_is_turned(open_face, codes, roll):
    in_picture = rotation_from_euler(jnp.zeros(()), jnp.zeros(()), jnp.asarray(roll))
    camera = jnp.asarray(codes[0, :12].reshape(3, 4))
    np.testing.assert_allclose(head_yaw(in_picture @ camera), head_yaw(camera), atol=1e-5)
    model = landmark_model(open_face)
    parts = split_coefficients(jnp.asarray(codes[0]))
    points = vertices_from_coefficients(model, parts.shape, parts.expression)
    turned = turned_camera(in_picture @ camera, points, jnp.asarray(0.5))
    np.testing.assert_allclose(head_yaw(turned), head_yaw(camera) + 0.5, atol=1e-5)


def test_what_the_photograph_did_not_show_is_counted(open_face, codes, turns, turned):
    assert (np.asarray(turned.unseen_share) < 0.15).all()
    grey = np.full((COUNT, CROP_SIZE, CROP_SIZE, 3), 0.5, np.float32)
    turn = jax.jit(lambda *given: turn_faces(open_face, *given, capacity=CAPACITY))
    # Turned to the other side, and half of the head moved out of the picture.
    back = turn(grey, jnp.asarray(codes), jnp.asarray(-4 * turns)).unseen_share
    assert (np.asarray(back) > 0.3).all()
    moved = codes.copy()
    moved[:, 3] += CROP_SIZE / 2
    cut = turn(grey, jnp.asarray(moved), jnp.asarray(turns)).unseen_share
    assert (np.asarray(cut) > np.asarray(turned.unseen_share) + 0.2).all()


def test_the_far_side_does_not_look_over_the_open_edge_of_the_forehead(open_face, codes):
    """A face model ends at the forehead: seen from above, a profile would show its far half."""
    frontal = rotation_from_euler(*jnp.deg2rad(jnp.array([-25.0, 10.0, 0.0])))
    code = codes[:1].copy()
    camera = code[:, :12].reshape(1, 3, 4)
    camera[:, :, :3] = np.cbrt(np.linalg.det(camera[:, :, :3]))[:, None, None] * np.asarray(frontal)
    x = np.asarray(open_face.linear.mean[0])
    far = -np.sign(float(head_yaw(jnp.asarray(camera))[0])) * x > 0.3 * np.abs(x).max()
    red = np.stack([far, np.zeros_like(far), np.zeros_like(far)]).astype(np.float32)
    before = painted(open_face, code, jnp.asarray(red)).image
    turn = jax.jit(lambda *given: turn_faces(open_face, *given, capacity=CAPACITY))
    after = turn(
        before, jnp.asarray(code), jnp.asarray(np.deg2rad([75.0]).astype(np.float32))
    ).image
    shown_before, shown_after = (
        (np.asarray(image)[..., 0] - np.asarray(image)[..., 1] > 0.4).mean()
        for image in (before, after)
    )
    assert shown_before > 0.02
    # 0.0004; 0.0035 where turned-over triangles are drawn.
    assert shown_after < 0.002


def test_a_far_ear_is_hidden_by_the_head_and_a_near_one_is_not(open_face):
    points = landmark_model(open_face).mean
    hidden = np.stack(
        [
            face_profiling._hidden_by_the_head(points, points, jnp.deg2rad(jnp.asarray(yaw)))
            for yaw in (-60.0, 0.0, 60.0)
        ]
    )
    # A positive yaw shows the side of positive x.
    ears = np.asarray(points)[0, [0, 16]]
    np.testing.assert_array_equal(hidden[2, [0, 16]], ears < 0)
    np.testing.assert_array_equal(hidden[0, [0, 16]], ears > 0)
    assert not hidden[1].any()
    assert not hidden[:, 27:36].any()  # the nose


def test_no_hole_opens(open_face, codes, turns):
    """A pixel that nothing covers would show the picture's first pixel."""
    white = np.ones((COUNT, CROP_SIZE, CROP_SIZE, 3), np.float32)
    white[:, :2, :2] = 0
    largest = jnp.asarray(turns) * 2.5
    picture = np.asarray(
        jax.jit(lambda *given: turn_faces(open_face, *given, capacity=CAPACITY))(
            white, jnp.asarray(codes), largest
        ).image
    )
    assert (picture[:, 40:, 40:] > 0.999).all()
    assert (picture[:, 0, 0] < 0.5).all()  # the border stays where it is

"""The camera: projection, its parts, and 300W-LP's pose parameters."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from twodasl_jax.geometry.camera import (
    camera_from_parts,
    camera_from_pose_para,
    camera_parts,
    head_pose,
    pose_para_from_camera,
    project_to_crop,
)
from twodasl_jax.geometry.rotation import rotation_from_euler


def random_pose_para(count):
    generator = np.random.default_rng(0)
    angles = generator.uniform(-1.2, 1.2, (count, 3))
    translation = generator.uniform(50, 300, (count, 3))
    scale = generator.uniform(5e-4, 2e-3, (count, 1))
    return np.concatenate([angles, translation, scale], axis=1).astype(np.float32)


ROI = np.tile(np.array([40.0, 60.0, 280.0, 300.0], np.float32), (8, 1))
HEIGHT = np.full(8, 450.0, np.float32)


class ProjectionTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_pmap=True)
    def test_it_is_v_with_y_flipped_about_121(self):
        generator = np.random.default_rng(1)
        camera = generator.normal(size=(8, 3, 4)).astype(np.float32)
        points = generator.normal(size=(8, 3, 7)).astype(np.float32)
        view = camera[..., :3] @ points + camera[..., 3:]
        expected = np.stack([view[:, 0], 121 - view[:, 1], view[:, 2]], axis=1)
        found = self.variant(project_to_crop)(jnp.asarray(camera), jnp.asarray(points))
        # float32 sums near 121.
        np.testing.assert_allclose(found, expected, atol=3e-5)


def test_parts_survive_the_round_trip():
    camera = camera_from_pose_para(*map(jnp.asarray, (random_pose_para(8), ROI, HEIGHT)))
    parts = camera_parts(camera)
    np.testing.assert_allclose(
        parts.rotation @ jnp.swapaxes(parts.rotation, -1, -2),
        np.tile(np.eye(3), (8, 1, 1)),
        atol=1e-5,
    )
    # float32; the translation is hundreds of pixels.
    np.testing.assert_allclose(camera_from_parts(parts), camera, rtol=1e-4, atol=1e-6)


def test_pose_parameters_survive_the_round_trip():
    pose_para = random_pose_para(8)
    roi, height = jnp.asarray(ROI), jnp.asarray(HEIGHT)
    camera = camera_from_pose_para(jnp.asarray(pose_para), roi, height)
    # float32 of translations of hundreds of pixels, and of arcsin.
    np.testing.assert_allclose(
        pose_para_from_camera(camera, roi, height), pose_para, rtol=2e-4, atol=2e-4
    )
    np.testing.assert_allclose(np.stack(head_pose(camera), axis=1), pose_para[:, :3], atol=1e-4)


def test_the_crop_camera_projects_where_the_image_camera_does():
    """MATLAB's ``f·R·S + t``, rows counted from the top, cut to the box and scaled to 120."""
    pose_para = random_pose_para(8)
    points = np.random.default_rng(2).uniform(-8e4, 8e4, (3, 5)).astype(np.float32)
    camera = camera_from_pose_para(*map(jnp.asarray, (pose_para, ROI, HEIGHT)))
    batch = jnp.broadcast_to(jnp.asarray(points), (8, 3, 5))
    found = project_to_crop(camera, batch)
    rotation = rotation_from_euler(*(jnp.asarray(pose_para[:, i]) for i in range(3)))
    view = pose_para[:, 6, None, None] * (np.asarray(rotation) @ points)
    view = view + pose_para[:, 3:6, None]
    column, row = view[:, 0], HEIGHT[:, None] + 1 - view[:, 1]
    scale = 120 / 240
    # float32 of model units of 1e5 and pixels of hundreds.
    np.testing.assert_allclose(found[:, 0], scale * (column - ROI[:, :1]), atol=0.01)
    np.testing.assert_allclose(found[:, 1], scale * (row - ROI[:, 1:2]), atol=0.01)
    np.testing.assert_allclose(found[:, 2], scale * view[:, 2], atol=0.01)


def test_gradients_are_finite():
    def loss(camera):
        return project_to_crop(camera, jnp.ones((3, 4))).sum()

    chex.assert_tree_all_finite(jax.grad(loss)(jnp.zeros((3, 4))))

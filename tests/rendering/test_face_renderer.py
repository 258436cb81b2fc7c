import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.coefficients import Coefficients, join_coefficients
from twodasl_jax.face_model.linear import LinearModel
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.geometry.camera import CameraParts, camera_from_parts
from twodasl_jax.geometry.rotation import rotation_from_euler
from twodasl_jax.rendering.face_renderer import albedo_from_coefficients, render_faces
from twodasl_jax.rendering.rasterizer import default_capacity
from twodasl_jax.rendering.shading import directional_lighting


def dome_model(side: int = 15) -> FaceModel:
    """A dome over the x-y plane, 2 wide, its top towards +z, with a nose on the +y half."""
    y, x = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side), indexing="ij")
    z = 1.0 - 0.5 * (x**2 + y**2) + 0.3 * np.exp(-8 * (x**2 + (y - 0.5) ** 2))
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)[None]).ravel()
    triangles = np.concatenate(
        [
            np.stack([corner, corner + 1, corner + side], 1),
            np.stack([corner + 1, corner + side + 1, corner + side], 1),
        ]
    )
    n = side * side
    generator = np.random.default_rng(0)
    mirror = np.arange(n).reshape(side, side)[:, ::-1].ravel()

    def noise(*shape: int) -> jax.Array:
        return jnp.asarray(generator.normal(0, 0.01, shape), jnp.float32)

    return FaceModel(
        linear=LinearModel(
            jnp.asarray(np.stack([x, y, z]).reshape(3, n), jnp.float32),
            noise(40, 3, n),
            noise(10, 3, n),
        ),
        triangles=jnp.asarray(triangles, jnp.int32),
        landmark_vertices=jnp.arange(68),
        mirror_vertices=jnp.asarray(mirror),
        uv=jnp.zeros((n, 2)),
        albedo_mean=jnp.full((3, n), 0.5),
        albedo_basis=noise(4, 3, n),
        whitening=None,
    )


def frontal(batch: int, *, scale: float = 40.0, yaw: float = 0.0) -> jax.Array:
    angles = jnp.full((batch,), 0.0), jnp.full((batch,), yaw), jnp.full((batch,), 0.0)
    camera = camera_from_parts(
        CameraParts(
            jnp.full((batch,), scale),
            rotation_from_euler(*angles),
            jnp.tile(jnp.array([[60.0, 61.0, 0.0]]), (batch, 1)),
        )
    )
    return join_coefficients(Coefficients(camera, jnp.zeros((batch, 40)), jnp.zeros((batch, 10))))


def light_from(direction: list[float], batch: int = 1) -> jax.Array:
    return directional_lighting(
        jnp.tile(jnp.array([direction]), (batch, 1)),
        ambient=jnp.full((batch, 3), 0.2),
        directional=jnp.full((batch, 3), 0.7),
    )


def render(coefficients, lighting, *, size=120, model=None, **options):
    batch = coefficients.shape[0]
    image, _, overflow = render_faces(
        model or dome_model(),
        coefficients,
        jnp.zeros((batch, 4)),
        lighting,
        jnp.full((batch, size, size, 3), 0.9),
        capacity=60_000,
        **options,
    )
    return image, overflow


class RenderFacesTest(chex.TestCase):
    def test_draws_the_face_where_the_crop_frame_says(self):
        image, overflow = render(frontal(2), light_from([0.0, 0.0, 1.0], 2))
        chex.assert_shape(image, (2, 120, 120, 3))
        np.testing.assert_array_equal(overflow, [0, 0])
        face = np.abs(np.asarray(image[0, ..., 0]) - 0.9) > 1e-6
        rows, columns = np.nonzero(face)
        # x = 60 ± 40; y = 121 - (61 ± 40) = 60 ± 40.
        assert (columns.min(), columns.max(), rows.min(), rows.max()) == (20, 100, 20, 100)

    def test_light_from_above_lights_the_upper_half(self):
        image, _ = render(frontal(1), light_from([0.0, 1.0, 0.3]))
        image = np.asarray(image[0])
        assert image[25:40, 50:70].mean() > image[80:95, 50:70].mean() + 0.1

    def test_light_from_the_right_lights_the_right_half(self):
        image, _ = render(frontal(1), light_from([1.0, 0.0, 0.3]))
        image = np.asarray(image[0])
        assert image[50:70, 80:95].mean() > image[50:70, 25:40].mean() + 0.1

    def test_map_and_vmap_agree(self):
        coefficients = jnp.concatenate([frontal(1, yaw=0.5), frontal(1, yaw=-1.0)])
        mapped, _ = render(coefficients, light_from([0.0, 0.0, 1.0], 2))
        batched, _ = render(coefficients, light_from([0.0, 0.0, 1.0], 2), batching="vmap")
        # Two compilations may round colours, but not coverage, differently on this mesh.
        chex.assert_trees_all_close(mapped, batched, atol=1e-5)

    def test_supersampling_keeps_the_inside_and_softens_the_outline(self):
        coefficients = frontal(1, scale=37.3, yaw=0.4)
        plain, _ = render(coefficients, light_from([0.0, 0.0, 1.0]))
        smooth, _ = render(coefficients, light_from([0.0, 0.0, 1.0]), supersample=2)
        difference = np.abs(np.asarray(plain - smooth))[0].max(-1)
        # Inside, a mean over a quarter of a pixel each way; on the outline up to half the contrast.
        assert np.median(difference[50:70, 50:70]) < 5e-3
        assert difference.max() > 0.05
        assert (difference > 0.05).mean() < 0.05

    def test_a_larger_background_shows_the_same_crop_finer(self):
        coarse, _ = render(frontal(1), light_from([0.0, 0.3, 1.0]))
        fine, _ = render(frontal(1), light_from([0.0, 0.3, 1.0]), size=240)
        # Pixel (r, c) and pixel (2r, 2c) have their centres at the same point of the crop; the
        # doubled coordinates are exact, the colours equal up to rounding.
        chex.assert_trees_all_close(fine[:, ::2, ::2], coarse, atol=1e-4)

    def test_too_small_a_capacity_is_reported(self):
        overflow = render_faces(
            dome_model(),
            frontal(1),
            jnp.zeros((1, 4)),
            light_from([0.0, 0.0, 1.0]),
            jnp.zeros((1, 120, 120, 3)),
            capacity=100,
        ).overflow
        assert int(overflow[0]) > 0

    def test_default_capacity_is_enough_for_a_face_that_fills_the_crop(self):
        model = dome_model()
        capacity = default_capacity(120, 120, model.triangles.shape[0])
        coefficients = jnp.concatenate([frontal(1, scale=60.0), frontal(1, scale=60.0, yaw=1.2)])
        overflow = render_faces(
            model,
            coefficients,
            jnp.zeros((2, 4)),
            light_from([0.0, 0.0, 1.0], 2),
            jnp.zeros((2, 120, 120, 3)),
            capacity=capacity,
        ).overflow
        np.testing.assert_array_equal(overflow, [0, 0])

    def test_refuses_a_model_without_colours(self):
        colourless = dataclasses.replace(dome_model(), albedo_mean=None, albedo_basis=None)
        with pytest.raises(ValueError, match="has no albedo"):
            albedo_from_coefficients(colourless, jnp.zeros((1, 4)))

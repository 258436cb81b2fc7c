"""The rasteriser against a slow float64 z-buffer, its conventions, and its gradients."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.geometry.camera import CameraParts, camera_from_parts, project_to_crop
from twodasl_jax.geometry.rotation import rotation_from_euler
from twodasl_jax.rendering import rasterizer
from twodasl_jax.rendering.rasterizer import (
    Rasterization,
    default_capacity,
    interpolate,
    rasterize,
)

# Outside `jit` each step of the rasteriser's scans would be compiled by itself.
draw = jax.jit(rasterize, static_argnames=("height", "width", "capacity", "cull_back_faces"))


def slow_z_buffer(vertices, triangles, height, width):
    """One triangle after the other in float64.

    Returns triangle ids, depth, and the pixels on which float32 may rightly differ: their
    centre within 1e-4 px² (twice an area) of an edge, or two surfaces within 1e-3 px of depth.
    """
    vertices = np.asarray(vertices, np.float64)
    ids = np.full((height, width), -1)
    depth = np.full((height, width), -np.inf)
    close = np.zeros((height, width), bool)
    finite = np.isfinite(vertices[:, triangles]).all((0, 2))
    corner = np.where(finite[:, None], vertices[:, triangles], 0)
    # A margin, so that a centre just outside a box is still counted among the close ones.
    first = np.maximum(np.ceil(corner[:2].min(-1) - 1e-3), 0).astype(int)
    last = np.floor(corner[:2].max(-1) + 1e-3).astype(int)
    last = np.minimum(last, [[width - 1], [height - 1]])
    for number in np.flatnonzero(finite & (last >= first).all(0)):
        corners, low, high = corner[:, number].T, first[:, number], last[:, number]
        rows = slice(low[1], high[1] + 1)
        columns = slice(low[0], high[0] + 1)
        y, x = np.mgrid[rows, columns]
        (ax, ay, az), (bx, by, bz), (cx, cy, cz) = corners
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0:
            continue
        a = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
        b = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
        c = 1 - a - b
        least = np.minimum(np.minimum(a, b), c)
        z = a * az + b * bz + c * cz
        close[rows, columns] |= np.abs(least * area) < 1e-4
        close[rows, columns] |= (least > -1e-3) & (np.abs(z - depth[rows, columns]) < 1e-3)
        wins = (least >= 0) & (z > depth[rows, columns])
        ids[rows, columns][wins] = number
        depth[rows, columns][wins] = z[wins]
    return ids, depth, close


def random_mesh(seed, num_vertices=60, num_triangles=40, size=48.0):
    generator = np.random.default_rng(seed)
    vertices = generator.uniform(-0.2 * size, 1.2 * size, (3, num_vertices)).astype(np.float32)
    triangles = np.stack(
        [generator.choice(num_vertices, 3, replace=False) for _ in range(num_triangles)]
    )
    return jnp.asarray(vertices), jnp.asarray(triangles, jnp.int32)


def assert_equals_oracle(raster, vertices, triangles, *, most_excluded):
    height, width = raster.triangle_ids.shape
    ids, depth, close = slow_z_buffer(vertices, np.asarray(triangles), height, width)
    assert close.mean() <= most_excluded
    np.testing.assert_array_equal(np.asarray(raster.triangle_ids)[~close], ids[~close])
    # float32 rounding of depths up to a few hundred pixels, in slanted triangles.
    np.testing.assert_allclose(np.asarray(raster.depth)[~close], depth[~close], rtol=0, atol=2e-2)
    assert (ids >= 0).any()


class RasterizeTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_equals_the_slow_z_buffer_on_random_meshes(self):
        variant = self.variant(
            lambda vertices, triangles: rasterize(
                vertices, triangles, height=40, width=56, capacity=65_536
            )
        )
        for seed in range(4):
            vertices, triangles = random_mesh(seed)
            raster = variant(vertices, triangles)
            assert int(raster.overflow) == 0
            assert_equals_oracle(raster, vertices, triangles, most_excluded=0.02)

    def test_pixel_centres_are_at_whole_numbers_and_edges_belong(self):
        # Exact in float32: the square of corners (2, 1) and (5, 4) holds 4 x 4 centres.
        vertices = jnp.array([[2.0, 5.0, 5.0, 2.0], [1.0, 1.0, 4.0, 4.0], [0.0, 0.0, 0.0, 0.0]])
        triangles = jnp.array([[0, 2, 1], [0, 3, 2]])
        ids = np.asarray(draw(vertices, triangles, height=7, width=8, capacity=99)[0])
        expected = np.full((7, 8), -1)
        expected[1:5, 2:6] = 1
        for row in range(1, 5):  # the diagonal is in both: the lower number wins
            expected[row, row + 1 : 6] = 0
        np.testing.assert_array_equal(ids, expected)

    def test_of_equal_depths_the_lower_number_wins(self):
        vertices = jnp.array([[1.0, 9.0, 1.0], [1.0, 1.0, 9.0], [3.0, 3.0, 3.0]])
        triangles = jnp.array([[0, 1, 2], [1, 2, 0], [2, 1, 0]])
        raster = draw(vertices, triangles, height=12, width=12, capacity=999)
        assert set(np.unique(raster.triangle_ids).tolist()) == {-1, 0}

    def test_the_larger_z_is_seen(self):
        vertices = jnp.array([[0.0, 9, 0, 0, 9, 0], [0.0, 0, 9, 0, 0, 9], [1.0, 1, 1, 2, 2, 2]])
        raster = draw(
            vertices, jnp.array([[0, 1, 2], [3, 4, 5]]), height=10, width=10, capacity=999
        )
        assert set(np.unique(raster.triangle_ids).tolist()) == {-1, 1}
        assert float(raster.depth.max()) == 2.0
        assert float(raster.depth.min()) == -np.inf

    def test_a_sheet_of_triangles_has_no_cracks(self):
        generator = np.random.default_rng(3)
        y, x = np.mgrid[0:30, 0:30].astype(np.float32) * 2.0 - 5.0
        jitter = generator.uniform(-0.6, 0.6, (2, 30, 30)).astype(np.float32)
        vertices = np.stack([x + jitter[0], y + jitter[1], np.zeros_like(x)]).reshape(3, -1)
        corner = (np.arange(29)[:, None] * 30 + np.arange(29)[None]).ravel()
        triangles = np.concatenate(
            [
                np.stack([corner, corner + 30, corner + 1], 1),
                np.stack([corner + 1, corner + 30, corner + 31], 1),
            ]
        )
        raster = draw(
            jnp.asarray(vertices),
            jnp.asarray(triangles, jnp.int32),
            height=40,
            width=40,
            capacity=16_384,
        )
        assert int(raster.overflow) == 0
        assert bool((raster.triangle_ids >= 0).all())

    def test_degenerate_off_screen_and_non_finite_triangles_draw_nothing(self):
        vertices = jnp.array(
            [
                [1.0, 5.0, 9.0, jnp.nan, -50.0, -40.0, jnp.inf, 1e30],
                [1.0, 5.0, 9.0, 3.0, 5.0, 9.0, 2.0, -1e30],
                [0.0] * 8,
            ]
        )
        triangles = jnp.array([[0, 1, 2], [0, 0, 1], [0, 1, 3], [4, 5, 1], [0, 1, 6], [4, 5, 4]])
        raster = draw(vertices, triangles[:3], height=12, width=12, capacity=999)
        np.testing.assert_array_equal(raster.triangle_ids, np.full((12, 12), -1))
        raster = draw(vertices, triangles[4:], height=12, width=12, capacity=999)
        np.testing.assert_array_equal(raster.triangle_ids, np.full((12, 12), -1))

    def test_back_faces_are_drawn_unless_culled(self):
        # Counter-clockwise with y up, so clockwise in numbers with y down: looks at the viewer.
        vertices = jnp.array([[1.0, 1.0, 9.0], [1.0, 9.0, 1.0], [0.0, 0.0, 0.0]])
        front, back = jnp.array([[0, 1, 2]]), jnp.array([[0, 2, 1]])
        for triangles, cull, drawn in (
            (front, True, True),
            (back, True, False),
            (front, False, True),
            (back, False, True),
        ):
            raster = draw(
                vertices, triangles, height=12, width=12, capacity=999, cull_back_faces=cull
            )
            assert bool((raster.triangle_ids >= 0).any()) == drawn

    def test_overflow_is_counted_exactly(self):
        vertices, triangles = random_mesh(0)
        enough = draw(vertices, triangles, height=40, width=56, capacity=65_536)
        few = draw(vertices, triangles, height=40, width=56, capacity=1_000)
        needed = 1_000 + int(few.overflow)
        exact = draw(vertices, triangles, height=40, width=56, capacity=needed)
        assert int(exact.overflow) == 0
        np.testing.assert_array_equal(exact.triangle_ids, enough.triangle_ids)
        short = draw(vertices, triangles, height=40, width=56, capacity=needed - 1)
        assert int(short.overflow) == 1

    def test_overflow_beyond_int32_is_still_overflow(self):
        # 400 triangles, each over the whole of a 2048 x 2048 picture: 1.7e9 candidates.
        vertices = jnp.array([[-9e3, 9e3, 0.0], [-9e3, -9e3, 9e3], [0.0, 0.0, 0.0]])
        triangles = jnp.tile(jnp.array([[0, 1, 2]]), (400, 1))
        raster = draw(vertices, triangles, height=2048, width=2048, capacity=64)
        assert int(raster.overflow) == rasterizer.OVERFLOW_LIMIT

    def test_refuses_impossible_sizes(self):
        vertices, triangles = random_mesh(0)
        with pytest.raises(ValueError, match="render in tiles"):
            rasterize(vertices, triangles, height=4096, width=4096, capacity=9)
        with pytest.raises(ValueError, match="capacity is 0"):
            rasterize(vertices, triangles, height=4, width=4, capacity=0)


@pytest.mark.shared_data
@pytest.mark.parametrize("yaw_degrees", [-60.0, 60.0])
def test_equals_the_slow_z_buffer_on_bfm_turned_aside(shared_data, yaw_degrees):
    face_model = face_model_from_file(shared_data / "bfm" / "bfm2009_53215.npz")
    angles = (jnp.float32(angle) for angle in (0.1, np.deg2rad(yaw_degrees), -0.05))
    # 5e-4 px per micrometre: the head is as high as the crop.
    parts = CameraParts(
        jnp.float32(5e-4), rotation_from_euler(*angles), jnp.array([60.3, 60.8, 0.0])
    )
    vertices = project_to_crop(camera_from_parts(parts), face_model.linear.mean)
    triangles = face_model.triangles
    capacity = default_capacity(120, 120, triangles.shape[0])
    raster = draw(vertices, triangles, height=120, width=120, capacity=capacity)
    assert int(raster.overflow) == 0
    assert float((raster.triangle_ids >= 0).mean()) > 0.2
    # Of 105,840 triangles a few centres lie within rounding of an edge, none of the rest may
    # differ.
    assert_equals_oracle(raster, vertices, triangles, most_excluded=0.01)


def test_default_capacity_grows_with_picture_and_mesh():
    assert default_capacity(120, 120, 105_840) <= default_capacity(224, 224, 105_840)
    assert default_capacity(120, 120, 1_000) <= default_capacity(120, 120, 105_840)


class InterpolateTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_reproduces_coordinates_at_pixel_centres(self):
        vertices, triangles = random_mesh(1)
        raster = draw(vertices, triangles, height=40, width=56, capacity=65_536)
        drawn = np.asarray(raster.triangle_ids) >= 0
        x, y, z = np.asarray(self.variant(interpolate)(vertices, raster, vertices, triangles))
        rows, columns = np.nonzero(drawn)
        # float32: coordinates to 60 px over triangles that may be slivers.
        np.testing.assert_allclose(x[drawn], columns, atol=2e-2)
        np.testing.assert_allclose(y[drawn], rows, atol=2e-2)
        np.testing.assert_allclose(z[drawn], np.asarray(raster.depth)[drawn], atol=2e-2)
        np.testing.assert_array_equal(z[~drawn], 0.0)

    def test_gradients_equal_float64_finite_differences(self):
        vertices32, triangles = random_mesh(2, num_vertices=9, num_triangles=4, size=16.0)
        raster = draw(vertices32, triangles, height=16, width=16, capacity=9_999)
        generator = np.random.default_rng(5)
        weights = generator.normal(size=(2, 16, 16))
        with jax.enable_x64(True):
            vertices = jnp.asarray(np.asarray(vertices32), jnp.float64)
            attributes = jnp.asarray(generator.normal(size=(2, 9)))

            def value(attributes, vertices):
                return (interpolate(attributes, raster, vertices, triangles) * weights).sum()

            gradients = jax.grad(value, argnums=(0, 1))(attributes, vertices)
            directions = (
                jnp.asarray(generator.normal(size=(2, 9))),
                jnp.asarray(generator.normal(size=(3, 9))),
            )
            step = 1e-5
            ahead = value(attributes + step * directions[0], vertices + step * directions[1])
            behind = value(attributes - step * directions[0], vertices - step * directions[1])
            slope = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))
            # Central differences in float64: error ~ step², relative 1e-7.
            np.testing.assert_allclose(slope, float(ahead - behind) / (2 * step), rtol=1e-6)

    def test_gradient_is_finite_at_a_degenerate_triangle(self):
        vertices = jnp.array([[1.0, 5.0, 9.0], [1.0, 5.0, 9.0], [0.0, 1.0, 2.0]])
        triangles = jnp.array([[0, 1, 2]])
        forced = Rasterization(
            jnp.zeros((4, 4), jnp.int32), jnp.zeros((4, 4)), jnp.zeros((), jnp.int32)
        )
        weights = interpolate(jnp.eye(3), forced, vertices, triangles)
        np.testing.assert_array_equal(weights, np.zeros((3, 4, 4)))
        gradient = jax.grad(lambda v: interpolate(v, forced, v, triangles).sum())(vertices)
        assert bool(jnp.isfinite(gradient).all())

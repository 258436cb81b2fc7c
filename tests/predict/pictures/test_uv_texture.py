"""The uv texture: what it samples, what it mirrors, what it fills, and that it says which."""

import dataclasses

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.predict.pictures.uv_texture import Origin, uv_layout, uv_texture

SIZE = 96


def test_a_frontal_face_is_sampled_where_it_lies(frontal, dome_face, photo):
    texture = uv_texture(photo, frontal, dome_face, size=SIZE)
    chex.assert_shape(texture.colours, (SIZE, SIZE, 3))
    chex.assert_shape(texture.origin, (SIZE, SIZE))
    assert (texture.origin == Origin.SEEN).mean() > 0.9
    # The dome's uv is its own x and y, and it lies 100 px wide around (100, 80): a texel is the
    # photograph there. The green ramp is the row number, half a pixel before the row's centre.
    rows, columns = np.indices((SIZE, SIZE))
    x, y = 50 + (columns + 0.5) / SIZE * 100, 30 + (rows + 0.5) / SIZE * 100
    seen = texture.origin == Origin.SEEN
    chex.assert_trees_all_close(
        texture.colours[..., 1][seen].astype(float), y[seen] - 0.5, atol=0.51
    )
    assert (texture.colours[seen & (x < 98)][:, 0] == 200).all()
    assert (texture.colours[seen & (x > 101)][:, 2] == 200).all()


def test_the_hidden_half_is_mirrored(
    dome_face, frontal_coefficients, roi_box, reconstruct, turned_by
):
    """A mirrored texel has the colour of its twin across the middle."""
    image = np.zeros((160, 200, 3), np.uint8)
    image[..., 1] = np.arange(160)[:, None]
    found = reconstruct(turned_by(60.0, frontal_coefficients), roi_box)
    texture = uv_texture(image, found, dome_face, size=SIZE)
    mirrored = texture.origin == Origin.MIRRORED
    assert mirrored.mean() > 0.15
    # The far half alone, whose twins were seen.
    # The nose shades a texel or two beyond the middle.
    half = mirrored[:, : SIZE // 2 - 3].mean(), mirrored[:, SIZE // 2 + 3 :].mean()
    assert max(half) > 0.3
    assert min(half) == 0.0
    # The diagonals of the dome's squares are not symmetric: at the outline texels differ.
    both = mirrored & (texture.origin[:, ::-1] == Origin.SEEN)
    assert both.sum() > 0.99 * mirrored.sum()
    # Bases are not symmetric but the mean face is; bilinear sampling rounds to 8 bits.
    twins = texture.colours[:, ::-1][both].astype(int)
    chex.assert_trees_all_close(texture.colours[both].astype(int), twins, atol=2)


def test_no_seam_shows_where_the_light_differs(
    dome_face, frontal_coefficients, roi_box, reconstruct, turned_by
):
    """One side of the photograph is dark: the texture passes over to the mirrored half slowly."""
    image = np.zeros((160, 200, 3), np.uint8)
    image[:] = np.linspace(0, 255, 200).astype(np.uint8)[None, :, None]
    found = reconstruct(turned_by(60.0, frontal_coefficients), roi_box)
    texture = uv_texture(image, found, dome_face, size=SIZE)
    # 255 levels over 200 px, seen at 60 degrees: neighbouring texels differ by few levels.
    steps = np.abs(np.diff(texture.colours[SIZE // 4, 2:-2, 0].astype(int)))
    assert steps.max() <= 12


def test_what_no_side_shows_is_filled_from_around_and_marked(frontal, dome_face, photo):
    """A face cut by the picture's lower border: below it there is nothing to sample or mirror."""
    texture = uv_texture(photo[:90], frontal, dome_face, size=SIZE)
    filled = texture.origin == Origin.NEIGHBOURS
    assert filled[int(0.65 * SIZE) :, 3:-3].all()
    assert not filled[: int(0.55 * SIZE), 3:-3].any()
    # Filled with what is near: red on the left and blue on the right, and green as the last rows.
    below = texture.colours[int(0.66 * SIZE)].astype(int)
    left, right = below[10 : SIZE // 4], below[-SIZE // 4 : -10]
    assert (left[:, 0] > left[:, 2] + 50).all()
    assert (right[:, 2] > right[:, 0] + 50).all()
    assert (below[10:-10, 1] > 70).all()


def test_outside_the_layout_there_is_nothing(frontal, dome_face, photo):
    small = dataclasses.replace(dome_face, uv=dome_face.uv * 0.5)
    texture = uv_texture(photo, frontal, small, size=SIZE)
    inside = np.zeros((SIZE, SIZE), bool)
    inside[SIZE // 2 :, : SIZE // 2] = True  # u and v below one half: the lower left
    chex.assert_trees_all_equal(texture.origin > 0, inside)
    # The colours run on by a margin of 2 %, two texels, and no further.
    assert texture.colours[SIZE // 2 - 1, 10:20].any()
    assert not texture.colours[: SIZE // 2 - 4].any()


def test_large_photographs_are_averaged_not_picked_from(
    frontal_coefficients, dome_face, reconstruct
):
    """Noise of one pixel under texels of six: the mean is sampled."""
    noise = np.random.default_rng(0).integers(0, 256, (720, 720, 3), np.uint8)
    found = reconstruct(frontal_coefficients, np.array([0.0, 0.0, 720.0, 720.0], np.float32))
    texture = uv_texture(noise, found, dome_face, size=SIZE)
    seen = texture.origin == Origin.SEEN
    # Independent pixels have a deviation of 74; a mean of 6 x 6, smoothed bilinearly, below 13.
    assert texture.colours[seen].std() < 15
    assert texture.colours[seen].mean() == pytest.approx(127.5, abs=2)


def test_parts_that_share_texels_leave_the_outermost(dome_face, frontal, photo):
    """A second sheet behind the first with the same uv: the first one's colours are kept."""
    linear = dome_face.linear
    behind = linear.mean * jnp.array([[0.5], [1.0], [0.5]]) - jnp.array([[0.0], [0.0], [30.0]])
    doubled = dataclasses.replace(
        dome_face,
        linear=linear._replace(mean=jnp.concatenate([behind, linear.mean], axis=1)),
        triangles=jnp.concatenate([dome_face.triangles, dome_face.triangles + 289]),
        uv=jnp.concatenate([dome_face.uv, dome_face.uv]),
    )
    ids = uv_layout(doubled, size=SIZE).triangle_ids
    assert (ids >= len(dome_face.triangles)).mean() > 0.9


def test_the_embedded_models_layout_is_usable():
    layout = uv_layout(load_face_model(), size=128)
    assert (layout.triangle_ids >= 0).mean() > 0.8


@pytest.mark.parametrize(
    ("uv", "message"),
    [(0.0, "'dome' has no usable uv layout: its triangles cover 0.0%"), (2.0, "uv from 0 to 2")],
)
def test_a_model_without_a_layout_is_told(frontal, dome_face, photo, uv, message):
    without = dataclasses.replace(dome_face, uv=dome_face.uv * uv)
    with pytest.raises(ValueError, match=message):
        uv_texture(photo, frontal, without, size=SIZE)


def test_a_face_beside_the_photograph_is_refused(
    photo, dome_face, frontal_coefficients, reconstruct
):
    away = reconstruct(frontal_coefficients, np.array([5000.0, 0, 5120, 120]))
    with pytest.raises(ValueError, match="the 200 x 160 picture shows nothing of the face"):
        uv_texture(photo, away, dome_face, size=SIZE)


@pytest.mark.parametrize("size", [0, 15, 8193])
def test_sizes_have_bounds(photo, frontal, dome_face, size):
    with pytest.raises(ValueError, match=f"a texture of {size} texels a side; expected 16 to 8192"):
        uv_texture(photo, frontal, dome_face, size=size)

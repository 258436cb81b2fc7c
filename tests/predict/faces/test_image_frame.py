"""One dot, from the photograph to the crop and back: every picture must hit the pixels it fills.

The image frame is continuous (pixel c spans c to c + 1). A dot is found in the crop as a label
would be, a tiny dome is put there, and what is sampled, rasterised and drawn of it must lie on the
dot: an error of half a pixel anywhere moves it off.
"""

import chex
import numpy as np
import pytest

from twodasl_jax.crop_frame import crop_to_image, flip_y, image_to_raster
from twodasl_jax.data.face_crop import crop_image
from twodasl_jax.predict.meshes.mesh import colours_from_photo
from twodasl_jax.predict.page.viewer_data import frame_of, photo_in_frame
from twodasl_jax.predict.pictures.drawing import draw_landmarks, face_panel
from twodasl_jax.predict.pictures.maps import depth_map, depth_scale
from twodasl_jax.predict.pictures.overlay import overlay_mesh
from twodasl_jax.predict.pictures.surface import face_surface
from twodasl_jax.predict.pictures.uv_texture import Origin, uv_texture

HEIGHT, WIDTH = 260, 320

SIZE = 16


def middle_of(brightness):
    """The mean place of what is bright: pixel c has its centre at c + 1/2."""
    rows, columns = np.indices(brightness.shape) + 0.5
    weight = brightness / brightness.sum()
    return np.array([(columns * weight).sum(), (rows * weight).sum()])


# One pixel in a box that is enlarged threefold; two by two in one that is halved: there bilinear
# resizing keeps a dot symmetric, so that its place in the crop is known exactly.
@pytest.fixture(scope="module", params=[(1, 40), (2, 240)], ids=["enlarged", "reduced"])
def dot(request, reconstruct):
    """A photograph with a dot, which pixels it fills, where it is, and a dome as wide as it."""
    pixels, side = request.param
    box = np.array([26.0, 14.0, 26.0 + side, 14.0 + side], np.float32)
    left, top = 26 + 26, 14 + 12
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[top : top + pixels, left : left + pixels] = 255
    in_crop = middle_of(crop_image(image, box)[..., 0].astype(float))
    coefficients = np.zeros(62, np.float32)
    # 0.7 of the dot's width: the centres of its pixels lie under the dome, no others.
    coefficients[[0, 5, 10]] = 0.7 * pixels / 100 * (120 / side)
    coefficients[[3, 7]] = in_crop[0], flip_y(in_crop[1])
    place = np.array([left, top]) + pixels / 2
    return image, image[..., 0] > 0, place, in_crop, reconstruct(coefficients, box)


def test_a_label_comes_back_onto_its_dot(dot):
    _, _, place, in_crop, face = dot
    # float32 of some tens of pixels.
    chex.assert_trees_all_close(
        crop_to_image(in_crop[None], face.roi_box)[0], place.astype(np.float64), atol=1e-5
    )
    chex.assert_trees_all_close(face.landmarks_px[30], place.astype(np.float32), atol=1e-4)


def test_the_raster_frame_counts_centres():
    chex.assert_trees_all_equal(image_to_raster(np.array([0.5, 7.5])), np.array([0.0, 7.0]))


def test_the_surface_covers_the_dots_pixels(dot, dome_face):
    _, filled, _, _, face = dot
    size = {"height": HEIGHT, "width": WIDTH}
    surfaces = [face_surface(face.vertices, dome_face.triangles, **size)]
    picture = depth_map(surfaces, depth_scale(surfaces), **size)
    chex.assert_trees_all_equal(picture > 0, filled)


def test_the_mesh_is_laid_over_the_dots_pixels(dot, dome_face):
    image, filled, place, _, face = dot
    black = np.zeros_like(image)
    drawn = overlay_mesh(black, face.vertices, dome_face.triangles, opacity=1.0)
    chex.assert_trees_all_equal(drawn.any(-1), filled)
    # The same share of each pixel is covered, and the light is symmetric up to the directions of
    # the dome's diagonals.
    chex.assert_trees_all_close(middle_of(drawn[..., 0].astype(float)), place, atol=0.02)


def test_vertices_take_the_dots_colour(dot, dome_face):
    image, _, place, _, face = dot
    colours = colours_from_photo(image, face, dome_face)[:, 0].astype(float)
    # Bilinear: 1 at a dot's outermost centres, 0 a pixel further; 8 bits.
    reach = (np.sqrt(image[..., 0].astype(bool).sum()) - 1) / 2
    beyond = np.maximum(np.abs(face.vertices[:2] - place[:, None]) - reach, 0)
    chex.assert_trees_all_close(colours, 255.0 * np.prod(1 - beyond, axis=0), atol=1.0)


def test_the_texture_shows_the_dot_in_its_middle(dot, dome_face):
    image, _, _, _, face = dot
    texture = uv_texture(image, face, dome_face, size=SIZE)
    seen = (texture.origin == Origin.SEEN) & (texture.origin[::-1, ::-1] == Origin.SEEN)
    assert seen.mean() > 0.8
    middle = texture.colours[SIZE // 2, SIZE // 2, 0]
    assert middle > 240
    # 8 bits, and OpenCV's positions of 1/32 pixel: of 255 levels per pixel, 8.
    flipped = texture.colours[::-1, ::-1].astype(int)
    chex.assert_trees_all_close(texture.colours[seen].astype(int), flipped[seen], atol=9)


def test_a_landmark_is_drawn_on_the_dot(dot):
    image, _, place, _, face = dot
    landmarks = np.full((68, 2), np.nan)
    landmarks[30] = face.landmarks_px[30]
    black = np.zeros_like(image)
    ink = draw_landmarks(black, landmarks, thickness=1).astype(float).sum(-1)
    # OpenCV draws at 1/16 pixel.
    chex.assert_trees_all_close(middle_of(ink), place, atol=1 / 16)


@pytest.mark.parametrize("side", [30, 96, 400])
def test_a_panel_shows_what_lies_under_its_pixels(dot, side):
    """Ramps across and down: the brightness tells where in the photograph a panel pixel is from."""
    _, _, _, _, face = dot
    rows, columns = np.indices((HEIGHT, WIDTH))
    ramps = np.stack([columns, rows, rows], axis=-1).clip(0, 255).astype(np.uint8)
    panel, landmarks, _ = face_panel(ramps, face, side=side)
    start, end = face.roi_box[:2].astype(float), face.roi_box[2:].astype(float)
    corner, width = start - 0.1 * (end - start), 1.2 * (end - start)
    chex.assert_trees_all_close(
        landmarks[30, :2].astype(float), (face.landmarks_px[30] - corner) / width * side, atol=1e-3
    )
    rows, columns = np.indices((side, side)) + 0.5
    places = np.stack([columns, rows], axis=-1) / side * width + corner
    # The middle half, where the ramps are not cut. A column's value is its number, half a pixel
    # before its centre.
    middle = slice(side // 4, -(side // 4))
    off = panel[middle, middle, :2] - (places[middle, middle] - 0.5)
    # Panel pixels: cv2.warpAffine's kernel errs by 0.05 on a ramp and its positions by 1/64, the
    # roundings of bytes mostly cancel out.
    assert np.abs(off.mean(axis=(0, 1)) * side / width).max() < 0.1


def test_the_page_lays_the_photograph_under_the_dot(dot):
    image, _, place, _, face = dot
    corner, side = frame_of(face)
    picture = photo_in_frame(image, face)
    start = np.floor(corner).clip(0)  # the picture's first pixel in the photograph
    shown = np.array([picture["x"], picture["y"]]) + (place - start) / side
    chex.assert_trees_all_close(shown, (face.landmarks_px[30] - corner) / side, atol=1e-5)

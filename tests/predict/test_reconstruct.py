"""Photographs in, reconstructions out."""

import chex
import numpy as np
import pytest
from PIL import Image

from twodasl_jax.predict.reconstruct import (
    load_image,
    predict_photo,
    whole_image_box,
)


def test_the_nose_lies_where_camera_and_crop_put_it(frontal, dome_face):
    # The origin projects to (60, 121 - 61) = the crop's middle; the nose is 50 mm in front.
    chex.assert_trees_all_close(frontal.landmarks[30], np.array([100.0, 80.0, 50.0]), atol=1e-4)
    chex.assert_shape(frontal.landmarks_px, (68, 2))
    chex.assert_shape(frontal.vertices, (3, dome_face.num_vertices))
    assert np.argmax(frontal.vertices[2]) == int(dome_face.landmark_vertices[30])


def test_y_of_the_image_runs_down(frontal, dome_face):
    top = int(np.argmax(np.asarray(dome_face.linear.mean)[1]))
    assert frontal.vertices[1, top] == frontal.vertices[1].min()


def test_a_larger_box_scales_points_and_depth_alike(
    dome_face, frontal_coefficients, frontal, reconstruct
):
    doubled = reconstruct(frontal_coefficients, np.array([40.0, 20.0, 280.0, 260.0]))
    # float32 of coordinates up to 300 px: 1e-4 is a few units in the last place.
    chex.assert_trees_all_close(
        np.ptp(doubled.vertices, axis=1), 2 * np.ptp(frontal.vertices, axis=1), atol=1e-4
    )


@pytest.mark.parametrize("yaw", [-40.0, 0.0, 25.0])
def test_head_pose_is_in_degrees(dome_face, frontal_coefficients, roi_box, yaw, reconstruct):
    turned = frontal_coefficients.copy()
    cosine, sine = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    turned[[0, 2, 8, 10]] = cosine, -sine, sine, cosine
    pose = reconstruct(turned, roi_box).head_pose
    # float32 trigonometry and an SVD: 1e-3 degrees is far above their error.
    chex.assert_trees_all_close(
        np.array([pose.pitch, pose.yaw, pose.roll]), np.array([0.0, yaw, 0.0]), atol=1e-3
    )


@pytest.mark.parametrize(
    ("coefficients", "box", "message"),
    [
        (np.zeros((2, 62)), [0, 0, 9, 9], r"\(2, 62\).*one face at a time"),
        (np.full(62, np.nan), [0, 0, 9, 9], "not all finite"),
        (np.zeros(62), [5, 0, 5, 9], "the box is .* expected four finite"),
        (np.zeros(62), [0, 0, np.inf, 9], "expected four finite"),
    ],
)
def test_bad_input_is_refused(dome_face, coefficients, box, message, reconstruct):
    with pytest.raises(ValueError, match=message):
        reconstruct(coefficients, np.array(box, float))


def test_the_whole_image_box_is_a_centred_square():
    chex.assert_trees_all_equal(whole_image_box(100, 60), np.array([-20.0, 0, 80, 100], np.float32))


class FixedFace:
    """A network that knows where the face is: the same face of the image whatever the crop."""

    def __init__(self, coefficients: np.ndarray):
        self.coefficients, self.crops = coefficients, []

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        self.crops.append(crops)
        return self.coefficients[None]


def test_prediction_with_a_box_recrops_as_often_as_asked(dome_face, photo, frontal_coefficients):
    network = FixedFace(frontal_coefficients)
    box = np.array([60.0, 30.0, 140.0, 120.0])
    predict_photo(photo, box, network, dome_face, num_refinements=3)
    assert len(network.crops) == 4
    for crop in network.crops:
        chex.assert_shape(crop, (1, 120, 120, 3))
        assert crop.dtype == np.uint8


def test_without_refinement_the_first_crop_is_kept(dome_face, photo, frontal_coefficients):
    found = predict_photo(
        photo, None, FixedFace(frontal_coefficients), dome_face, num_refinements=0
    )
    chex.assert_trees_all_equal(found.roi_box, whole_image_box(*photo.shape[:2]))


def test_refinement_crops_around_the_predicted_landmarks(
    dome_face, photo, frontal_coefficients, reconstruct
):
    found = predict_photo(
        photo, None, FixedFace(frontal_coefficients), dome_face, num_refinements=1
    )
    first = reconstruct(frontal_coefficients, whole_image_box(*photo.shape[:2]))
    centre = 0.5 * (found.roi_box[:2] + found.roi_box[2:])
    middle = 0.5 * (first.landmarks_px.min(0) + first.landmarks_px.max(0))
    # The box is rounded to whole pixels: each end moves by at most one.
    chex.assert_trees_all_close(centre, middle, atol=1.0)


def test_a_face_that_runs_away_stops_the_search(dome_face, photo, frontal_coefficients):
    away = frontal_coefficients.copy()
    away[3] = 5000.0
    with pytest.raises(ValueError, match="no face can be; give the face's box"):
        predict_photo(photo, None, FixedFace(away), dome_face)


@pytest.mark.parametrize(
    ("image", "box", "message"),
    [
        (np.zeros((9, 9), np.uint8), None, r"expected \(height, width, 3\) uint8"),
        (np.zeros((9, 9, 3), np.float32), None, r"expected \(height, width, 3\) uint8"),
        (np.zeros((9, 9, 3), np.uint8), np.array([5, 5, 5, 9]), "the box is"),
    ],
)
def test_predict_photo_refuses_bad_input(dome_face, frontal_coefficients, image, box, message):
    with pytest.raises(ValueError, match=message):
        predict_photo(image, box, FixedFace(frontal_coefficients), dome_face)


def test_a_prediction_of_the_wrong_shape_is_refused(dome_face, photo):
    with pytest.raises(ValueError, match=r"gave \(1, 12\)"):
        predict_photo(photo, None, lambda crops: np.zeros((1, 12)), dome_face)


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "RGBA", "P", "1", "CMYK"])
def test_every_kind_of_image_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    grey = Image.new("RGB", (7, 5), (90, 90, 90))
    # convert("P") would round to a fixed palette; quantize keeps the colour.
    (grey.quantize(4) if mode == "P" else grey.convert(mode)).save(path)
    image = load_image(path)
    chex.assert_shape(image, (5, 7, 3))
    assert image.dtype == np.uint8
    if mode not in ("1", "CMYK"):
        assert (image == 90).all()


def test_sixteen_bits_keep_their_range(tmp_path):
    levels = np.array([[0, 257, 32896, 65535]], np.uint16)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    chex.assert_trees_all_equal(
        load_image(tmp_path / "deep.png")[..., 1], np.array([[0, 1, 128, 255]], np.uint8)
    )


def test_transparency_is_laid_over_white(tmp_path):
    Image.new("RGBA", (3, 3), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (load_image(tmp_path / "clear.png") == 255).all()


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to view
    Image.new("RGB", (8, 4)).save(tmp_path / "turned.jpg", exif=exif)
    chex.assert_shape(load_image(tmp_path / "turned.jpg"), (8, 4, 3))


def test_unreadable_files_say_why(tmp_path):
    with pytest.raises(FileNotFoundError, match="no image at"):
        load_image(tmp_path / "absent.png")
    with pytest.raises(FileNotFoundError, match="no image at"):
        load_image(tmp_path)
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(ValueError, match="no image that Pillow can read"):
        load_image(tmp_path / "text.png")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for suffix in ("jpg", "png"):
        Image.fromarray(noise).save(tmp_path / f"whole.{suffix}")
        data = (tmp_path / f"whole.{suffix}").read_bytes()
        (tmp_path / f"cut.{suffix}").write_bytes(data[: len(data) // 2])
        with pytest.raises(ValueError, match="cannot be read to its end"):
            load_image(tmp_path / f"cut.{suffix}")
    Image.fromarray(np.zeros((3, 3), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(ValueError, match="floating-point pixels"):
        load_image(tmp_path / "float.tif")

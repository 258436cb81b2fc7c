import cv2
import numpy as np
import pytest

from twodasl_jax.crop_frame import crop_to_image, image_to_crop
from twodasl_jax.data.face_crop import crop_image, roi_box_from_detection, roi_box_from_landmarks


def test_the_landmark_box_is_the_rule_written_out():
    landmarks = np.array([[10.0, 20.0], [110.0, 60.0], [50.0, 90.0]])
    # Centre (60, 55), r = 50, L = 141.42: start round(-10.71, -15.71), side round(141.42).
    np.testing.assert_array_equal(roi_box_from_landmarks(landmarks), [-11, -16, 130, 125])
    with_depth = np.concatenate([landmarks, np.full((3, 1), 1e6)], axis=1)
    np.testing.assert_array_equal(roi_box_from_landmarks(with_depth), [-11, -16, 130, 125])


def test_the_landmark_box_puts_the_landmarks_where_training_has_them():
    landmarks = np.random.default_rng(0).uniform(200, 500, (68, 2))
    crop = image_to_crop(landmarks, roi_box_from_landmarks(landmarks))
    lowest, highest = crop.min(axis=0), crop.max(axis=0)
    # The box is rounded to whole image pixels, each 120/424 of a crop pixel.
    np.testing.assert_allclose((lowest + highest) / 2, 60, atol=0.3)
    assert (highest - lowest).max() == pytest.approx(120 / np.sqrt(2), abs=0.3)


def test_the_detection_box_is_the_rule_written_out():
    # o = 90, centre (150, 140 + 12.6), side int(142.2).
    expected = [150 - 71, 152.6 - 71, 150 + 71, 152.6 + 71]
    # Float32 holds 223.6 to 1e-5.
    np.testing.assert_allclose(
        roi_box_from_detection(np.array([110, 90, 190, 190])), expected, 1e-6
    )


def test_cropping_at_scale_one_copies_pixels_and_pads_with_black():
    photo = np.random.default_rng(1).integers(1, 256, (50, 70, 3)).astype(np.uint8)
    crop = crop_image(photo, np.array([-20, -30, 100, 90]))
    np.testing.assert_array_equal(crop[30:80, 20:90], photo)
    crop[30:80, 20:90] = 0
    assert not crop.any()
    assert not crop_image(photo, np.array([500, 500, 620, 620])).any()


def test_the_box_is_rounded_to_whole_pixels():
    photo = np.random.default_rng(1).integers(0, 256, (130, 130, 3)).astype(np.uint8)
    rounded = crop_image(photo, np.array([3.4, 4.6, 122.7, 125.2]))
    np.testing.assert_array_equal(rounded, crop_image(photo, np.array([3, 5, 123, 125])))


@pytest.mark.parametrize("box", [(-30, -10, 330, 350), (40, 60, 100, 120), (20, 10, 260, 130)])
def test_a_drawn_spot_is_found_where_the_crop_frame_says(box):
    """Cropping and `crop_to_image` are inverses, for shrunk, enlarged and oblong boxes."""
    rows, columns = np.mgrid[:300, :300] + 0.5
    x, y = 70.0, 90.0
    spot = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 6.0**2))
    photo = np.repeat(np.uint8(255 * spot)[..., None], 3, axis=2)
    weights = crop_image(photo, np.array(box))[..., 0].astype(np.float64)
    crop_rows, crop_columns = np.mgrid[:120, :120] + 0.5
    found = np.array([(weights * crop_columns).sum(), (weights * crop_rows).sum()]) / weights.sum()
    # Centroids of 8-bit pixels; half a pixel of another convention would be 0.25 to 2 px.
    np.testing.assert_allclose(crop_to_image(found[None], np.array(box))[0], [x, y], atol=0.05)


def test_cropping_is_opencvs_resize_inside_the_photograph():
    photo = np.random.default_rng(1).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    expected = cv2.resize(photo[20:180, 10:170], (120, 120), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(crop_image(photo, np.array([10, 20, 170, 180])), expected)


PHOTO = np.zeros((20, 30, 3), np.uint8)


@pytest.mark.parametrize(
    ("photo", "box", "message"),
    [
        (PHOTO[..., 0], (0, 0, 9, 9), r"\(20, 30\) uint8; expected \(h, w, 3\) uint8"),
        (PHOTO.astype(np.float32), (0, 0, 9, 9), "float32; expected"),
        (PHOTO, (0, 0, np.nan, 9), "four finite numbers"),
        (PHOTO, (0, 0, 9), "four finite numbers"),
        (PHOTO, (5, 5, 5, 9), "is empty"),
        (PHOTO, (9, 5, 5, 9), "is empty"),
        (PHOTO, (0, 0, 1025, 1024), "over 12 times the area of the 30 x 20 image"),
    ],
)
def test_crop_image_refuses_what_is_no_crop(photo, box, message):
    with pytest.raises(ValueError, match=message):
        crop_image(photo, np.array(box))


@pytest.mark.parametrize(
    ("landmarks", "message"),
    [
        (np.full((68, 2), np.nan), "NaN"),
        (np.zeros(68), r"\(68,\); expected \(n, 2\)"),
        (np.zeros((2, 68)), r"\(2, 68\); expected"),
        (np.zeros((0, 2)), r"\(0, 2\); expected"),
    ],
)
def test_the_landmark_box_refuses(landmarks, message):
    with pytest.raises(ValueError, match=message):
        roi_box_from_landmarks(landmarks)


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (9, 0, 1, 5), (0, 0, np.inf, 5), (0, 0, 5)])
def test_the_detection_box_refuses(box):
    with pytest.raises(ValueError, match="x1 < x2"):
        roi_box_from_detection(np.array(box))


def test_the_bound_on_a_box_is_one_on_memory():
    photo = np.full((400, 600, 3), 255, np.uint8)
    # 12 times 400 x 600 is 1600 x 1800; a small photograph may have a million pixels around it.
    assert crop_image(photo, np.array([-600, -400, 1000, 1400])).any()
    with pytest.raises(ValueError, match="over 12 times the area of the 600 x 400 image"):
        crop_image(photo, np.array([-600, -400, 1001, 1400]))
    assert crop_image(PHOTO + np.uint8(255), np.array([-500, -500, 524, 524])).any()

"""Published annotations of AFLW2000-3D, joined to the images by name."""

import numpy as np
import pytest

from twodasl_jax.data.original.aflw2000_3d_lists import ARCHIVE, FILE_OF, find_lists

NAMES = ["image00002.jpg", "image00004.jpg", "image00006.jpg"]
POINTS = np.random.default_rng(0).uniform(0, 450, (3, 68, 2)).astype(np.float32)


def save(folder, key, array):
    np.save(folder / FILE_OF[key], array)


def test_without_any_every_face_has_unknowns(tmp_path):
    found = find_lists(tmp_path, NAMES)
    assert list(found) == NAMES
    assert np.isnan(found[NAMES[0]].landmarks).all()
    assert found[NAMES[0]].roi_box.shape == (4,)


@pytest.mark.parametrize(
    "layout",
    [
        lambda points: points,
        lambda points: points.swapaxes(1, 2),
        lambda points: np.concatenate([points, points[..., :1]], axis=2),
        lambda points: np.concatenate([points, points[..., :1]], axis=2).swapaxes(1, 2),
    ],
)
def test_lists_are_those_of_the_sorted_names_whatever_their_layout(tmp_path, layout):
    save(tmp_path, "landmarks", layout(POINTS))
    save(tmp_path, "roi_box", np.arange(12).reshape(3, 4))
    found = find_lists(tmp_path, NAMES)
    np.testing.assert_array_equal(found[NAMES[1]].landmarks, POINTS[1])
    np.testing.assert_array_equal(found[NAMES[2]].roi_box, [8, 9, 10, 11])
    assert np.isnan(found[NAMES[1]].reannotated).all()


def test_the_archive_is_joined_by_name_in_any_order_and_case(tmp_path):
    given = ["folder/image00006.JPG", "image00002.jpg", "elsewhere.jpg"]
    np.savez(tmp_path / ARCHIVE, file_name=given, reannotated_landmarks_px=POINTS)
    found = find_lists(tmp_path, NAMES)
    np.testing.assert_array_equal(found["image00002.jpg"].reannotated, POINTS[1])
    assert np.isnan(found["image00004.jpg"].reannotated).all()


def test_a_list_that_no_crop_depends_on_is_passed_over_with_what_it_costs(tmp_path, caplog):
    save(tmp_path, "landmarks", np.zeros((3, 21, 2)))
    assert np.isnan(find_lists(tmp_path, NAMES)[NAMES[0]].landmarks).all()
    assert "is passed over, and that they fit the photographs is not checked" in caplog.text


@pytest.mark.parametrize(
    ("key", "array", "message"),
    [
        ("landmarks", POINTS[:2], "there are 3 images; its rows are those of the sorted"),
        ("roi_box", np.zeros((3, 5)), r"is \(3, 5\) float64; expected \(3, 4\) numbers"),
    ],
)
def test_what_cannot_be_joined_or_would_cost_the_crops_is_refused(tmp_path, key, array, message):
    save(tmp_path, key, array)
    with pytest.raises(ValueError, match=message):
        find_lists(tmp_path, NAMES)


def test_an_archive_of_other_images_or_beside_lists_is_refused(tmp_path):
    np.savez(tmp_path / ARCHIVE, file_name=["x.jpg", "x.jpg"])
    with pytest.raises(ValueError, match="names an image twice"):
        find_lists(tmp_path, NAMES)
    np.savez(tmp_path / ARCHIVE, file_name=["x.jpg"])
    with pytest.raises(ValueError, match=r"names x\.jpg, and none of its 1 names"):
        find_lists(tmp_path, NAMES)
    save(tmp_path, "landmarks", POINTS)
    with pytest.raises(ValueError, match="expected one of them: move the other away"):
        find_lists(tmp_path, NAMES)

import numpy as np
import pytest
import scipy.io

from twodasl_jax.crop_frame import crop_to_image
from twodasl_jax.data.original.aflw_lfpa import (
    corners,
    find_aflw_lfpa,
    find_box_order,
    read_aflw_lfpa,
)


def tables(folder):
    boxes = scipy.io.loadmat(folder / "BoundingBox.mat")["bboxesT"]
    return boxes, scipy.io.loadmat(folder / "Landmark.mat")["phisT"]


def test_one_face(original):
    folder = original("aflw_lfpa")
    boxes, points = tables(folder)
    faces = find_aflw_lfpa(folder)["test"]
    assert [face.file_name for face in faces] == [f"TestImages/{n}.jpg" for n in range(1, 5)]
    sample = read_aflw_lfpa(faces[1])
    visible = points[1, 68:] > 0
    assert visible.sum() == 32
    np.testing.assert_array_equal(sample["visibility"], visible)
    x_and_y = np.stack([points[1, :34], points[1, 34:68]], axis=1)
    np.testing.assert_array_equal(sample["landmarks34_px"][visible], x_and_y[visible])
    assert np.isnan(sample["landmarks34_px"][~visible]).all()
    back = crop_to_image(sample["landmarks34"], sample["roi_box"].astype(np.float64))
    # Float64 rounding.
    np.testing.assert_allclose(back[visible], x_and_y[visible], atol=1e-9)
    np.testing.assert_array_equal(sample["face_box"], boxes[1])


@pytest.mark.parametrize("order", ["x1 y1 x2 y2", "x y width height"])
def test_the_boxes_order_is_told_by_the_landmarks(order):
    generator = np.random.default_rng(0)
    start = generator.uniform(20, 200, (50, 1, 2))
    points = np.ones((50, 34, 3))
    points[..., :2] = start + generator.uniform(0, 150, (50, 34, 2))
    points[:, :5, 2] = 0
    points[:, :5, :2] = -1  # not visible, anywhere
    seen = points[:, 5:, :2]
    boxes = np.concatenate([seen.min(axis=1), seen.max(axis=1)], axis=1)
    given = boxes.copy()
    if order == "x y width height":
        given[:, 2:] -= given[:, :2]
    assert find_box_order(given, points) == order
    # The same sums in another order.
    np.testing.assert_allclose(corners(given, order), boxes, atol=1e-12)


def test_boxes_elsewhere_are_refused(original):
    folder = original("aflw_lfpa")
    boxes, _ = tables(folder)
    scipy.io.savemat(folder / "BoundingBox.mat", {"bboxesT": boxes + 5000})
    with pytest.raises(ValueError, match="no order of bboxesT contains 90%"):
        find_aflw_lfpa(folder)


def test_the_first_missing_thing_is_named(original):
    folder = original("aflw_lfpa")
    boxes, points = tables(folder)
    scipy.io.savemat(folder / "Landmark.mat", {"phisT": points[:, :-1]})
    with pytest.raises(ValueError, match=r"phisT is \(4, 101\) float64; expected \(-1, 102\)"):
        find_aflw_lfpa(folder)
    scipy.io.savemat(folder / "Landmark.mat", {"phisT": points[:-1]})
    with pytest.raises(ValueError, match="bboxesT has 4 rows and phisT 3"):
        find_aflw_lfpa(folder)
    scipy.io.savemat(folder / "BoundingBox.mat", {"boxes": boxes})
    with pytest.raises(ValueError, match=r"BoundingBox\.mat lacks bboxesT"):
        find_aflw_lfpa(folder)
    (folder / "BoundingBox.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"no file .*BoundingBox\.mat"):
        find_aflw_lfpa(folder)
    (folder / "TestImages").rename(folder / "Images")
    with pytest.raises(FileNotFoundError, match=r"no folder .*TestImages"):
        find_aflw_lfpa(folder)


@pytest.mark.parametrize("column", [5, 34 + 5, 68 + 5], ids=["x", "y", "visibility"])
def test_a_point_that_is_not_known_costs_itself(original, column):
    folder = original("aflw_lfpa")
    _, points = tables(folder)
    expected = read_aflw_lfpa(find_aflw_lfpa(folder)["test"][0])
    assert expected["visibility"][5]
    points[0, column] = np.nan
    points[0, 0] = np.nan  # point 1 is not visible: nobody needs its place
    scipy.io.savemat(folder / "Landmark.mat", {"phisT": points})
    sample = read_aflw_lfpa(find_aflw_lfpa(folder)["test"][0])
    assert sample["lacking"] == {"point": "6 holds NaN in phisT"}
    for key in ("landmarks34_px", "landmarks34"):
        assert np.isnan(sample[key][5]).all()
        np.testing.assert_array_equal(np.delete(sample[key], 5, 0), np.delete(expected[key], 5, 0))
    np.testing.assert_array_equal(np.flatnonzero(~sample["visibility"]), [0, 5])


def test_a_missing_image_or_box_is_refused_when_read(original):
    folder = original("aflw_lfpa")
    boxes, _ = tables(folder)
    boxes[0, 1] = np.nan
    scipy.io.savemat(folder / "BoundingBox.mat", {"bboxesT": boxes})
    images = folder / "TestImages"
    (images / "2.jpg").unlink()
    (images / "3.jpg").rename(images / "3.JPG")
    faces = find_aflw_lfpa(folder)["test"]
    with pytest.raises(ValueError, match="bboxesT holds NaN"):
        read_aflw_lfpa(faces[0])
    with pytest.raises(FileNotFoundError, match=r"2\.jpg"):
        read_aflw_lfpa(faces[1])
    assert read_aflw_lfpa(faces[2])["file_name"] == "TestImages/3.jpg"

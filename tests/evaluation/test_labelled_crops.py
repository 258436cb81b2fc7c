"""Labelled crops as a benchmark: manual points, fits, roll."""

import cv2
import numpy as np
import pytest

from twodasl_jax.evaluation.labelled_crops import CROP_FACE_SIDE, open_aflw


@pytest.fixture
def crops(tmp_path):
    """Three crops: one with complete 68 labels, one with some, one without a visible point."""
    random = np.random.default_rng(0)
    (tmp_path / "crops").mkdir()
    for number in range(3):
        picture = random.integers(0, 256, (120, 120, 3)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "crops" / f"{number}.png"), picture)
    points21 = random.uniform(20, 100, (3, 21, 2))
    points21[0, 12], points21[2] = np.nan, np.nan
    points68 = random.uniform(20, 100, (3, 68, 2))
    visibility = np.full((3, 68), 2, np.int8)
    visibility[0, 3] = 1  # hidden by a hand: labelled none the less
    visibility[1, 5], points68[1, 5] = 0, np.nan
    visibility[2], points68[2] = -1, np.nan
    np.savez(
        tmp_path / "annotations.npz",
        file_name=[f"{number}.png" for number in range(3)],
        yaw_degrees=np.array([10.0, -50.0, 80.0]),
        landmarks21_crop_px=points21,
        landmarks68_crop_px=points68,
        landmarks68_visibility=visibility,
    )
    return tmp_path, points68


def test_aflw_from_a_crops_folder(crops, console):
    folder, points68 = crops
    benchmark = open_aflw(folder, console)
    assert benchmark.file_names == ("0.png", "1.png")
    assert [tuple(face) for face in benchmark.left_out] == [
        ("2.png", "no visible point is labelled")
    ]
    size = np.sqrt(np.prod(points68[0].max(0) - points68[0].min(0)))
    # Float64 rounding.
    np.testing.assert_allclose(benchmark.truth["size"], [size, CROP_FACE_SIDE])
    assert pytest.approx(120 / 2**0.5) == CROP_FACE_SIDE
    np.testing.assert_array_equal(benchmark.truth["landmarks68_px"], points68[:2])
    np.testing.assert_array_equal(benchmark.yaw_degrees, [10.0, -50.0])
    np.testing.assert_array_equal(benchmark.roi_box, [[0, 0, 120, 120]] * 2)
    np.testing.assert_array_equal(benchmark.read_photo(1), benchmark.crops[1])


def test_crops_that_are_absent_or_broken(crops, console):
    folder, points68 = crops
    (folder / "crops" / "0.png").unlink()
    with pytest.raises(ValueError, match=r"0\.png: annotations\.npz names it, .*allow_missing"):
        open_aflw(folder, console)
    opened = open_aflw(folder, console, allow_missing=True)
    assert opened.file_names == ("1.png",)
    assert [face.file_name for face in opened.left_out] == ["0.png", "2.png"]
    np.testing.assert_array_equal(opened.truth["landmarks68_px"], points68[1:2])
    np.testing.assert_array_equal(opened.yaw_degrees, [-50.0])
    (folder / "crops" / "0.png").write_bytes(b"-")
    opened = open_aflw(folder, console, allow_missing=True)
    assert "the crop 0.png is unreadable" in opened.left_out[0].reason


@pytest.mark.parametrize("yaw", [np.zeros((3, 1)), np.full(3, "left"), np.zeros(2)])
def test_a_yaw_of_another_shape_costs_the_bins(crops, console, yaw):
    folder, _ = crops
    with np.load(folder / "annotations.npz") as file:
        arrays = dict(file)
    np.savez(folder / "annotations.npz", **(arrays | {"yaw_degrees": yaw}))
    opened = open_aflw(folder, console)
    assert opened.file_names == ("0.png", "1.png")
    assert np.isnan(opened.yaw_degrees).all()
    assert len(opened.notes) == 1
    assert "there are no yaw bins" in opened.notes[0]


@pytest.mark.shared_data
def test_the_face_side_is_that_of_real_crops(shared_data):
    """The crops were cut by the landmarks' rule, as `CROP_FACE_SIDE` assumes."""
    with np.load(shared_data / "aflw_in_the_wild" / "annotations.npz") as file:
        points, visibility = file["landmarks68_crop_px"], file["landmarks68_visibility"]
    complete = points[(visibility > 0).all(axis=1)]
    longer = np.ptp(complete, axis=1).max(axis=1)
    # Manual labels, and crops cut around other, automatic ones: 83.4 px against 84.9.
    assert longer.mean() == pytest.approx(CROP_FACE_SIDE, rel=0.03)

"""Opening benchmarks: made-up folders in the owners' layouts, and crops folders."""

import cv2
import numpy as np
import pytest

from twodasl_jax.data.face_crop import crop_image
from twodasl_jax.data.original.files import read_photo
from twodasl_jax.evaluation.benchmark_faces import (
    CROP_FACE_SIDE,
    open_aflw,
    open_aflw2000_3d,
    open_aflw_lfpa,
)


def test_aflw2000_3d_from_its_folder(original, console):
    folder = original("aflw2000_3d")
    generator = np.random.default_rng(0)
    detected = generator.uniform(0, 120, (2, 68, 2))
    relabelled = generator.uniform(40, 140, (2, 68, 2))
    boxes = np.array([[10.0, 12.0, 150.0, 160.0], [5.0, 5.0, 165.0, 145.0]])
    np.savez(
        folder / "annotations.npz",
        file_name=["image00004.jpg", "image00002.jpg"],
        roi_box=boxes,
        reannotated_landmarks_px=relabelled,
        detected_landmarks_crop_px=detected,
    )
    benchmark = open_aflw2000_3d(folder, console)
    assert benchmark.file_names == tuple(f"image0000{n}.jpg" for n in (2, 3, 4, 5))
    np.testing.assert_array_equal(benchmark.roi_box[[2, 0]], boxes)
    # Stored in float32: hundreds of pixels.
    np.testing.assert_allclose(benchmark.truth["reannotated"][[2, 0]], relabelled, atol=1e-4)
    assert np.isnan(benchmark.truth["reannotated"][[1, 3]]).all()
    expected = detected[0] * (boxes[0, 2:] - boxes[0, :2]) / 120 + boxes[0, :2]
    np.testing.assert_allclose(benchmark.published_detections[2], expected, atol=1e-4)
    assert np.isnan(benchmark.published_detections[1]).all()
    photo = read_photo(folder / "AFLW2000" / "image00004.jpg")
    np.testing.assert_array_equal(benchmark.read_photo(2), photo)
    np.testing.assert_array_equal(benchmark.crops[2], crop_image(photo, boxes[0]))
    assert "leak" in benchmark.conventions["crop_source"]


def test_a_broken_face_is_named_and_not_left_out(original, console):
    folder = original("aflw2000_3d")
    (folder / "AFLW2000" / "image00004.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"image00004\.jpg: .* scored whole, repair it"):
        open_aflw2000_3d(folder, console)


def test_a_folder_of_something_else_says_what_is_expected(tmp_path, console):
    with pytest.raises(FileNotFoundError, match="holds neither AFLW2000/ nor a prepared data set"):
        open_aflw2000_3d(tmp_path, console)
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent"):
        open_aflw_lfpa(tmp_path / "absent", console)


def test_aflw_lfpa_from_its_folder(original, console):
    benchmark = open_aflw_lfpa(original("aflw_lfpa"), console)
    assert benchmark.file_names == tuple(f"TestImages/{n}.jpg" for n in (1, 2, 3, 4))
    assert np.isnan(benchmark.yaw_degrees).all()
    truth = benchmark.truth["landmarks34_px"]
    start, end = np.split(benchmark.truth["face_box"][:, None], 2, axis=-1)
    seen = np.isfinite(truth).all(axis=-1)
    assert seen.any()
    assert ((truth >= start) & (truth <= end)).all(axis=-1)[seen].mean() > 0.9
    crop = crop_image(benchmark.read_photo(1), benchmark.roi_box[1])
    np.testing.assert_array_equal(benchmark.crops[1], crop)


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


@pytest.mark.shared_data
def test_the_face_side_is_that_of_real_crops(shared_data):
    """The crops were cut by the landmarks' rule, as `CROP_FACE_SIDE` assumes."""
    with np.load(shared_data / "aflw_in_the_wild" / "annotations.npz") as file:
        points, visibility = file["landmarks68_crop_px"], file["landmarks68_visibility"]
    complete = points[(visibility > 0).all(axis=1)]
    longer = np.ptp(complete, axis=1).max(axis=1)
    # Manual labels, and crops cut around other, automatic ones: 83.4 px against 84.9.
    assert longer.mean() == pytest.approx(CROP_FACE_SIDE, rel=0.03)

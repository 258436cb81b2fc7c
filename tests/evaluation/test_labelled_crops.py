"""Labelled crops as a benchmark: manual points, fits, roll."""

import json

import cv2
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from twodasl_jax.data.fitted_source import FITTED_LANDMARKS, SETTINGS_FILE
from twodasl_jax.evaluation.benchmark import CannotMeasureError, Predictions
from twodasl_jax.evaluation.benchmark_metrics import (
    landmarks21_2d,
    landmarks68_2d,
    visible_2d,
    with_21,
)
from twodasl_jax.evaluation.labelled_crops import (
    CROP_FACE_SIDE,
    open_aflw,
    roll_of_points,
    with_fits,
)
from twodasl_jax.face_model.landmarks import landmark_model
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.geometry.rotation import rotation_from_euler
from twodasl_jax.landmark_tables import LANDMARKS_21_FROM_68


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


def of_landmarks(landmarks):
    return Predictions(landmarks, None, {})


def rewritten(folder, **arrays):
    with np.load(folder / "annotations.npz") as file:
        np.savez(folder / "annotations.npz", **(dict(file) | arrays))


def test_visible_points_of_68_where_a_face_has_them_else_of_21(crops, console):
    folder, points68 = crops
    points21 = np.random.default_rng(1).uniform(20, 100, (3, 21, 2))
    points21[2, 4] = np.nan
    points68[1, 7] = 120 + 21.0, 60.0  # an annotator's slip
    rewritten(folder, landmarks21_crop_px=points21, landmarks68_crop_px=points68)
    benchmark = open_aflw(folder, console)
    found = np.random.default_rng(2).uniform(20, 100, (3, 68, 2))
    expected = []
    for face, hidden in ((0, {3}), (1, {5, 7})):
        seen = [index for index in range(68) if index not in hidden]
        distances = [np.linalg.norm(found[face, i] - points68[face, i]) for i in seen]
        expected.append(np.mean(distances) / benchmark.truth["size"][face])
    of_21 = [found[2, list(rows)].mean(axis=0) for rows in LANDMARKS_21_FROM_68]
    distances = [np.linalg.norm(of_21[i] - points21[2, i]) for i in range(21) if i != 4]
    expected.append(np.mean(distances) / CROP_FACE_SIDE)
    errors = visible_2d(benchmark, of_landmarks(found))
    # Float64 rounding.
    np.testing.assert_allclose(errors["manual"], expected)


def test_a_face_without_one_of_the_21_has_no_error_by_them(crops, console):
    folder, points68 = crops
    unknown = np.full((3, 21, 2), np.nan)
    rewritten(folder, landmarks21_crop_px=unknown)
    benchmark = open_aflw(folder, console)
    assert benchmark.file_names == ("0.png", "1.png")
    found = of_landmarks(np.where(np.isfinite(points68[:2]), points68[:2], 60.0))
    np.testing.assert_allclose(visible_2d(benchmark, found)["manual"], 0)
    with pytest.raises(CannotMeasureError, match="no face has a visible one of 21"):
        landmarks21_2d(benchmark, found)
    unknown[0, 0] = points68[0, 17] + (3.0, 4.0)
    rewritten(folder, landmarks21_crop_px=unknown)
    benchmark = open_aflw(folder, console)
    expected = [5 / benchmark.truth["size"][0], np.nan]
    np.testing.assert_allclose(landmarks21_2d(benchmark, found)["visible"], expected)


def write_fits(folder, names, points):
    folder.mkdir(exist_ok=True)
    arrays = {} if points is None else {FITTED_LANDMARKS: points}
    np.savez(folder / "annotations.npz", file_name=names, **arrays)
    (folder / SETTINGS_FILE).write_text(json.dumps({"face_model": "some"}))


def test_fits_are_joined_by_name(crops, console, tmp_path):
    folder, points68 = crops
    benchmark = open_aflw(folder, console)
    fitted = points68[[1, 0]]
    fitted[0, 5] = 61.0
    write_fits(tmp_path / "fits", ["1.png", "elsewhere.png"], fitted)
    with_one = with_fits(benchmark, tmp_path / "fits")
    assert with_one.label_sets == ("fits",)
    found = fitted[[1, 0]] + np.array([3.0, 4.0])
    size = np.sqrt(np.prod(np.ptp(fitted[0], axis=0)))
    # Float64 rounding.
    np.testing.assert_allclose(
        landmarks68_2d(with_one, of_landmarks(found))["fits"], [np.nan, 5 / size]
    )
    assert "1 of 2 faces" in with_one.conventions["fits"]
    # Numbers by other fits do not belong beside these.
    write_fits(tmp_path / "fits", ["1.png"], fitted[:1] + 1)
    assert with_fits(benchmark, tmp_path / "fits").conventions != with_one.conventions
    with pytest.raises(CannotMeasureError):
        landmarks68_2d(benchmark, of_landmarks(found))


@pytest.mark.parametrize(
    ("names", "points", "message"),
    [
        (["7.png"], np.ones((1, 68, 2)), "fits of none of the 2 faces"),
        (["1.png"], None, "has no fitted_landmarks68_crop_px.*fit again"),
        (["1.png"], np.ones((2, 68, 2)), "fitted_landmarks68_crop_px"),
        (["1.png"], np.full((1, 68, 2), np.nan), "hold NaN or infinity; .*fit again"),
    ],
)
def test_fits_that_cannot_be_scored_by(crops, console, tmp_path, names, points, message):
    benchmark = open_aflw(crops[0], console)
    with pytest.raises(FileNotFoundError, match=r"holds no fitted faces.*--mode=annotate"):
        with_fits(benchmark, tmp_path / "fits")
    write_fits(tmp_path / "fits", names, points)
    with pytest.raises(ValueError, match=message):
        with_fits(benchmark, tmp_path / "fits")


@pytest.mark.parametrize("turn", [0.0, 30.0, -100.0, 175.0])
@pytest.mark.parametrize("yaw", [0.0, -50.0, 85.0])
def test_roll_is_what_the_picture_shows(turn, yaw):
    """The mean face, posed and then turned in the picture, half of it hidden."""
    mean = np.asarray(landmark_model(load_face_model()).mean, np.float64)
    rotation = rotation_from_euler(jnp.float32(0.0), jnp.deg2rad(yaw), jnp.float32(0.0))
    x, y = (3 * np.asarray(rotation, np.float64) @ mean)[:2]
    angle = np.deg2rad(turn)
    # y down; to the right is clockwise, and positive.
    right = np.cos(angle) * x + np.sin(angle) * y
    up = -np.sin(angle) * x + np.cos(angle) * y
    points = with_21(np.stack([right + 60, 60 - up], axis=-1)[None]).repeat(3, axis=0)
    points[0, 68:] = np.nan
    points[0, [*range(17, 22), *range(36, 42), *range(31, 34), *range(48, 52)]] = np.nan
    points[1, :68] = np.nan
    points[2, 20:] = np.nan  # a contour, and three points within
    # Float32 rotation.
    np.testing.assert_allclose(roll_of_points(points), [turn, turn, np.nan], atol=1e-3)


@pytest.mark.shared_data
def test_the_validation_faces_by_yaw_and_roll(shared_data):
    benchmark = open_aflw(shared_data / "aflw_validation", Console(quiet=True))
    yaw, roll = np.abs(benchmark.yaw_degrees), np.abs(benchmark.roll_degrees)
    assert np.histogram(yaw, [0, 30, 60, 180])[0].tolist() == [1510, 605, 419]
    assert np.histogram(roll, [0, 15, 45, 90, 180])[0].tolist() == [2142, 391, 1, 0]
    labels = benchmark.truth["landmarks68_px"]
    complete = np.flatnonzero(np.isfinite(labels).all(axis=(1, 2)))
    found = np.where(np.isfinite(labels), labels, 0) + np.array([0.6, 0.8])
    errors = visible_2d(benchmark, of_landmarks(found))["manual"]
    expected = 1 / benchmark.truth["size"]
    # Stored in float32 pixels.
    np.testing.assert_allclose(errors[complete], expected[complete], rtol=1e-4)
    # AFLW's own 21 points, another annotator's, agree with these 68 to some percent.
    by_21 = landmarks21_2d(benchmark, of_landmarks(found))["visible"][complete]
    assert np.median(by_21) < 0.05

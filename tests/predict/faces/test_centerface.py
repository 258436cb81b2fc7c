"""CenterFace: what its maps say against a literal reading, its file, pictures of any size."""

import hashlib

import chex
import cv2
import numpy as np
import pytest
from skimage import data

from twodasl_jax.predict.faces import centerface
from twodasl_jax.predict.faces.centerface import (
    WEIGHTS,
    WEIGHTS_SHA256,
    CenterFace,
    Detections,
    join,
    read_weights,
    without_doubles,
)


@pytest.fixture(scope="module")
def network():
    return CenterFace()


def test_maps_are_read_as_the_paper_says():
    generator = np.random.default_rng(0)
    likelihood = np.zeros((1, 6, 9), np.float32)
    likelihood[0, 2, 7], likelihood[0, 5, 1] = 0.9, 0.4
    log_size, offset = generator.normal(size=(2, 2, 6, 9)).astype(np.float32)
    points = generator.normal(size=(10, 6, 9)).astype(np.float32)
    found = centerface._decode(likelihood, log_size, offset, points, least_score=0.4)
    for index, (row, column) in enumerate(((2, 7), (5, 1))):
        height, width = 4 * np.exp(log_size[:, row, column].astype(float))
        y = 4 * (row + 0.5 + offset[0, row, column])
        x = 4 * (column + 0.5 + offset[1, row, column])
        left, top = x - width / 2, y - height / 2
        chex.assert_trees_all_close(
            found.boxes[index], np.array([left, top, left + width, top + height]), rtol=1e-6
        )
        assert found.scores[index] == likelihood[0, row, column]
        for point in range(5):
            down, right = points[2 * point : 2 * point + 2, row, column]
            chex.assert_trees_all_close(
                found.points[index, point],
                np.array([left + right * width, top + down * height]),
                rtol=1e-5,
            )


def test_of_boxes_that_overlap_the_surest_stays_and_comes_first():
    boxes = np.array([[0.0, 0, 10, 10], [40, 40, 50, 50], [1, 0, 11, 10], [6, 0, 16, 10]])
    found = Detections(boxes, np.array([0.5, 0.6, 0.9, 0.4]), np.zeros((4, 5, 2)))
    # The last shares a third of the third's union: more than 0.3; of the first's, which is gone.
    assert without_doubles(found).scores.tolist() == [0.9, 0.6]
    assert without_doubles(join([])).boxes.shape == (0, 4)


def test_moving_scales_about_the_origin_first():
    found = Detections(np.array([[1.0, 2, 3, 4]]), np.ones(1), np.ones((1, 5, 2)))
    moved = found.moved(np.array([10.0, 20.0]), 2.0)
    assert moved.boxes.tolist() == [[12, 24, 16, 28]]
    assert moved.points[0, 0].tolist() == [12, 22]


@pytest.mark.parametrize("size", [(224, 224), (190, 251), (320, 97)])
def test_it_sees_a_face_in_a_picture_of_any_size(network, size):
    # Her face, 108 x 130 pixels of the whole picture, is framed by hand in the other tests.
    face = data.astronaut()[40:220, 130:310]
    side = min(size)
    picture = np.full((*size, 3), 90, np.uint8)
    picture[-side:, -side:] = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
    found = network(picture, least_score=0.5)
    assert len(found.scores) == 1
    left, top, right, bottom = found.boxes[0]
    middle = np.array([size[1] - side, size[0] - side]) + side * np.array([0.51, 0.5])
    assert np.abs(np.array([left + right, top + bottom]) / 2 - middle).max() < 0.12 * side
    eyes, nose, mouth = found.points[0, :2], found.points[0, 2], found.points[0, 3:]
    assert eyes[0, 0] < nose[0] < eyes[1, 0]
    assert eyes[:, 1].max() < nose[1] < mouth[:, 1].min()
    assert (found.points[0] > (left, top)).all()
    assert (found.points[0] < (right, bottom)).all()


def test_a_picture_of_one_pixel_shows_nothing(network):
    assert network(np.zeros((1, 1, 3), np.uint8), least_score=0.1).boxes.shape == (0, 4)


def test_the_file_is_the_published_one():
    assert hashlib.sha256(read_weights()).hexdigest() == WEIGHTS_SHA256
    assert "Permission is hereby granted" in (WEIGHTS.parent / "LICENSE").read_text()
    assert WEIGHTS_SHA256 in (WEIGHTS.parent / "README.md").read_text()


def test_a_damaged_or_absent_file_is_refused_by_name(tmp_path, monkeypatch):
    file = tmp_path / "centerface.onnx"
    monkeypatch.setattr(centerface, "WEIGHTS", file)
    with pytest.raises(ValueError, match=r"not at .*centerface\.onnx; install the package anew"):
        CenterFace()
    file.write_bytes(WEIGHTS.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"damaged.*install the package anew"):
        CenterFace()
    file.write_bytes(b"")
    with pytest.raises(ValueError, match="damaged"):
        CenterFace()


def test_an_opencv_that_sees_wrong_faces_is_refused(monkeypatch):
    monkeypatch.setattr(cv2, "__version__", "4.11.0")
    with pytest.raises(ValueError, match=r"OpenCV 4\.11\.0 finds faces where none are; version 5"):
        CenterFace()


def test_pictures_of_other_sizes_between_change_nothing(network):
    face = np.ascontiguousarray(data.astronaut()[40:220, 130:310])
    first = network(face, least_score=0.3)
    network(face[:97, :140], least_score=0.3)
    again = network(face, least_score=0.3)
    chex.assert_trees_all_equal(first, again)
    chex.assert_trees_all_equal(first, CenterFace()(face, least_score=0.3))

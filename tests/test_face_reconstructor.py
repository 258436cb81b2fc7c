"""The Python API, with an untrained network whose whitening holds its faces near the middle."""

import dataclasses

import chex
import numpy as np
import pytest

from tests.pretrained.untrained import untrained_network
from twodasl_jax import face_reconstructor
from twodasl_jax.face_model.model import save_face_model
from twodasl_jax.face_reconstructor import BATCH_SIZES, FaceReconstructor
from twodasl_jax.methods.twodasl_setup import TwoDASLMethod
from twodasl_jax.predict.faces import upright_search
from twodasl_jax.predict.faces.face_detectors import FACE_DETECTORS, FaceBox
from twodasl_jax.predict.faces.landmark_detectors import LANDMARK_DETECTORS
from twodasl_jax.pretrained import names
from twodasl_jax.pretrained.network_file import write_network_file

BOX = np.array([60.0, 40.0, 130.0, 120.0], np.float32)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (180, 200, 3), np.uint8)


@pytest.fixture(scope="module")
def reconstructor(trained) -> FaceReconstructor:
    return FaceReconstructor(trained, detector="whole_image")


def test_a_face_has_all_its_parts(reconstructor, photo, small_face_model):
    (face,) = reconstructor(photo, boxes=[BOX])
    chex.assert_shape(face.coefficients, (62,))
    chex.assert_shape(face.landmarks, (68, 3))
    chex.assert_shape(face.landmarks_px, (68, 2))
    chex.assert_shape(face.vertices, (3, small_face_model.num_vertices))
    chex.assert_shape(face.crop, (120, 120, 3))
    chex.assert_trees_all_equal(face.box, BOX)
    assert face.score is None
    # The whitening allows a hundredth of the mean rotation: a few degrees.
    for angle in (face.head_pose.pitch, face.head_pose.yaw, face.head_pose.roll):
        assert abs(angle) < 15
    landmarks = np.asarray(small_face_model.landmark_vertices)
    chex.assert_trees_all_equal(face.landmarks, face.vertices[:, landmarks].T)
    for part in (face.camera.scale, face.camera.rotation, face.camera.translation):
        assert isinstance(part, np.ndarray | np.floating)


def test_nothing_is_compiled_again_within_a_batch_size(trained, photo, monkeypatch):
    # An untrained network's fits are all in doubt: no other ways up are tried here.
    monkeypatch.setattr(upright_search, "DOUBTED", 0.0)
    traced = []

    class Counted(TwoDASLMethod):
        def predict(self, networks, constants, image, landmarks):
            traced.append(image.shape[0])
            return super().predict(networks, constants, image, landmarks)

    fields = dataclasses.fields(TwoDASLMethod)
    counted = Counted(**{field.name: getattr(trained.method, field.name) for field in fields})
    reconstructor = FaceReconstructor(trained._replace(method=counted), detector="whole_image")
    other = np.random.default_rng(1).integers(0, 256, (400, 90, 3), np.uint8)
    reconstructor(photo, boxes=[BOX])
    assert len(traced) == 1
    reconstructor(other, boxes=[BOX / 2])
    reconstructor(photo)
    reconstructor.reconstruct_at(other, [BOX])
    assert len(traced) == 1
    reconstructor(photo, boxes=[BOX, BOX + 5, BOX - 5])  # three are padded to four
    reconstructor(photo, boxes=[BOX, BOX + 5, BOX - 5, BOX + 9])
    assert len(traced) == 2


def test_batches_give_what_single_crops_give(reconstructor, photo):
    generator = np.random.default_rng(2)
    crops = generator.integers(0, 256, (BATCH_SIZES[-1] + 3, 120, 120, 3), np.uint8)
    landmarks = generator.uniform(20, 100, (len(crops), 18, 2))
    landmarks[::2] = np.nan
    faces = reconstructor.reconstruct_crops(crops, landmarks)
    chex.assert_shape(faces.coefficients, (len(crops), 62))
    for index in (0, 1, BATCH_SIZES[-1] - 1, len(crops) - 1):
        alone = reconstructor.reconstruct_crops(crops[[index]], landmarks[[index]])
        # Sums over a batch of another size are grouped otherwise: float32 rounding.
        chex.assert_trees_all_close(
            faces.coefficients[index], alone.coefficients[0], rtol=1e-3, atol=1e-4
        )


def test_the_second_pass_uses_the_first_ones_landmarks(trained, photo):
    once = FaceReconstructor(trained, detector="whole_image", num_passes=1)
    twice = FaceReconstructor(trained, detector="whole_image", num_passes=2)
    crops = photo[None, :120, :120]
    nothing = once.reconstruct_crops(crops).coefficients
    own = twice.reconstruct_crops(crops).coefficients
    assert not np.array_equal(nothing, own)
    points = np.random.default_rng(3).uniform(20, 100, (1, 18, 2))
    # Given landmarks are kept: both passes then see the same, and so does one.
    chex.assert_trees_all_close(
        once.reconstruct_crops(crops, points).coefficients,
        twice.reconstruct_crops(crops, points).coefficients,
        rtol=1e-4,
        atol=1e-5,  # two programs: float32 rounding
    )


def test_detected_faces_come_largest_first(trained, photo, monkeypatch):
    found = [
        FaceBox(np.array([10.0, 10.0, 40.0, 40.0]), 0.8),
        FaceBox(np.array([60.0, 60.0, 160.0, 160.0]), 0.9),
    ]
    monkeypatch.setitem(FACE_DETECTORS, "made_up", lambda: lambda image, **_: found)
    faces = FaceReconstructor(trained, detector="made_up")(photo)
    assert [face.score for face in faces] == [0.9, 0.8]


def test_two_boxes_of_one_face_give_one_the_surer(trained, photo, monkeypatch):
    found = [FaceBox(BOX, 0.8), FaceBox(BOX + 3.0, 0.95)]
    monkeypatch.setitem(FACE_DETECTORS, "twice", lambda: lambda image, **_: found)
    (face,) = FaceReconstructor(trained, detector="twice")(photo)
    assert face.score == 0.95


def test_no_face_is_an_empty_list(trained, photo, monkeypatch):
    monkeypatch.setitem(FACE_DETECTORS, "blind", lambda: lambda image, **_: [])
    assert FaceReconstructor(trained, detector="blind")(photo) == []


def test_a_landmark_detector_feeds_the_network(trained, photo, monkeypatch, reconstructor):
    points = np.random.default_rng(4).uniform(40, 140, (2, 68, 2))
    monkeypatch.setitem(LANDMARK_DETECTORS, "made_up", lambda: lambda image: points)
    by_detector = FaceReconstructor(trained, detector="made_up")(photo)
    by_hand = reconstructor(photo, landmarks=points)
    assert len(by_detector) == len(by_hand) == 2
    for detected, given in zip(by_detector, by_hand, strict=True):
        chex.assert_trees_all_equal(detected.coefficients, given.coefficients)


def test_the_detector_is_made_once_and_only_when_needed(trained, photo, monkeypatch):
    made = []
    monkeypatch.setitem(
        FACE_DETECTORS,
        "counted",
        lambda: made.append(1) or (lambda image, **_: [FaceBox(BOX, 1.0)]),
    )
    reconstructor = FaceReconstructor(trained, detector="counted")
    reconstructor(photo, boxes=[BOX])
    assert made == []
    reconstructor(photo)
    reconstructor(photo)
    assert made == [1]


def test_wrong_settings_and_arguments_are_refused(trained, photo, reconstructor):
    with pytest.raises(ValueError, match="no detector is called 'eyes'; choose one of"):
        FaceReconstructor(trained, detector="eyes")
    with pytest.raises(ValueError, match="num_passes is 3; expected 1 or 2"):
        FaceReconstructor(trained, num_passes=3)
    with pytest.raises(ValueError, match="both boxes and landmarks"):
        reconstructor(photo, boxes=[BOX], landmarks=np.zeros((1, 68, 2)))
    with pytest.raises(ValueError, match=r"expected \(n, 120, 120, 3\) uint8"):
        reconstructor.reconstruct_crops(photo[None])
    with pytest.raises(ValueError, match=r"landmarks are \(2, 18, 2\)"):
        reconstructor.reconstruct_crops(photo[None, :120, :120], np.zeros((2, 18, 2)))


def test_a_checkpoint_is_read_by_its_folder(trained, photo, monkeypatch, tmp_path):
    monkeypatch.setattr(face_reconstructor, "open_trained", lambda path, wanted, **_: trained)
    reconstructor = FaceReconstructor.from_checkpoint(tmp_path, detector="whole_image")
    assert len(reconstructor(photo)) == 1


def test_the_packages_networks_are_read_by_name(small_face_model, tmp_path, monkeypatch):
    monkeypatch.setattr(names, "FOLDER", tmp_path)
    write_network_file(tmp_path / "bfm.npz", untrained_network(small_face_model))
    path = tmp_path / "small.npz"
    linear = small_face_model.linear
    arrays = {
        "mean": linear.mean,
        "shape_basis": linear.shape_basis,
        "expression_basis": linear.expression_basis,
        **{
            name: getattr(small_face_model, name)
            for name in ("triangles", "landmark_vertices", "mirror_vertices", "uv")
        },
    }
    save_face_model(path, {name: np.asarray(array) for name, array in arrays.items()})
    reconstructor = FaceReconstructor.pretrained("bfm", face_model=str(path), max_faces=3)
    assert reconstructor.face_model.num_vertices == small_face_model.num_vertices
    assert "pretrained:bfm, for the face model 'small'; licence: none" in reconstructor.about
    with pytest.raises(FileNotFoundError, match="no weights for 'pretrained:open'"):
        FaceReconstructor.pretrained()
    with pytest.raises(ValueError, match="no network is called 'pretrained:other'"):
        FaceReconstructor.pretrained("other")


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="run"):
        FaceReconstructor.from_checkpoint(tmp_path)

"""`--mode=annotate --prior`: fits begin at a network's faces and are held near them."""

import json

import cv2
import numpy as np
import pytest

from tests.pretrained.untrained import untrained_network
from twodasl_jax.crop_frame import crop_to_image
from twodasl_jax.data.fitted_source import FITTED_LANDMARKS, SETTINGS_FILE, FittedSource
from twodasl_jax.experiment.sources.rendered_data import sample_model_faces
from twodasl_jax.face_model.model import face_model_crc, load_face_model
from twodasl_jax.jobs.annotate import annotate
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_21, LANDMARKS_18_FROM_68
from twodasl_jax.methods.twodasl_setup import MEAN, STD
from twodasl_jax.pretrained.network_file import write_network_file

TURNS = (0, 50, -120, 180)
COUNT = len(TURNS)
BOX = np.array([60.0, 20.0, 300.0, 260.0])


@pytest.fixture(scope="module")
def open_face():
    return load_face_model()


@pytest.fixture(scope="module")
def faces(open_face):
    return sample_model_faces(open_face, np.random.default_rng(0), COUNT)


@pytest.fixture(scope="module")
def network(open_face, tmp_path_factory):
    """A network that sees the mean face, frontal and upright, in every crop."""
    untrained = untrained_network(open_face)
    spread = np.concatenate([np.tile([0.1, 0.1, 0.1, 5.0], 3), np.ones(50)]).astype(np.float32)
    path = tmp_path_factory.mktemp("network") / "network.npz"
    changed = {"arrays": {MEAN: untrained.arrays[MEAN], STD: spread}}
    write_network_file(path, untrained_network(open_face, **changed))
    return str(path)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory, faces):
    """Photographs of heads at any angle, with 68 labels, some of them unknown."""
    folder = tmp_path_factory.mktemp("photographs")
    generator, points = np.random.default_rng(1), []
    middle = (BOX[:2] + BOX[2:]) / 2
    for index, turn in enumerate(np.deg2rad(TURNS)):
        picture = generator.integers(0, 256, (300, 400, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), picture)
        cos, sin = np.cos(turn), np.sin(turn)
        off = crop_to_image(faces.landmarks[index], BOX) - middle
        points.append(off @ np.array([[cos, sin], [-sin, cos]]) + middle)
    points[1][40:45] = np.nan
    names = np.array([f"{index}.png" for index in range(COUNT)])
    np.savez(folder / "labels.npz", file_name=names, landmarks68_px=np.stack(points))
    return folder


def fitted(images, output, **changes):
    chosen = {"landmarks": None, "detector": None, "face_model": None, "contour": "fixed"}
    chosen |= {"prior": None, "prior_weight": None, "max_residual": 4.0}
    annotate(images=str(images), output=str(output), **(chosen | changes))
    with np.load(output / "annotations.npz") as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="module")
def weakly_held(photographs, network, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "fits"
    labels = str(photographs / "labels.npz")
    return output, fitted(photographs, output, landmarks=labels, prior=network, prior_weight=1e-3)


def lean_degrees(coefficients):
    """Of the head's upright axis, clockwise, as the picture shows it."""
    return np.rad2deg(np.arctan2(coefficients[:, 1], coefficients[:, 5]))


def test_weakly_held_fits_meet_the_labels_of_heads_at_any_angle(weakly_held, open_face, faces):
    output, arrays = weakly_held
    assert len(FittedSource(output, face_model_crc=face_model_crc(open_face))) == COUNT
    distance = np.linalg.norm(arrays[FITTED_LANDMARKS] - arrays["landmarks68_crop_px"], axis=-1)
    assert np.isnan(distance[1, 40:45]).all()
    # The labels are the model's own points.
    assert np.nanmean(distance, axis=1).max() < 0.5
    turned = lean_degrees(arrays["coefficients"]) - lean_degrees(faces.coefficients)
    away = (turned - np.array(TURNS) + 180) % 360 - 180
    assert np.abs(away).max() < 10


def test_a_strong_prior_keeps_the_networks_faces(photographs, network, tmp_path):
    arrays = fitted(
        photographs,
        tmp_path / "fits",
        landmarks=str(photographs / "labels.npz"),
        prior=network,
        prior_weight=1e4,
        max_residual=1000.0,
    )
    assert np.abs(arrays["coefficients"][:, 12:]).max() < 0.01
    assert np.abs(arrays["yaw_degrees"]).max() < 3


def test_the_network_is_named_in_the_settings(weakly_held, network):
    settings = json.loads((weakly_held[0] / SETTINGS_FILE).read_text())
    assert settings["options"] == {"prior_weight": 1e-3}
    told = settings["prior"]
    assert (told["network"], told["stage"], told["step"]) == (network, "only", 0)
    assert len(told["weights_checksum"]) == 8


def test_faces_with_21_points_alone_count_too(weakly_held, network, photographs, tmp_path):
    """A crops folder as AFLW's: one face has no 68 labels."""
    output, arrays = weakly_held
    images = tmp_path / "crops"
    images.mkdir()
    (images / "crops.tar").write_bytes((output / "crops.tar").read_bytes())
    first, second = LANDMARKS_18_FROM_68.T
    points = arrays[FITTED_LANDMARKS]
    arrays["landmarks21_crop_px"][:, LANDMARKS_18_FROM_21] = (
        points[:, first] + points[:, second]
    ) / 2
    arrays["landmarks68_visibility"][2] = 0
    arrays["landmarks68_crop_px"][2] = np.nan
    given = ("file_name", "landmarks21_crop_px", "landmarks68_visibility", "landmarks68_crop_px")
    np.savez(images / "annotations.npz", **{key: arrays[key] for key in given})
    again = fitted(images, tmp_path / "fits", prior=network, prior_weight=1e-3)
    assert len(again["file_name"]) == COUNT
    distance = np.linalg.norm(again[FITTED_LANDMARKS] - points, axis=-1).mean(axis=1)
    assert distance[[0, 1, 3]].max() < 0.5
    assert distance[2] < 4.0  # of its 68 points 18 were seen
    alone = fitted(images, tmp_path / "alone")
    assert len(alone["file_name"]) == COUNT - 1


def test_what_cannot_be_a_prior_is_refused(photographs, network, small_face_model, tmp_path):
    labels = {"landmarks": str(photographs / "labels.npz")}
    with pytest.raises(ValueError, match="--prior_weight was given without --prior"):
        fitted(photographs, tmp_path / "o", **labels, prior_weight=1.0)
    for weight in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="expected a positive number"):
            fitted(photographs, tmp_path / "o", **labels, prior=network, prior_weight=weight)
    with pytest.raises(FileNotFoundError, match="absent"):
        fitted(photographs, tmp_path / "o", **labels, prior=str(tmp_path / "absent"))
    with pytest.raises(ValueError, match="no network is called 'pretrained:x'"):
        fitted(photographs, tmp_path / "o", **labels, prior="pretrained:x")
    with pytest.raises(ValueError, match="lies in --output"):
        fitted(photographs, tmp_path, **labels, prior=str(tmp_path / "run"))
    assert not list(tmp_path.iterdir())

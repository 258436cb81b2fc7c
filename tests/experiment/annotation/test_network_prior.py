"""A network is a prior where its code weighs the bases of the face model that is fitted."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from tests.methods.mean_shape import MeanShapeFamily
from tests.pretrained.untrained import untrained_network
from twodasl_jax.data.crop_resize import resized_coefficients
from twodasl_jax.experiment.annotation import network_prior
from twodasl_jax.experiment.annotation.network_prior import load_network_prior, prior_path
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.landmark_tables import MIRROR_68
from twodasl_jax.methods.twodasl_setup import MEAN, STD
from twodasl_jax.pretrained import names
from twodasl_jax.pretrained.network_file import write_network_file


@pytest.fixture(scope="module")
def open_face():
    return load_face_model()


@pytest.fixture(scope="module")
def network(open_face):
    return untrained_network(open_face)


@pytest.fixture(scope="module")
def path(network, tmp_path_factory):
    file = tmp_path_factory.mktemp("network") / "mine.npz"
    write_network_file(file, network)
    return str(file)


def load(name, face_model, given=None):
    return load_network_prior(name, face_model, given=given, batch_size=2)


def test_what_a_network_sees_is_coefficients_of_the_crop(path, open_face, network):
    prior = load(path, open_face)._replace(mirror=None)
    crops = np.random.default_rng(0).integers(0, 256, (2, 120, 120, 3), np.uint8)
    seen = prior.coefficients(crops, np.full((2, 18, 2), np.nan))
    trained = prior.run.predictor(batch_sizes=(2,))(prior.run.networks, crops)
    np.testing.assert_allclose(seen[:, :12].reshape(2, 3, 4), trained.camera, rtol=1e-6)
    np.testing.assert_allclose(seen[:, 12:], trained.code, rtol=1e-6)
    std = network.arrays[STD]
    np.testing.assert_array_equal(prior.camera_std, std[:12].reshape(3, 4))
    np.testing.assert_array_equal(prior.statistics.std, std[12:])
    np.testing.assert_array_equal(prior.statistics.mean, network.arrays[MEAN][12:])


def test_crops_of_another_size_are_told_in_pixels_of_120(path, open_face):
    """Half the crop: a camera and its spread in pixels half as long, landmarks shown there too."""
    prior, shown = load(path, open_face)._replace(mirror=None), {}
    whole = prior.coefficients(np.zeros((2, 120, 120, 3), np.uint8), np.full((2, 18, 2), 30.0))

    def predict(networks, crops, landmarks):
        shown.update(crops=crops, landmarks=landmarks)
        small = resized_coefficients(whole, crop_size=120, new_size=60)
        return small[:, :12].reshape(-1, 3, 4), small[:, 12:]

    run = prior.run._replace(method=SimpleNamespace(crop_size=60))
    statistics = prior.statistics._replace(camera_std=prior.camera_std / 2)
    half = prior._replace(run=run, predictor=predict, statistics=statistics)
    found = half.coefficients(np.zeros((2, 60, 60, 3), np.uint8), np.full((2, 18, 2), 30.0))
    np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(half.camera_std, prior.camera_std, rtol=1e-6)
    assert (shown["landmarks"] == 15).all()


def test_a_crop_and_its_mirror_image_are_seen_as_mirror_images(path, open_face):
    """Only the mean of both views is so: the network alone sees two different faces."""
    prior = load(path, open_face)
    crops = np.random.default_rng(1).integers(0, 256, (2, 120, 120, 3), np.uint8)
    nowhere = np.full((2, 18, 2), np.nan)
    model = landmark_model(open_face)

    def points(prior, crops):
        coefficients = jnp.asarray(prior.coefficients(np.ascontiguousarray(crops), nowhere))
        return np.asarray(landmarks_from_coefficients(model, coefficients))[..., :2]

    def apart(prior):
        mirrored = points(prior, crops[:, :, ::-1])[:, MIRROR_68] * [-1, 1] + [120, 0]
        return np.abs(points(prior, crops) - mirrored).mean()

    # What is left is the mirror's own residual, 0.22 px for these faces.
    assert apart(prior) < 0.5
    assert apart(prior._replace(mirror=None)) > 2 * apart(prior)


def test_a_camera_without_statistics_is_free(path, open_face):
    prior = load(path, open_face)
    unknown = prior._replace(statistics=prior.statistics._replace(camera_std=None))
    assert (unknown.camera_std > 1e5).all()


def test_a_network_that_predicts_no_number_is_refused(path, open_face):
    prior = load(path, open_face)
    broken = prior._replace(predictor=lambda *_: (np.full((2, 3, 4), np.nan), np.zeros((2, 50))))
    with pytest.raises(ValueError, match="--prior predicts NaN or infinity"):
        broken.coefficients(np.zeros((2, 120, 120, 3), np.uint8), np.zeros((2, 18, 2)))


def test_the_face_model_must_have_the_same_basis(path, open_face, small_face_model):
    with pytest.raises(ValueError, match="differ in mean, shape_basis, expression_basis; give"):
        load(path, small_face_model)
    other = dataclasses.replace(
        open_face, name="renamed", landmark_vertices=open_face.landmark_vertices[::-1]
    )
    assert load(path, other).run.face_model.name == "open_face"


def test_a_method_without_coefficients_is_refused(path, open_face, monkeypatch):
    run = load(path, open_face).run._replace(
        family=MeanShapeFamily(), settings_json={"method": "mean_shape"}
    )
    monkeypatch.setattr(network_prior, "open_trained", lambda name: run)
    with pytest.raises(ValueError, match="'mean_shape', which predicts no coefficients of a"):
        load("runs/mine", open_face)


def test_a_network_of_a_model_that_lies_elsewhere_finds_it_where_it_was_named(
    small_face_model, tmp_path, monkeypatch
):
    file = tmp_path / "small.npz"
    write_network_file(file, untrained_network(small_face_model))
    with pytest.raises(FileNotFoundError, match="--face_model=FILE"):
        load(str(file), small_face_model)
    with pytest.raises(FileNotFoundError, match="no face model at"):
        load(str(file), small_face_model, given=str(tmp_path / "absent.npz"))
    with pytest.raises(FileNotFoundError, match="no network file at"):
        load(str(tmp_path / "absent.npz"), small_face_model)


def test_which_network_it_was_is_told_by_its_weights(path, open_face, network, monkeypatch):
    prior = load(path, open_face)
    told = prior.described(path)
    assert told["network"] == path
    assert (told["stage"], told["step"]) == ("only", 0)
    assert told["about"].endswith("licence: none: it is not trained")
    other = prior.run._replace(networks=prior.run.networks._replace(params={"a": np.ones(3)}))
    assert prior._replace(run=other).described(path)["weights_checksum"] != told["weights_checksum"]
    # The same weights by the package's name.
    monkeypatch.setattr(names, "FOLDER", Path(path).parent)
    monkeypatch.setattr(names, "NETWORKS", {"open": "mine.npz", "bfm": "bfm.npz"})
    packaged = load("pretrained", open_face).described("pretrained")
    assert packaged["network"] == "pretrained"
    assert packaged["weights_checksum"] == told["weights_checksum"]


def test_only_what_lies_somewhere_has_a_path():
    assert prior_path(None) is None
    assert prior_path("pretrained") is None
    assert prior_path("pretrained:bfm") is None
    assert prior_path("./pretrained") == "./pretrained"
    assert prior_path("runs/mine") == "runs/mine"

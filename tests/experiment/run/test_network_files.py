"""A network is opened by what a command calls it, and fits this version and its face model."""

import dataclasses

import chex
import numpy as np
import pytest

from tests.pretrained.untrained import SETTINGS, untrained_network
from twodasl_jax.experiment.run.trained import open_trained
from twodasl_jax.face_model.model import OPEN_FACE_FILE, PHOTO_FACE_FILE, load_face_model
from twodasl_jax.face_model.model_identity import face_model_identity
from twodasl_jax.pretrained import names
from twodasl_jax.pretrained.network_file import in_half_precision, write_network_file


@pytest.fixture(scope="module")
def network():
    return untrained_network(load_face_model())


@pytest.fixture
def packed(tmp_path, network):
    """Writes a network with some fields changed."""

    def write(name="net.npz", of=network, **changes):
        write_network_file(tmp_path / name, dataclasses.replace(of, **changes))
        return tmp_path / name

    return write


def test_a_network_of_the_open_face_model_needs_nothing_else(packed, network, monkeypatch):
    path = packed("open.npz", step=1200, num_passes=1)
    monkeypatch.setattr(names, "FOLDER", path.parent)
    for name in ("pretrained", "pretrained:open", str(path), path):
        trained = open_trained(name)
        assert trained.face_model.name == "open_face"
        assert (trained.stage, trained.step, trained.method.num_passes) == ("only", 1200, 1)
        assert trained.about == (
            f"network: {name}, for the face model 'open_face'; licence: none: it is not trained"
        )
        chex.assert_trees_all_equal(trained.networks.params, in_half_precision(network.params))
        chex.assert_trees_all_equal(trained.arrays, network.arrays)
    assert open_trained(path, num_passes=2).method.num_passes == 2
    assert open_trained(path, stage="only").step == 1200


def test_a_network_of_photo_face_needs_nothing_else(packed, network):
    identity = face_model_identity(load_face_model(PHOTO_FACE_FILE))
    path = packed("photo.npz", identity=network.identity | {"face_model": identity})
    assert open_trained(path).face_model.name == "photo_face"
    assert open_trained(path, face_model="photo_face").face_model.name == "photo_face"
    with pytest.raises(ValueError, match="they differ in mean"):
        open_trained(path, face_model=str(OPEN_FACE_FILE))


def test_it_predicts_as_the_networks_in_memory_do(packed, network):
    trained = open_trained(packed())
    crops = np.random.default_rng(0).integers(0, 256, (3, 120, 120, 3), np.uint8)
    predictor = trained.predictor(batch_sizes=(4,), dense=False)
    whole = trained.networks._replace(params=network.params)
    chex.assert_trees_all_close(
        predictor(trained.networks, crops).code,
        predictor(whole, crops).code,
        rtol=1e-3,  # half precision: 11 bits, averaged over many weights
    )


def test_what_chooses_among_checkpoints_is_refused(packed):
    path = packed()
    with pytest.raises(ValueError, match="--config chooses among the checkpoints of a run, and"):
        open_trained(path, object())
    with pytest.raises(ValueError, match="has no stage 'stage2'; it has only"):
        open_trained(path, stage="stage2")


def test_its_face_model_is_asked_for_and_compared(packed, small_face_model, tmp_path):
    path = packed(of=untrained_network(small_face_model))
    with pytest.raises(FileNotFoundError, match=r"model 'small' \(121 vertices.*--face_model=FILE"):
        open_trained(path)
    with pytest.raises(FileNotFoundError, match=r"no face model at .*absent\.npz"):
        open_trained(path, face_model=str(tmp_path / "absent.npz"))
    with pytest.raises(ValueError, match=r"was trained .* 'small' .* one here is 'open_face'"):
        open_trained(
            path, face_model=str(names.FOLDER.parent / "face_model/open_face/open_face.npz")
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "another"}, "no method is called 'another'"),
        ({"models": SETTINGS | {"backbone": "another"}}, "unknown backbone 'another'"),
        ({"models": {"backbone": "resnet_tiny"}}, "lacks batch_norm"),
        ({"models": SETTINGS | {"landmark_map": False}}, "with models.landmark_map=True, which is"),
        ({"models": SETTINGS | {"backbone": "resnet_narrow"}}, "with models.backbone=resnet_tiny"),
        ({"identity": {}}, "lacks name, num_vertices, arrays"),
        ({"params": {"regressor": {"head": {}, "x": np.ones(3)}}}, "arrays are other ones than"),
        ({"batch_stats": {}}, "arrays are other ones than this version's networks have"),
    ],
)
def test_what_this_version_would_read_otherwise_is_refused(packed, changes, message):
    path = packed(**changes)
    with pytest.raises(ValueError, match=message) as told:
        open_trained(path)
    assert str(path) in str(told.value)
    assert "pack its run again" in str(told.value)


def test_a_setting_of_a_later_version_means_nothing(packed):
    assert open_trained(packed(models=SETTINGS | {"later": 1})).stage == "only"

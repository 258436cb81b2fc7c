"""Names of networks, and the networks that this copy of the package has."""

import pytest

from twodasl_jax.experiment.run.network_files import network_of_file
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.face_model.model_identity import differing_arrays, face_model_identity
from twodasl_jax.pretrained import names
from twodasl_jax.pretrained.names import NETWORKS, network_file_named, pretrained_name

LARGEST_BYTES = 10e6
"""Of each of the package's networks: what the wheel may grow by."""


def test_the_packages_networks_have_two_kinds_of_names(tmp_path, monkeypatch):
    monkeypatch.setattr(names, "FOLDER", tmp_path)
    for file in NETWORKS.values():
        (tmp_path / file).write_bytes(b"")
    for name, file in NETWORKS.items():
        assert network_file_named(pretrained_name(name)) == tmp_path / file
    assert network_file_named("pretrained:open") == network_file_named("pretrained")
    with pytest.raises(ValueError, match="'pretrained:x'; choose one of pretrained, pretrained:b"):
        network_file_named("pretrained:x")


def test_a_network_that_this_copy_lacks_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(names, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no weights for 'pretrained:bfm' .*--checkpoint="):
        network_file_named("pretrained:bfm")


def test_a_file_is_a_network_and_a_folder_is_a_run(tmp_path):
    (tmp_path / "net").write_bytes(b"")
    assert network_file_named(str(tmp_path / "net")) == tmp_path / "net"
    assert network_file_named(tmp_path) is None
    assert network_file_named(tmp_path / "absent") is None
    assert network_file_named("./pretrained") is None
    with pytest.raises(FileNotFoundError, match=r"no network file at absent\.npz; check the path"):
        network_file_named("absent.npz")


@pytest.mark.parametrize("name", NETWORKS)
def test_what_comes_with_the_package_can_be_read(name):
    path = names.FOLDER / NETWORKS[name]
    if not path.exists():
        pytest.skip(f"left out: this copy of the package has no weights '{name}'")
    assert path.stat().st_size <= LARGEST_BYTES
    _, _, network = network_of_file(path)
    assert network.licence.strip()
    assert "run.py" in network.card  # the command that trains it again
    embedded = face_model_identity(load_face_model())
    assert bool(differing_arrays(network.identity["face_model"], embedded)) == (name != "open")

"""The file gives back what it was given, but for half precision; all else is refused."""

import json

import chex
import numpy as np
import pytest

from tests.pretrained.untrained import untrained_network
from twodasl_jax.pretrained.network_file import (
    in_half_precision,
    read_network_file,
    write_network_file,
)


@pytest.fixture(scope="module")
def network(small_face_model):
    return untrained_network(small_face_model, card="Ein Gesicht ☺\nTwo lines.")


@pytest.fixture
def file(network, tmp_path):
    write_network_file(tmp_path / "net.npz", network)
    return tmp_path / "net.npz"


def changed(file, **entries):
    """The file with entries of its description, or whole arrays, replaced; None removes one."""
    with np.load(file) as opened:
        arrays = dict(opened)
    told = json.loads(arrays["description"].tobytes())
    for name, value in entries.items():
        target = arrays if isinstance(value, np.ndarray) else told
        target[name] = value
    told = {name: value for name, value in told.items() if value is not None}
    arrays["description"] = np.frombuffer(json.dumps(told).encode(), np.uint8)
    np.savez_compressed(file, **arrays)
    return file


def test_what_was_written_is_read(network, file):
    read = read_network_file(file)
    plain = ("method", "models", "num_passes", "stage", "step", "identity", "licence", "card")
    for name in (*plain, "training", "rounding"):
        assert getattr(read, name) == getattr(network, name)
    chex.assert_trees_all_equal(read.params, in_half_precision(network.params))
    chex.assert_trees_all_equal(read.batch_stats, network.batch_stats)
    chex.assert_trees_all_equal(read.arrays, network.arrays)


def test_only_kernels_are_rounded_and_to_eleven_bits(network, file):
    read = read_network_file(file)
    head, given = read.params["regressor"]["head"], network.params["regressor"]["head"]
    np.testing.assert_array_equal(head["bias"], given["bias"])
    assert head["kernel"].dtype == np.float32
    error = np.abs(head["kernel"] - given["kernel"])
    # Half of the last of 11 bits; below 2^-14 half precision has steps of 2^-24.
    assert (error <= np.maximum(2.0**-11 * np.abs(given["kernel"]), 2.0**-25)).all()
    assert error.max() > 0
    with np.load(file) as arrays:
        kinds = {array.ndim > 1: array.dtype for name, array in arrays.items() if "/" in name}
    assert kinds == {True: np.float16, False: np.float32}


def test_nothing_is_replaced(network, file):
    before = file.read_bytes()
    with pytest.raises(ValueError, match=r"net\.npz is there already, and no network is replaced"):
        write_network_file(file, network)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("value", "message"),
    [(1e5, r"params/head/kernel holds 1e\+05, and half precision ends"), (np.nan, "no finite")],
)
def test_what_half_precision_cannot_hold_is_refused(small_face_model, tmp_path, value, message):
    params = {"head": {"kernel": np.full((2, 2), value)}}
    with pytest.raises(ValueError, match=message):
        write_network_file(tmp_path / "a.npz", untrained_network(small_face_model, params=params))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"version": 2}, "version 2 of its format, and this package reads up to 1: install a"),
        ({"format": "another"}, "is of the format 'another'; expected a network"),
        ({"licence": None}, "lacks licence; the file is damaged"),
        ({"step": "many"}, "step is a text; expected a whole number"),
        ({"weights": np.ones(2, np.float32)}, "holds an array 'weights'"),
        ({"params/regressor": np.ones(2, np.float32)}, "holds an array 'params/regressor'"),
        ({"arrays/coefficient_mean": np.full(62, np.inf)}, "coefficient_mean holds what is no"),
        ({"params/regressor/head/bias": np.array(["x"])}, "bias holds what is no finite number"),
        ({"description": np.zeros(3)}, "and no network"),
    ],
)
def test_another_file_is_one_sentence(file, entries, message):
    if "description" in entries:
        np.savez(file, **entries)
    else:
        changed(file, **entries)
    with pytest.raises(ValueError, match=message) as told:
        read_network_file(file)
    assert str(file) in str(told.value)

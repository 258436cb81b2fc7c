"""Checksums that travel with a description tell what was changed."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.training.checksums import (
    CHECKSUMS,
    array_checksums,
    json_checksum,
    require_arrays,
    require_document,
    require_sealed,
    sealed,
    shapes_of,
)

ARRAYS = {"networks": {"head": {"bias": np.arange(3, dtype=np.float32), "kernel": np.eye(2)}}}
DOCUMENTS = {"data": {"next": 8}}
DESCRIPTION = {"config": {"seed": 1}, "whitening": None}


@pytest.fixture
def read():
    """A description after its way through a file."""
    return json.loads(json.dumps(sealed(DESCRIPTION, arrays=ARRAYS, documents=DOCUMENTS)))


def test_what_was_written_agrees(read):
    checksums = require_sealed(read)
    assert checksums is not None
    require_arrays(ARRAYS["networks"], checksums, "networks")
    require_document(DOCUMENTS["data"], checksums, "data")
    assert shapes_of(checksums, "networks") == {
        "head/bias": "float32(3,)",
        "head/kernel": "float64(2, 2)",
    }


def test_one_flipped_bit_names_its_array(read):
    bias = ARRAYS["networks"]["head"]["bias"].copy()
    bias.view(np.uint8)[5] ^= 1
    changed = {"head": ARRAYS["networks"]["head"] | {"bias": bias}}
    with pytest.raises(ValueError, match=r"1 of 2 arrays .*first networks/head/bias"):
        require_arrays(changed, read[CHECKSUMS], "networks")


@pytest.mark.parametrize(
    "tree",
    [
        {"head": {"bias": ARRAYS["networks"]["head"]["bias"]}},
        {"head": ARRAYS["networks"]["head"] | {"kernel": np.eye(2).reshape(4)}},
        {"head": ARRAYS["networks"]["head"] | {"kernel": np.eye(2, dtype=np.float32)}},
    ],
)
def test_an_array_that_is_gone_or_of_another_shape_or_type_is_named(read, tree):
    with pytest.raises(ValueError, match="first networks/head/kernel"):
        require_arrays(tree, read[CHECKSUMS], "networks")


def test_a_changed_description_or_document_is_told(read):
    with pytest.raises(ValueError, match="the description does not agree"):
        require_sealed(read | {"config": {"seed": 2}})
    with pytest.raises(ValueError, match="'data' does not agree"):
        require_document({"next": 16}, read[CHECKSUMS], "data")
    with pytest.raises(ValueError, match="no JSON object"):
        require_sealed([1])


def test_a_description_of_before_there_were_checksums_has_none():
    assert require_sealed(DESCRIPTION) is None
    with pytest.raises(ValueError, match="the description holds config, other"):
        require_sealed({"config": {}, "other": 1})


def test_host_and_device_arrays_have_one_checksum_whatever_their_strides():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    wanted = array_checksums({"a": array})
    assert array_checksums({"a": jnp.asarray(array)}) == wanted
    assert array_checksums({"a": np.asfortranarray(array)}) == wanted
    assert array_checksums({"a": array.astype(jnp.bfloat16)}) != wanted


def test_plain_values_are_the_same_in_any_order():
    assert json_checksum({"a": 1, "b": (2, 3)}) == json_checksum({"b": [2, 3], "a": 1})
    assert json_checksum({"a": 1}) != json_checksum({"a": 1.5})

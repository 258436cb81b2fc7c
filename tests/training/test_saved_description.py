"""What a checkpoint says of itself, read without its arrays."""

import json

import chex
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from twodasl_jax.training.checkpoint import Checkpointer
from twodasl_jax.training.prediction_checkpoint import restore_for_prediction
from twodasl_jax.training.run_description import RunDescription
from twodasl_jax.training.saved_description import DESCRIPTION_FILE, newest_description
from twodasl_jax.training.state import create_state

ARRAYS = {
    "coefficient_mean": np.linspace(-3, 3, 62, dtype=np.float32),
    "coefficient_std": np.full(62, 0.1, np.float32),
}


@pytest.fixture
def folder(tmp_path):
    """Two checkpoints that know what their numbers mean."""
    params = {"regressor": {"head": jnp.ones(3)}}
    state = create_state(params, {}, optax.sgd(0.1))
    identity = {"backbone": "resnet_tiny", "face_model": {"name": "small"}}
    with Checkpointer(tmp_path, RunDescription({"seed": 1}, ARRAYS, identity)) as checkpoints:
        for step in (1, 2):
            checkpoints.save(state.replace(step=jnp.asarray(step)), {"position": step})
            checkpoints.wait()
    return tmp_path


def test_it_is_what_the_checkpoint_was_given(folder):
    told, restored = newest_description(folder), restore_for_prediction(folder)
    assert told.settings_json == restored.settings_json == {"seed": 1}
    assert told.identity == restored.identity
    assert told.identity["face_model"] == {"name": "small"}
    chex.assert_trees_all_equal(told.arrays, ARRAYS)


def test_those_of_earlier_versions_hold_2dasls_arrays_under_one_name(folder):
    path = folder / "2" / DESCRIPTION_FILE
    told = json.loads(path.read_text())
    del told["checksums"]
    arrays = told.pop("arrays")
    del told["identity"]
    lists = {name.removeprefix("coefficient_"): values for name, values in arrays.items()}
    path.write_text(json.dumps(told | {"whitening": lists}))
    chex.assert_trees_all_equal(newest_description(folder).arrays, ARRAYS)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"config": {}}'])
def test_one_that_cannot_be_read_is_passed_over(folder, damage):
    (folder / "1" / DESCRIPTION_FILE).write_text(
        json.dumps({"config": {"seed": 7}, "whitening": None})
    )
    (folder / "2" / DESCRIPTION_FILE).write_text(damage)
    told = newest_description(folder)
    assert (told.settings_json, told.arrays, told.identity) == ({"seed": 7}, {}, None)
    (folder / "1" / DESCRIPTION_FILE).unlink()
    assert newest_description(folder) is None


def test_without_any_there_is_none(tmp_path):
    assert newest_description(tmp_path / "absent") is None

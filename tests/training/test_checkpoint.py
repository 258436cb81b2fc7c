import logging
import shutil
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.training.checkpoint import Checkpointer
from twodasl_jax.training.optimizer import OptimizerOptions, make_optimizer
from twodasl_jax.training.prediction_checkpoint import restore_for_prediction
from twodasl_jax.training.run_description import RunDescription
from twodasl_jax.training.state import create_state

CONFIG = {"data": {"batch_size": 8}, "loss_weights": {"l_3d": 1.0}, "widths": [4, 8]}


def make_state(value=1.0, *, width=3, name="adam"):
    optimizer = make_optimizer({"regressor": OptimizerOptions(name=name, learning_rate=0.1)})
    return create_state(
        {"regressor": {"kernel": np.full((2, width), value, np.float32)}},
        {"regressor": {"mean": np.full(width, value, np.float32)}},
        optimizer,
    )


def at_step(step, **options):
    return make_state(float(step), **options).replace(step=jnp.asarray(step, jnp.int32))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """Checkpoints of steps 1 to 4, of which the newest two are kept."""
    folder = tmp_path_factory.mktemp("run")
    arrays = {
        "mean": np.random.default_rng(0).normal(size=62).astype(np.float32),
        "std": np.full(62, 1 / 3, np.float32),
    }
    with Checkpointer(folder, RunDescription(CONFIG, arrays), max_to_keep=2) as checkpointer:
        for step in range(1, 5):
            checkpointer.save(at_step(step), {"next_index": 8 * step})
    return folder, arrays


def test_newest_and_chosen_step_come_back_whole(run_folder):
    with Checkpointer(run_folder[0], RunDescription(CONFIG)) as checkpointer:
        assert checkpointer.latest_step() == 4
        newest = checkpointer.restore(make_state())
        chosen = checkpointer.restore(make_state(), step=3)
    chex.assert_trees_all_equal(newest.state, at_step(4))
    chex.assert_trees_all_equal(chosen.state, at_step(3))
    assert jax.tree.structure(newest.state) == jax.tree.structure(make_state())
    assert newest.position == {"next_index": 32}


def test_prediction_needs_the_folder_only(run_folder):
    folder, arrays = run_folder
    read = restore_for_prediction(folder)
    assert read.step == 4
    assert read.settings_json == CONFIG
    chex.assert_trees_all_equal(read.params, jax.device_get(at_step(4).params))
    chex.assert_trees_all_equal(read.batch_stats, jax.device_get(at_step(4).batch_stats))
    chex.assert_trees_all_equal(read.arrays, arrays)


def test_a_step_that_is_not_there_is_refused_with_those_that_are(run_folder):
    with pytest.raises(ValueError, match=r"no checkpoint of step 1 .* there are \[3, 4\]"):
        restore_for_prediction(run_folder[0], step=1)


def test_other_networks_are_refused_with_the_difference(run_folder):
    changed = CONFIG | {"widths": [4, 16]}
    with (
        Checkpointer(run_folder[0], RunDescription(changed)) as checkpointer,
        pytest.raises(ValueError, match="of other networks") as error,
    ):
        checkpointer.restore(make_state(width=5))
    assert "params/regressor/kernel: float32(2, 3) | float32(2, 5)" in str(error.value)
    assert "widths[1]: 8 | 16" in str(error.value)


def test_another_optimizer_is_refused(run_folder):
    with (
        Checkpointer(run_folder[0], RunDescription(CONFIG)) as checkpointer,
        pytest.raises(ValueError, match="another optimizer"),
    ):
        checkpointer.restore(make_state(name="sgd"))


@pytest.mark.parametrize("step", [3, 4])
def test_a_step_behind_the_newest_is_not_dropped_silently(run_folder, step):
    with (
        Checkpointer(run_folder[0], RunDescription(CONFIG), max_to_keep=2) as checkpointer,
        pytest.raises(ValueError, match=r"already"),
    ):
        checkpointer.save(at_step(step), {})


def test_no_checkpoint_is_said_plainly(tmp_path):
    with pytest.raises(ValueError, match="is no folder"):
        restore_for_prediction(tmp_path / "absent")
    with pytest.raises(ValueError, match="no complete checkpoint in"):
        restore_for_prediction(tmp_path)
    with Checkpointer(tmp_path, RunDescription({})) as checkpointer:
        assert checkpointer.latest_step() is None
        with pytest.raises(ValueError, match="no complete checkpoint in"):
            checkpointer.restore(make_state())


@pytest.mark.parametrize("item", ["networks", "description"])
def test_a_damaged_checkpoint_names_the_one_before(run_folder, tmp_path, item):
    folder = tmp_path / "copy"
    shutil.copytree(run_folder[0], folder)
    for path in (folder / "4" / item).rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:7])
    with pytest.raises(ValueError, match=r"step 4 .* is damaged .*step 3.*delete .*copy/4"):
        restore_for_prediction(folder)
    shutil.rmtree(folder / "4")
    assert restore_for_prediction(folder).step == 3


def test_a_config_that_json_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ValueError, match="only plain values"):
        Checkpointer(tmp_path, RunDescription({"dtype": object()}))


def test_orbax_is_quiet(run_folder, caplog):
    caplog.set_level(logging.INFO, logger="absl")
    restore_for_prediction(run_folder[0])
    assert [r for r in caplog.records if "orbax" in r.pathname] == []


SAVING_UNDER_A_LIMIT = """
import resource, signal, sys
import numpy as np
from tests.training.test_checkpoint import at_step
from twodasl_jax.training.run_description import RunDescription
from twodasl_jax.training.checkpoint import Checkpointer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    with Checkpointer(sys.argv[1], RunDescription({})) as checkpointer:
        checkpointer.save(at_step(1), {})
        checkpointer.wait()
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
        numbers = np.random.default_rng(0).normal(size=(100, 100))  # do not compress
        checkpointer.save(at_step(2).replace(params={"regressor": {"kernel": numbers}}), {})
        checkpointer.wait()
except OSError as error:
    sys.exit(str(error))
"""


def test_a_save_that_does_not_fit_is_one_sentence_and_loses_nothing(tmp_path, repository):
    """A limit of the kernel's stands for a full disk; Orbax's threads meet both alike."""
    folder = tmp_path / "run"
    command = [sys.executable, "-c", SAVING_UNDER_A_LIMIT, str(folder)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.stderr.startswith(f"cannot write {folder}: the file would be larger than")
    assert done.stderr.count("\n") == 1, done.stderr
    assert [path.name for path in folder.iterdir()] == ["1"]
    assert restore_for_prediction(folder).step == 1

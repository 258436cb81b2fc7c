"""A drill over every file of a checkpoint: it gives the numbers that were written, or its name."""

import logging
import random
import shutil

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.training.best_checkpoint import BestCheckpoint
from twodasl_jax.training.checkpoint import Checkpointer
from twodasl_jax.training.checkpoint_files import DamagedCheckpointError
from twodasl_jax.training.checksums import CHECKSUMS
from twodasl_jax.training.fall_back import restore_newest_whole
from twodasl_jax.training.optimizer import OptimizerOptions, make_optimizer
from twodasl_jax.training.prediction_checkpoint import restore_for_prediction
from twodasl_jax.training.run_description import RunDescription, RunSoFar
from twodasl_jax.training.state import Networks, create_state

CONFIG = {"seed": 1}
SO_FAR = RunSoFar(seconds=1.5, from_step=0, unlogged=({"loss": 0.1},))


def at_step(step):
    """A state whose numbers do not compress to nothing: each file has bytes that matter."""
    random_numbers = np.random.default_rng(step)
    optimizer = make_optimizer({"regressor": OptimizerOptions(name="adam", learning_rate=0.1)})
    state = create_state(
        {"regressor": {"kernel": random_numbers.normal(size=(6, 9)).astype(np.float32)}},
        {"regressor": {"mean": random_numbers.normal(size=9).astype(np.float32)}},
        optimizer,
    )
    return state.replace(step=jnp.asarray(step, jnp.int32))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Checkpoints of steps 1 and 2."""
    folder = tmp_path_factory.mktemp("run") / "checkpoints"
    with Checkpointer(folder, RunDescription(CONFIG)) as checkpointer:
        for step in (1, 2):
            checkpointer.save(at_step(step), {"next": 8 * step}, SO_FAR)
    return folder


@pytest.fixture
def run(whole, tmp_path):
    """A copy of them, to be damaged."""
    return shutil.copytree(whole, tmp_path / "checkpoints")


def flip(path, *, byte, bit=0):
    data = bytearray(path.read_bytes())
    data[byte] ^= 1 << bit
    path.write_bytes(data)


def damages(whole):
    """``(what, change(step's folder))`` for all files of a step: bits, cuts, losses."""
    choose = random.Random(0)
    # The committing writer's marks are read by nobody.
    paths = [path for path in (whole / "2").rglob("*") if path.name != "commit_success.txt"]
    for path in sorted(paths):
        name = path.relative_to(whole / "2")
        if path.is_dir():
            yield f"{name} is gone", lambda step, name=name: shutil.rmtree(step / name)
            continue
        size = path.stat().st_size
        byte, bit = choose.randrange(size), choose.randrange(8)
        yield (
            f"bit {bit} of byte {byte} of {name}",
            lambda step, name=name, byte=byte, bit=bit: flip(step / name, byte=byte, bit=bit),
        )
        if byte % 2:
            yield f"{name} is gone", lambda step, name=name: (step / name).unlink()
            continue
        yield (
            f"{name} is cut",
            lambda step, name=name, size=size: (step / name).write_bytes(
                (step / name).read_bytes()[: size // 2]
            ),
        )


def test_every_damage_is_harmless_or_named(whole, tmp_path):
    outcomes = {"same": 0, "named": 0}
    for number, (what, change) in enumerate(damages(whole)):
        folder = shutil.copytree(whole, tmp_path / str(number))
        change(folder / "2")
        try:
            read, told = restore_for_prediction(folder), ""
        except DamagedCheckpointError as error:
            read, told = None, str(error)
        outcomes["named" if read is None else "same"] += 1
        if read is None:
            assert "step 2" in told, what
        else:
            assert read.step == 2, what
            wanted = jax.device_get(at_step(2).params)
            chex.assert_trees_all_equal(read.params, wanted, custom_message=what)
        with Checkpointer(folder, RunDescription(CONFIG)) as checkpointer:
            restored = restore_newest_whole(checkpointer, at_step(0), on_damaged="fall_back")
            assert restored is not None, what
            step = int(restored.state.step)
            chex.assert_trees_all_equal(restored.state, at_step(step), custom_message=what)
            assert (restored.position, restored.so_far.seconds) == ({"next": 8 * step}, 1.5), what
        assert (folder / "2.damaged").exists() == (step == 1), what
    assert min(outcomes.values()) > 10


def exchange(run, step, *, item="networks", by="1"):
    """Files that read well and hold other numbers: only checksums tell."""
    shutil.rmtree(run / step / item)
    shutil.copytree(run / by / item, run / step / item)


@pytest.mark.parametrize("item", ["networks", "optimizer", "data"])
def test_other_numbers_in_whole_files_are_damage(run, item):
    exchange(run, "2", item=item)
    with (
        Checkpointer(run, RunDescription(CONFIG)) as checkpointer,
        pytest.raises(DamagedCheckpointError, match=r"not agree with (its|their) checksum"),
    ):
        checkpointer.restore(at_step(0))


def test_a_run_falls_back_says_so_and_can_save_that_step_again(run, caplog):
    exchange(run, "2")
    with Checkpointer(run, RunDescription(CONFIG)) as checkpointer:
        restored = restore_newest_whole(checkpointer, at_step(0), on_damaged="fall_back")
        assert restored is not None
        assert int(restored.state.step) == 1
        checkpointer.save(at_step(2), {"next": 16})
    (said,) = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert "step 2" in said
    assert "kept as 2.damaged, and the run goes on from step 1" in said
    assert "\n" not in said
    chex.assert_trees_all_equal(
        restore_for_prediction(run).params, jax.device_get(at_step(2).params)
    )
    # What is damaged a second time does not overwrite the first.
    exchange(run, "2")
    with Checkpointer(run, RunDescription(CONFIG)) as checkpointer:
        restore_newest_whole(checkpointer, at_step(0), on_damaged="fall_back")
    assert {path.name for path in run.iterdir()} == {"1", "2.damaged", "2.damaged-2"}


def test_falling_back_can_be_forbidden(run):
    exchange(run, "2")
    with (
        Checkpointer(run, RunDescription(CONFIG)) as checkpointer,
        pytest.raises(DamagedCheckpointError, match=r"step 2 .*_checkpoint to 'fall_back"),
    ):
        restore_newest_whole(checkpointer, at_step(0), on_damaged="stop")
    assert (run / "2").exists()


def test_where_none_is_whole_nothing_is_moved(run):
    exchange(run, "2")
    flip(run / "1" / "description" / "metadata", byte=20)
    with (
        Checkpointer(run, RunDescription(CONFIG)) as checkpointer,
        pytest.raises(DamagedCheckpointError, match=r"no other there is whole: .* move .* away"),
    ):
        restore_newest_whole(checkpointer, at_step(0), on_damaged="fall_back")
    assert {path.name for path in run.iterdir()} == {"1", "2"}
    with pytest.raises(DamagedCheckpointError, match=r"step 2 .*no other in .* is whole"):
        restore_for_prediction(run)


def test_prediction_names_those_that_are_whole(run):
    exchange(run, "2")
    with pytest.raises(DamagedCheckpointError, match=r"of step 1: .*delete or rename .*/2;"):
        restore_for_prediction(run)
    assert restore_for_prediction(run, step=1).step == 1


def test_a_new_run_has_nothing_to_restore_and_a_typo_is_refused(tmp_path):
    with Checkpointer(tmp_path / "new", RunDescription(CONFIG)) as checkpointer:
        assert restore_newest_whole(checkpointer, at_step(0), on_damaged="stop") is None
        with pytest.raises(ValueError, match="'fallback'; choose one of fall_back, stop"):
            restore_newest_whole(checkpointer, at_step(0), on_damaged="fallback")


def test_a_checkpoint_without_checksums_is_read_and_said(run, caplog, monkeypatch):
    """Those of earlier versions; their seconds are counted from there on."""
    monkeypatch.setattr(
        "twodasl_jax.training.checkpoint.sealed",
        lambda description, **_: {"config": description["config"], "whitening": None},
    )
    with Checkpointer(run, RunDescription(CONFIG)) as checkpointer:
        checkpointer.save(at_step(3), {"next": 24})
    with Checkpointer(run, RunDescription(CONFIG)) as checkpointer:
        restored = checkpointer.restore(at_step(0))
    chex.assert_trees_all_equal(restored.state, at_step(3))
    assert restored.so_far == RunSoFar(from_step=3)
    (said,) = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert "step 3" in said
    assert "without checksums" in said


def test_checksums_that_went_astray_are_no_earlier_version(run):
    path = run / "2" / "description" / "metadata"
    path.write_text(path.read_text().replace(f'"{CHECKSUMS}"', '"checksumz"'))
    with pytest.raises(DamagedCheckpointError, match="the description holds"):
        restore_for_prediction(run)


def test_a_damaged_best_checkpoint_ends_the_run_that_would_replace_it(tmp_path):
    networks = Networks(*at_step(1).networks)
    with BestCheckpoint(tmp_path, RunDescription(CONFIG), metric="error", mode="min") as best:
        best.offer(1, networks, {"error": 1.0})
    flip(tmp_path / "1" / "description" / "metadata", byte=20)
    with pytest.raises(DamagedCheckpointError, match=r"step 1 .*look for the best among later"):
        BestCheckpoint(tmp_path, RunDescription(CONFIG), metric="error", mode="min")

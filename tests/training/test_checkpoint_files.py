"""Choosing, naming and setting aside checkpoints, by their folders alone."""

import logging
import sys
import types

import pytest

from twodasl_jax.training import checkpoint_files as module
from twodasl_jax.training.checkpoint_files import (
    chosen_step,
    close_after_error,
    damaged,
    open_manager,
    set_aside,
)


class Manager:
    """Knows the steps of a folder; closing it may fail."""

    def __init__(self, folder, *, error=None):
        self.folder, self.error, self.reloaded = folder, error, 0

    def all_steps(self):
        return [int(path.name) for path in self.folder.iterdir() if path.name.isdigit()]

    def reload(self):
        self.reloaded += 1

    def close(self):
        if self.error is not None:
            raise self.error


@pytest.fixture
def manager(tmp_path):
    for step in (10, 2):
        (tmp_path / str(step)).mkdir()
    return Manager(tmp_path)


def test_the_newest_step_is_the_largest_number_and_others_are_told(manager):
    assert chosen_step(manager, manager.folder, None) == 10
    assert chosen_step(manager, manager.folder, 2) == 2
    with pytest.raises(ValueError, match=r"no checkpoint of step 3 in .*; there are \[2, 10\]"):
        chosen_step(manager, manager.folder, 3)


def test_no_checkpoint_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"no complete checkpoint in .*; train first"):
        chosen_step(Manager(tmp_path), tmp_path, None)


def test_what_is_set_aside_keeps_a_name_of_its_own(manager):
    (manager.folder / "10.damaged").mkdir()
    moved = set_aside(manager, manager.folder, [10, 2])
    assert [path.name for path in moved] == ["10.damaged-2", "2.damaged"]
    assert {path.name for path in manager.folder.iterdir()} == {
        "10.damaged",
        "10.damaged-2",
        "2.damaged",
    }
    assert manager.reloaded == 1


def test_of_a_librarys_pages_the_first_line_is_told(tmp_path):
    told = str(damaged(tmp_path, 7, "it broke. See full log\nTraceback\n" + "x" * 999))
    assert told.endswith("is damaged (it broke.)")
    assert str(damaged(tmp_path, 7, " ")).endswith("is damaged (it cannot be read)")


def test_closing_after_an_error_raises_no_second_one_and_clears_what_is_unfinished(tmp_path):
    unfinished = tmp_path / "3.orbax-checkpoint-tmp"
    (unfinished / "deep").mkdir(parents=True)
    (tmp_path / "2").mkdir()
    close_after_error(Manager(tmp_path, error=RuntimeError("disk")), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["2"]


def test_only_the_librarys_own_remarks_are_silenced(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    open_manager(tmp_path, max_to_keep=1, create=True).close()
    filters = [one for one in logging.getLogger("absl").filters if one is module._no_orbax_chatter]
    assert len(filters) == 1
    (kept,) = filters
    assert not kept(types.SimpleNamespace(pathname="/x/orbax/checkpoint/y.py"))
    assert kept(types.SimpleNamespace(pathname="/x/twodasl_jax/training/fall_back.py"))


def test_unraisable_errors_of_others_are_still_told():
    told = []
    hook = module._WithoutAbandonedWork(told.append)

    async def mine():
        """No coroutine of the library's."""

    work = mine()
    hook(types.SimpleNamespace(object=work, exc_value=ValueError("mine")))
    hook(types.SimpleNamespace(object=None, exc_value=RuntimeError("Event loop is closed")))
    work.close()
    assert [str(one.exc_value) for one in told] == ["mine"]

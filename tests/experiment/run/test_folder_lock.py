"""Locks of folders: one holder, which is named; none is left by a kill."""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from twodasl_jax.experiment.run.folder_lock import hold_folder, hold_output

HOLDERS = pytest.mark.parametrize("hold", [hold_folder, hold_output])

OTHER = """
import sys, time
from pathlib import Path
from twodasl_jax.experiment.run.folder_lock import {hold}
with {hold}(Path(sys.argv[1]), doing="trains this run"):
    print("held", flush=True)
    time.sleep(60)
"""


def other_process(hold, folder, repository):
    command = [sys.executable, "-c", OTHER.format(hold=hold.__name__), str(folder)]
    process = subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


@HOLDERS
def test_a_second_process_is_told_who_holds_it_and_a_killed_one_holds_nothing(
    hold, tmp_path, repository
):
    folder = tmp_path / "run"
    process = other_process(hold, folder, repository)
    try:
        told = rf"run is in use: process {process.pid} on {socket.gethostname()} trains this run"
        with pytest.raises(ValueError, match=told), hold(folder, doing="trains it too"):
            pass
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with hold(folder, doing="trains it then"):
        pass
    assert not list(tmp_path.rglob("*.lock"))


@HOLDERS
def test_two_names_of_one_folder_are_one(hold, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with hold(tmp_path / "run", doing="trains"), pytest.raises(ValueError, match="in use"):
        hold(tmp_path / "link", doing="trains").__enter__()
    with hold(tmp_path / "link", doing="trains"), pytest.raises(ValueError, match="in use"):
        hold(tmp_path / "run" / ".." / "run", doing="trains").__enter__()


@HOLDERS
def test_what_it_made_and_nobody_used_goes_again(hold, tmp_path):
    with pytest.raises(KeyError), hold(tmp_path / "a" / "b", doing="trains"):
        raise KeyError
    # A folder's parents are those of the run; beside an output nothing stays.
    assert not (tmp_path / "a" / "b").exists()
    with hold_folder(tmp_path / "c", doing="trains"):
        (tmp_path / "c" / "kept").write_text("")
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["kept"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file is a file; expected a folder"):
        hold_folder(tmp_path / "file", doing="trains").__enter__()


def test_the_lock_says_who_and_since_when(tmp_path):
    with hold_folder(tmp_path, doing="trains"):
        told = json.loads((tmp_path / ".lock").read_text())
    assert told["pid"] == os.getpid()
    assert told["since"][:2] == "20"


def test_a_stale_file_means_nothing(tmp_path):
    (tmp_path / ".lock").write_text('{"pid": 1, "host": "elsewhere"}')
    with hold_folder(tmp_path, doing="trains"):
        pass


def test_a_file_system_without_locks_is_told_of(tmp_path, monkeypatch, caplog):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with hold_folder(tmp_path, doing="trains"):
        pass
    assert "has no locks (No locks available)" in caplog.text

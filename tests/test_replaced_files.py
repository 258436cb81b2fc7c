"""Files that replace their own kind in a folder, whatever happens, and nothing else there."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from twodasl_jax import replaced_files as module
from twodasl_jax.replaced_files import (
    READY,
    STAGING,
    finish_replacing,
    other_files,
    replaced_files,
    require_not_replaced,
)

NAMES = ("a.npz", "b.tar", "z.png", "marker.json")


def write(folder, text):
    with replaced_files(folder, marker="marker.json") as unfinished:
        for name in NAMES:
            (unfinished / name).write_text(text)


def write_half(folder):
    with replaced_files(folder, marker="marker.json") as unfinished:
        (unfinished / "a.npz").write_text("half")
        raise KeyboardInterrupt


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "results"
    write(folder, "old")
    (folder / "notes.txt").write_text("a day's work")
    (folder / "run").mkdir()
    (folder / "run" / "x").write_text("x")
    return folder


def test_only_files_of_the_same_names_are_replaced(folder):
    write(folder, "new")
    assert contents(folder) == dict.fromkeys(NAMES, "new") | {"notes.txt": "a day's work"}
    assert (folder / "run" / "x").read_text() == "x"
    assert not (folder / STAGING).exists()
    assert not (folder / READY).exists()
    assert other_files(folder, NAMES) == ["notes.txt", "run"]


def test_a_failure_leaves_the_old_files_and_no_new_folder(folder, tmp_path):
    before = contents(folder)
    for place in (folder, tmp_path / "new" / "folder"):
        with pytest.raises(KeyboardInterrupt):
            write_half(place)
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


@pytest.mark.parametrize("moved", range(len(NAMES) + 1))
def test_a_kill_while_files_are_moved_leaves_new_files_whole(folder, monkeypatch, moved):
    """After any number of files; the marker is there only when all belong together."""
    count, replace = 0, Path.replace

    def killed(path, target):
        nonlocal count
        if count == moved:
            raise KeyboardInterrupt
        count += 1
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", killed)
    if moved < len(NAMES):
        with pytest.raises(KeyboardInterrupt):
            write(folder, "new")
        assert not (folder / "marker.json").exists()
    monkeypatch.undo()
    if moved < len(NAMES):
        finish_replacing(folder, marker="marker.json")
    else:
        write(folder, "new")
    assert contents(folder) == dict.fromkeys(NAMES, "new") | {"notes.txt": "a day's work"}
    assert not (folder / READY).exists()


def test_a_killed_writer_leaves_the_old_files_and_is_cleaned_up_after(folder):
    code = (
        "import os, signal, pathlib\n"
        "from twodasl_jax.replaced_files import replaced_files\n"
        f"with replaced_files(pathlib.Path({str(folder)!r}), marker='marker.json') as unfinished:\n"
        "    (unfinished / 'a.npz').write_text('half')\n"
        "    (unfinished / 'strange').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = str(Path(module.__file__).parents[1])
    killed = subprocess.run([sys.executable, "-c", code], cwd=root, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert contents(folder)["a.npz"] == "old"
    write(folder, "new")
    assert contents(folder) == dict.fromkeys(NAMES, "new") | {"notes.txt": "a day's work"}


def test_two_writers_do_not_mix(folder):
    with replaced_files(folder, marker="marker.json") as unfinished:
        (unfinished / "a.npz").write_text("first")
        with pytest.raises(ValueError, match="another process is writing into"):
            write(folder, "second")
    assert contents(folder)["a.npz"] == "first"


def test_a_folder_of_a_files_name_is_not_replaced(folder):
    (folder / "z.png").unlink()
    (folder / "z.png").mkdir()
    with pytest.raises(ValueError, match=r"z\.png is a folder"):
        write(folder, "new")
    assert contents(folder)["a.npz"] == "old"


def test_through_a_link_the_folder_behind_is_written(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    write(tmp_path / "link", "new")
    assert contents(folder)["a.npz"] == "new"
    assert (tmp_path / "link").is_symlink()


def test_an_input_is_not_replaced(folder, tmp_path):
    require_not_replaced(folder / "notes.txt", folder, NAMES)
    (tmp_path / "link").symlink_to(folder / "a.npz")
    os.link(folder / "b.tar", tmp_path / "hard")
    for source in (folder / "a.npz", tmp_path / "link", tmp_path / "hard"):
        with pytest.raises(ValueError, match="is an input, and writing into"):
            require_not_replaced(source, folder, NAMES)

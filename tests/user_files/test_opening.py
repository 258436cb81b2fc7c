"""What lies at a path, told before anything of it is believed."""

import os
import pickle
import zipfile

import numpy as np
import pytest

from twodasl_jax.user_files.opening import HEAD_BYTES, kind_of, open_file, read_bytes

EXPECTED = "expected a file of mine"


def test_an_ordinary_file_is_read_up_to_its_bound(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", expected=EXPECTED, at_most=5) == b"12345"
    with pytest.raises(ValueError, match=r"a has 5 bytes, more than 4; expected a file of mine"):
        read_bytes(tmp_path / "a", expected=EXPECTED, at_most=4)


def test_what_is_no_ordinary_file_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, told in {
        "": "is a folder",
        "pipe": "is a named pipe",
        "empty": "is empty (0 bytes)",
        "loop": "is no file's name",
        "x" * 300: "is no file's name",
        "a\0b": "is no file's name",
    }.items():
        with pytest.raises(ValueError, match=EXPECTED) as refused:
            open_file(tmp_path / name, expected=EXPECTED)
        assert told in str(refused.value)
    with pytest.raises(ValueError, match="is a device"):
        open_file("/dev/null", expected=EXPECTED)


@pytest.mark.parametrize("name", ["nothing", "a/below_a_file"])
def test_nothing_there_is_told(tmp_path, name):
    (tmp_path / "a").write_text("1")
    with pytest.raises(FileNotFoundError, match=f"no file .*{name}; {EXPECTED}"):
        open_file(tmp_path / name, expected=EXPECTED)


def test_kinds_are_told_by_first_bytes(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(2))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", "b")
    for head, kind in {
        (tmp_path / "a.npy").read_bytes(): "one array, a .npy",
        (tmp_path / "a.zip").read_bytes(): "a zip archive",
        pickle.dumps([1], protocol=4): "a pickle",
        b"  <!DOCTYPE html><html>": "a web page (a download that failed?)",
        b"version https://git-lfs.github.com/spec/v1": "a Git LFS pointer, not the file it "
        "stands for (git lfs pull)",
        "Jürgen\n".encode(): "a text file",
        b"\x00\x01\x02": r"of no known kind (it begins with b'\x00\x01\x02')",
    }.items():
        assert kind_of(head[:HEAD_BYTES]) == kind


def test_a_letter_cut_at_the_end_of_the_head_is_still_a_text():
    assert kind_of(("a" + "é" * HEAD_BYTES).encode()[:HEAD_BYTES]) == "a text file"

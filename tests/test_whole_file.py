"""What is left of a file when its writing ends badly."""

import builtins
import os

import pytest

from twodasl_jax.file_errors import naming_write_errors
from twodasl_jax.whole_file import fitting_name, whole_file, write_whole


def test_the_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with whole_file(path) as unfinished:
        unfinished.write_text("all")
        assert not path.exists()
    assert path.read_text() == "all"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_whatever_ends_it_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with whole_file(path) as unfinished:
            unfinished.write_text("half")
            raise error("mine")

    with pytest.raises(error, match="mine"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_while_bytes_are_written_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(self, data):
        with builtins.open(self, "wb") as file:
            file.write(data[:1])
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a.json", b"data")
    assert list(tmp_path.iterdir()) == []


def test_errors_of_the_work_are_not_called_errors_of_writing(tmp_path):
    with pytest.raises(OSError, match=r"^the camera is gone$"), whole_file(tmp_path / "a"):
        raise OSError("the camera is gone")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "a.txt"
    message = r"cannot write .*a\.txt: (Not a directory|File exists); choose another folder"
    with pytest.raises(OSError, match=message), whole_file(path):
        pytest.fail("work was begun")


def test_other_kinds_of_errors_are_named_where_asked_for(tmp_path):
    message = "cannot write .*: no room; choose another folder"
    with pytest.raises(OSError, match=message), naming_write_errors(tmp_path, LookupError):
        raise LookupError("no room")
    with pytest.raises(LookupError), naming_write_errors(tmp_path):
        raise LookupError("no room")


@pytest.mark.parametrize("letter", ["x", "é", "顔"])
def test_the_longest_names_can_be_written(tmp_path, letter):
    path = tmp_path / (letter * (251 // len(letter.encode())) + ".obj")
    write_whole(path, b"data")
    assert path.read_bytes() == b"data"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("letter", ["x", "é", "顔", "\udce9"])
def test_longer_names_are_cut_and_kept_apart(letter):
    stem = letter * (250 // len(os.fsencode(letter)))
    assert fitting_name(stem, ".json") == stem + ".json"
    ending = "_0_uv_texture.png"
    cut, other = (fitting_name(f"{stem}{last}", ending) for last in "ab")
    assert cut != other
    assert len(os.fsencode(cut)) <= 255
    assert cut.endswith(ending)
    if letter != "\udce9":  # a byte that is no UTF-8 is left out where a name is cut
        assert cut.startswith(letter * 40)

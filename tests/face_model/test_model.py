"""A face model is checked when it is read: every message says what came and what was expected."""

import errno
import os

import numpy as np
import pytest

from twodasl_jax.face_model.model import load_face_model, save_face_model


def test_a_saved_model_comes_back(arrays, tmp_path):
    save_face_model(tmp_path / "sub" / "mine.npz", arrays)
    model = load_face_model(tmp_path / "sub" / "mine.npz")
    assert model.name == "mine"
    np.testing.assert_array_equal(model.linear.mean, arrays["mean"])
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["mine.npz"]


def test_nothing_is_written_of_a_broken_model(arrays, tmp_path):
    arrays["mean"][:] = np.inf
    with pytest.raises(ValueError, match="not finite"):
        save_face_model(tmp_path / "broken.npz", arrays)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_leaves_the_old_model_and_no_half_of_the_new(
    arrays, tmp_path, monkeypatch
):
    path = tmp_path / "mine.npz"
    save_face_model(path, arrays)
    old = path.read_bytes()

    def full(file, **_arrays):
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match=r"cannot write .*mine\.npz: no space left on its disk"):
        save_face_model(path, arrays)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_missing_and_corrupt_files_say_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="import_bfm --help"):
        load_face_model(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"text\.npz cannot be read as an \.npz .*a text file"):
        load_face_model(tmp_path / "text.npz")

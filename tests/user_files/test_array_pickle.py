"""Pickles of arrays are read, and run nothing."""

import os
import pickle

import numpy as np
import pytest

from twodasl_jax.user_files.array_pickle import load_array_pickle


class Dangerous:
    def __reduce__(self):
        return os.mkdir, ("must-not-be-made",)


def test_a_pickle_that_would_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "param_whitening.pkl"
    path.write_bytes(pickle.dumps({"param_mean": Dangerous()}))
    with pytest.raises(ValueError, match="numpy arrays only"):
        load_array_pickle(path)
    assert not (tmp_path / "must-not-be-made").exists()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_arrays_load_under_every_protocol(tmp_path, protocol):
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps({"a": np.arange(5.0)}, protocol=protocol))
    np.testing.assert_array_equal(load_array_pickle(path)["a"], np.arange(5.0))


def test_other_objects_of_python_s_own_are_no_arrays(tmp_path):
    path = tmp_path / "counter.pkl"
    path.write_bytes(pickle.dumps(range(3)))
    with pytest.raises(ValueError, match=r"counter\.pkl .*asks for builtins\.range; expected"):
        load_array_pickle(path)


def test_arrays_that_python_2_wrote_are_read(tmp_path):
    """Bytes in strings, and numpy's modules at their old addresses."""
    path = tmp_path / "old.pkl"
    written = pickle.dumps(np.array([1.5, -2.0]), protocol=2)
    assert b"numpy._core.multiarray" in written
    path.write_bytes(written.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    np.testing.assert_array_equal(load_array_pickle(path), [1.5, -2.0])

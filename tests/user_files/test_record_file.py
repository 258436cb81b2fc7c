import os
import pickle
import threading

import numpy as np
import pytest

from twodasl_jax.user_files.record_file import RecordFile

EXPECTED = "expected pictures"
RECORDS = np.random.default_rng(0).integers(0, 256, (7, 5, 4, 3)).astype(np.uint8)


@pytest.fixture
def path(tmp_path):
    np.save(tmp_path / "records.npy", RECORDS)
    return tmp_path / "records.npy"


def test_records_are_the_array_s(path):
    records = RecordFile(path, expected=EXPECTED)
    assert (len(records), records.shape, records.dtype) == (7, RECORDS.shape, np.uint8)
    for index in (0, 3, 6):
        np.testing.assert_array_equal(records[index], RECORDS[index])
    records[3][:] = 0  # its own memory
    np.testing.assert_array_equal(records[3], RECORDS[3])
    for index in (-1, 7):
        with pytest.raises(IndexError, match=f"record {index} of 7"):
            records[index]


def test_big_endian_records_and_none_at_all(tmp_path):
    values = np.arange(6, dtype=">f4").reshape(3, 2)
    np.save(tmp_path / "big.npy", values)
    np.testing.assert_array_equal(RecordFile(tmp_path / "big.npy", expected="")[2], values[2])
    np.save(tmp_path / "none.npy", values[:0])
    none = RecordFile(tmp_path / "none.npy", expected="")
    assert (len(none), none.shape) == (0, (0, 2))


def test_a_file_cut_short_in_use_is_an_ordinary_error(path):
    records = RecordFile(path, expected=EXPECTED)
    os.truncate(path, path.stat().st_size - RECORDS[0].nbytes // 2)
    np.testing.assert_array_equal(records[5], RECORDS[5])
    with pytest.raises(ValueError, match=r"records\.npy was cut short .* record 6 .*expected pict"):
        records[6]


def test_a_file_of_another_length_is_refused(path):
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(ValueError, match=r"records\.npy has .* cut short; expected pictures"):
        RecordFile(path, expected=EXPECTED)
    path.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match="followed by something else"):
        RecordFile(path, expected=EXPECTED)


@pytest.mark.parametrize("array", [np.float32(1), np.asfortranarray(RECORDS)], ids=["0-d", "F"])
def test_what_is_no_row_of_records_is_refused(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(ValueError, match=r"x\.npy .*not one record after another"):
        RecordFile(tmp_path / "x.npy", expected=EXPECTED)


def test_threads_read_at_once_and_the_file_closes_with_its_last_reader(path):
    records = RecordFile(path, expected=EXPECTED)
    wrong = []

    def read(seed):
        chosen = np.random.default_rng(seed).integers(0, 7, 200)
        wrong.extend(i for i in chosen if (records[i] != RECORDS[i]).any())

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    again = pickle.loads(pickle.dumps(records))
    np.testing.assert_array_equal(again[2], RECORDS[2])
    opened = len(os.listdir("/proc/self/fd"))
    del again, records
    assert len(os.listdir("/proc/self/fd")) == opened - 2

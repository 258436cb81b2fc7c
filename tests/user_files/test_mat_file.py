import struct
import zlib

import numpy as np
import pytest
import scipy.io

from twodasl_jax.user_files import mat_file
from twodasl_jax.user_files.mat_file import read_variables

EXPECTED = "expected a and b"
VALUES = np.random.default_rng(0).normal(size=(7, 5))


def read(path, *names):
    return read_variables(path, names, expected=EXPECTED)


@pytest.mark.parametrize(
    "options", [{}, {"do_compression": True}, {"format": "4"}], ids=["5", "compressed", "4"]
)
def test_numbers_are_read_and_other_variables_are_not(tmp_path, options):
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"a": VALUES, "long_name_b": VALUES[0] > 0, "c": VALUES * 2}, **options)
    found = read(path, "a", "long_name_b", "absent")
    assert list(found) == ["a", "long_name_b"]
    np.testing.assert_array_equal(found["a"], VALUES)
    np.testing.assert_array_equal(found["long_name_b"].ravel(), VALUES[0] > 0)


def test_the_other_byte_order_is_read(tmp_path):
    dimensions = struct.pack(">IIii", 5, 8, 2, 3)
    flags = struct.pack(">IIII", 6, 8, 6, 0)
    numbers = struct.pack(">II6d", 9, 48, *range(6))
    body = flags + dimensions + struct.pack(">HH4s", 1, 1, b"a") + numbers
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI"
    (tmp_path / "x.mat").write_bytes(head + struct.pack(">II", 14, len(body)) + body)
    np.testing.assert_array_equal(
        read(tmp_path / "x.mat", "a")["a"], np.arange(6.0).reshape(3, 2).T
    )


def test_version_7_3_says_how_to_save_it(tmp_path):
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    for content in (head + bytes(400) + b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(400)):
        (tmp_path / "x.mat").write_bytes(content)
        with pytest.raises(ValueError, match=r"x\.mat .*version 7\.3, .*save it again with -v7"):
            read(tmp_path / "x.mat", "a")


@pytest.mark.parametrize(
    "value",
    [{"field": 1.0}, np.array([[1.0], ["x"]], object), "words"],
    ids=["struct", "cells", "text"],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_what_is_no_numbers_is_not_followed(tmp_path, value, compressed):
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"a": value, "b": VALUES}, do_compression=compressed)
    found = read(path, "a", "b")
    assert found["a"].dtype == object
    assert found["a"].size == 0
    np.testing.assert_array_equal(found["b"], VALUES)


def compressed_variable(rows, columns, *, number_bytes):
    """A variable that says so, and so many bytes of numbers, which are zeros."""
    body = struct.pack("<IIII", 6, 8, 6, 0) + struct.pack("<IIii", 5, 8, rows, columns)
    body += struct.pack("<HH4s", 1, 1, b"a") + struct.pack("<II", 9, number_bytes % 2**32)
    pack = zlib.compressobj()
    content = pack.compress(struct.pack("<II", 14, (len(body) + number_bytes) % 2**32) + body)
    for _ in range(number_bytes // 2**20):
        content += pack.compress(bytes(2**20))
    content += pack.flush()
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    return head + struct.pack("<II", 15, len(content)) + content


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "x.mat"
    path.write_bytes(compressed_variable(2**20, 4, number_bytes=2**25))
    np.testing.assert_array_equal(read(path, "a")["a"], np.zeros((2**20, 4)))
    monkeypatch.setattr(mat_file, "LARGEST_ARRAYS_BYTES", 2**24)
    unpacked = []
    monkeypatch.setattr(mat_file.scipy.io, "loadmat", lambda *_, **__: unpacked.append(1) or {})
    with pytest.raises(ValueError, match=r"x\.mat .*a takes 0\.0 GB; at most"):
        read(path, "a")
    # Few numbers declared, many packed.
    path.write_bytes(compressed_variable(7, 1, number_bytes=2**25))
    with pytest.raises(ValueError, match="a takes"):
        read(path, "a")
    assert not unpacked
    assert not read(path, "b")  # what nobody asks for is not looked at

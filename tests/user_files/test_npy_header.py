"""The head of a .npy says what array follows, and is believed only so far."""

import io

import numpy as np
import pytest

from twodasl_jax.user_files.npy_header import LARGEST_HEADER_BYTES, read_npy_header


def written(array, **options):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">i2").reshape(2, 3),
        np.asfortranarray(np.ones((3, 2), np.float32)),
        np.array("text"),
        np.zeros((0, 4), bool),
    ],
)
def test_the_head_is_the_array_s_and_the_elements_follow(array, version):
    file = io.BytesIO(written(array, version=version))
    header = read_npy_header(file)
    assert (header.shape, header.dtype) == (array.shape, array.dtype)
    assert header.num_bytes == array.nbytes == len(file.read())
    assert header.fortran_order == (array.ndim > 1 and not array.flags.c_contiguous)


def with_head(text):
    head = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head


def test_the_size_of_a_lie_is_a_number_of_python_s():
    head = "{'descr': '<f8', 'fortran_order': False, 'shape': (2147483648, 2147483648, 8)}"
    header = read_npy_header(io.BytesIO(with_head(head)))
    assert header.num_bytes == 2**31 * 2**31 * 64


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 and so on", "its head is damaged: "),
        (b"", "its head is damaged: "),
        (b"\x93NUMPY\x03\x00" + bytes(200), r"version 3\.0"),
        (
            b"\x93NUMPY\x02\x00" + (LARGEST_HEADER_BYTES + 1).to_bytes(4, "little"),
            "it says that it has 65,537 bytes",
        ),
        (with_head("{'descr': "), "its head is damaged: "),
        (
            with_head("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"),
            r"its shape is \(-1,\)",
        ),
        (written(np.zeros(2, complex)), "complex128: only numbers and texts are read"),
        (written(np.zeros(2, "f4,i4")), "only numbers and texts are read"),
        (written(np.array([None]), allow_pickle=True), "could run code: never read"),
    ],
)
def test_what_is_never_read_is_refused_by_the_head_alone(content, message):
    with pytest.raises(ValueError, match=message):
        read_npy_header(io.BytesIO(content))

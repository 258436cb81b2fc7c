"""The head of a ``.npy``: what array the file says it holds, judged before anything is read."""

import io
import math
import warnings
from typing import IO, NamedTuple

import numpy as np

READ_KINDS = "biufUS"
"""Kinds of dtype that are read: truth values, numbers, texts. Objects are pickles, which could run
code; complex numbers, records and times mean nothing in any file of this package."""

LARGEST_HEADER_BYTES = 2**16
"""numpy's own are of 128."""


class NpyHeader(NamedTuple):
    """What follows in a ``.npy``.

    Attributes:
      shape: of the array.
      dtype: of its elements, in the file's byte order.
      fortran_order: whether the first index runs fastest.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran_order: bool

    @property
    def num_bytes(self) -> int:
        """Bytes of the elements; a Python number, which cannot overflow."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npy_header(file: IO[bytes]) -> NpyHeader:
    """Reads the head of a ``.npy`` and leaves the file at its first element.

    Raises:
      ValueError: a clause without the file's name, where it is none, or the array is not of a
        kind that is read.
    """
    try:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            # 3.0 exists for the names of record fields, and records are not read.
            raise ValueError(f"it is a .npy of version {version[0]}.{version[1]}")
        # Of a head that says that it has gigabytes, room for as many would be made.
        length = file.read(2 if version == (1, 0) else 4)
        size = int.from_bytes(length, "little")
        if size > LARGEST_HEADER_BYTES:
            raise ValueError(f"it says that it has {size:,} bytes")
        head = io.BytesIO(length + file.read(size))
        with warnings.catch_warnings():
            # Files that Python 2 wrote are read as well; numpy remarks on them.
            warnings.simplefilter("ignore", UserWarning)
            if version == (1, 0):
                read = np.lib.format.read_array_header_1_0(head)
            else:
                read = np.lib.format.read_array_header_2_0(head)
    except Exception as error:  # numpy evaluates a literal: tokens, syntax, recursion, encoding
        raise ValueError(f"its head is damaged: {error}") from error
    shape, fortran_order, dtype = read
    if dtype.hasobject:
        raise ValueError("it holds Python objects (a pickle), which could run code: never read")
    if dtype.kind not in READ_KINDS or dtype.shape:
        raise ValueError(f"its elements are {dtype}: only numbers and texts are read")
    if any(size < 0 for size in shape):
        raise ValueError(f"its shape is {shape}")
    return NpyHeader(tuple(shape), dtype, bool(fortran_order))

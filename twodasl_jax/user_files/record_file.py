"""Random access to a large array on disk, one record at a time, without mapping the file.

A file that is cut short while it is mapped ends the process by a signal (SIGBUS), which no
program can word. Read by position, it is an ordinary error.
"""

import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from twodasl_jax.user_files.npy_header import read_npy_header
from twodasl_jax.user_files.opening import open_file


class RecordFile:
    """The records ``array[i]`` of a ``.npy``; threads may read at once.

    Attributes:
      path: the file.
      shape: of the whole array, ``(n, *record)``.
      dtype: of its elements.
    """

    def __init__(self, path: str | Path, *, expected: str) -> None:
        """Opens the file and checks that it is as long as its head says.

        It stays open: what replaces it under the same name is not seen.

        Args:
          path: a ``.npy`` in C order with at least one axis.
          expected: a clause, ``expected …``, for messages.

        Raises:
          FileNotFoundError, PermissionError, OSError: as `open_file`.
          ValueError: where it is no such file, or shorter or longer than it says.
        """
        self.path, self._expected = Path(path), expected
        with open_file(path, expected=expected) as file:
            try:
                header = read_npy_header(file)
            except ValueError as error:
                raise ValueError(f"{path} is no readable .npy ({error}); {expected}") from error
            self._start, size = file.tell(), os.fstat(file.fileno()).st_size
            self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)
        if header.fortran_order or not header.shape:
            raise ValueError(f"{path} is {header.shape}, not one record after another; {expected}")
        self.shape, self.dtype = header.shape, header.dtype
        wanted = self._start + header.num_bytes
        if size != wanted:
            raise ValueError(
                f"{path} has {size:,} bytes and its head says {wanted:,}: it is "
                f"{'cut short' if size < wanted else 'followed by something else'}; {expected}"
            )

    def __len__(self) -> int:
        return self.shape[0]

    def __reduce__(self) -> Any:
        return _reopened, (self.path, self._expected)

    def __getitem__(self, index: int) -> np.ndarray:
        """Record `index`, read anew, an array of its own.

        Raises:
          IndexError: beyond the last record.
          ValueError: where the file has been cut short since it was opened.
          OSError: where the system cannot read it.
        """
        index = int(index)
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)} in {self.path}")
        record = np.empty(self.shape[1:], self.dtype)
        left = record.reshape(-1).view(np.uint8).data
        end = self._start + (index + 1) * len(left)
        while left:  # a network may give a part
            try:
                count = os.preadv(self._descriptor, [left], end - len(left))
            except OSError as error:
                raise OSError(
                    f"{self.path}: record {index} cannot be read ({error.strerror}); "
                    f"{self._expected}"
                ) from error
            if not count:
                raise ValueError(
                    f"{self.path} was cut short while it was in use: record {index} of "
                    f"{len(self)} is gone; {self._expected}"
                )
            left = left[count:]
        return record


def _reopened(path: Path, expected: str) -> RecordFile:
    return RecordFile(path, expected=expected)

"""Reading arrays that a user gives, refusing what is no such file."""

import zipfile
import zlib
from pathlib import Path

import numpy as np


def read_arrays(path: Path, *, expected: str) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz``, or of a ``.npy`` the one under the name ``array``.

    Args:
      path: the file; its bytes decide what it is, not its name.
      expected: what it should hold, for the message.

    Raises:
      FileNotFoundError: where it is absent.
      ValueError: where it cannot be read.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; {expected}")
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"array": loaded}
            return {key: loaded[key] for key in loaded.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as arrays ({error}); {expected}") from error

"""Pickles of numpy arrays, as 3DDFA's whitening statistics are kept; no other pickle is read."""

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any

from twodasl_jax.user_files.opening import read_bytes

LARGEST_PICKLE_BYTES = 2**20
"""``param_whitening.pkl`` has some 2 kB."""

_PICKLED_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}
"""All that a pickle of numpy arrays needs; anything else in one is refused."""


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles containers of numpy arrays and nothing else: a pickle can run any code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PICKLED_NAMES:
            raise ValueError(
                f"the pickle asks for {module}.{name}; expected numpy arrays only, so it is "
                "refused: fetch the file again from its owner"
            )
        # numpy 2 moved these, and warns at the old address.
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load_array_pickle(path: str | Path) -> Any:
    """Reads a pickle of containers of numpy arrays, running no code from it.

    Raises:
      ValueError: where the pickle holds anything else, or is damaged.
    """
    content = read_bytes(path, expected="expected a pickle of arrays", at_most=LARGEST_PICKLE_BYTES)
    try:
        _require_modest_memo(content)
        # latin1: pickles written under Python 2 keep array bytes in strings.
        return _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:  # an unpickler calls what the bytes say: it raises anything
        raise ValueError(f"{path} is not a readable pickle: {error}") from error


def _require_modest_memo(content: bytes) -> None:
    """Refuses numbers of remembered objects that no such file has: room is made for all below."""
    for operation, argument, _ in pickletools.genops(content):
        number = argument if isinstance(argument, int | str) else 0
        if operation.name.endswith("PUT") and int(number) > len(content):
            raise ValueError(f"it remembers an object under the number {argument}")

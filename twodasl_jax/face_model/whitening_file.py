"""The whitening of a network, from the files that the 3DDFA family and this package keep it in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twodasl_jax.coefficients import NUM_COEFFICIENTS, Whitening
from twodasl_jax.user_files.array_pickle import LARGEST_PICKLE_BYTES, load_array_pickle
from twodasl_jax.user_files.arrays import read_npz
from twodasl_jax.user_files.opening import open_file

_NAMES = (("param_mean", "param_std"), ("mean", "std"), ("coefficient_mean", "coefficient_std"))
"""Of 3DDFA, of 3DDFA_V2, and of this package."""

_EXPECTED = "expected the whitening statistics of a network, a pickle of 3DDFA's or an .npz"


def read_whitening(path: str | Path) -> Whitening:
    """Mean and spread of the 62 coefficients, float64.

    Args:
      path: a pickle or an ``.npz`` (its bytes decide) of two arrays named as in `_NAMES`. Of
        longer ones the first 62 numbers are taken, as 3DDFA does.

    Raises:
      FileNotFoundError, PermissionError, OSError: as `opening.open_file`.
      ValueError: where it is none of the two, lacks an array, or holds numbers that are no
        statistics.
    """
    with open_file(path, expected=_EXPECTED) as file:
        is_archive = file.read(2) == b"PK"
    saved: Any = read_npz(path, expected=_EXPECTED) if is_archive else load_array_pickle(path)
    return whitening_of(saved, source=str(path))


def whitening_of(saved: Any, *, source: str) -> Whitening:
    """See `read_whitening`; of what the file holds.

    Raises:
      ValueError: as `read_whitening`.
    """
    saved = saved if isinstance(saved, Mapping) else {}
    names = next((pair for pair in _NAMES if pair[0] in saved), _NAMES[0])
    mean, std = (_statistics(saved, name, source) for name in names)
    if not np.isfinite(mean).all() or not np.isfinite(std).all() or not (std > 0).all():
        raise ValueError(
            f"{source}: {names[0]} and {names[1]} are no statistics; expected finite numbers, and "
            "positive spreads"
        )
    return Whitening(mean, std)


def _statistics(saved: Mapping[Any, Any], name: str, source: str) -> np.ndarray:
    array = saved.get(name)
    # More elements than the file may have bytes were never written.
    if (
        not isinstance(array, np.ndarray)
        or array.dtype.kind not in "iuf"
        or not NUM_COEFFICIENTS <= array.size <= LARGEST_PICKLE_BYTES
    ):
        raise ValueError(f"{source} has no {name} of {NUM_COEFFICIENTS} numbers; {_EXPECTED}")
    return np.ravel(array)[:NUM_COEFFICIENTS].astype(np.float64)

"""Files written whole or not at all."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from twodasl_jax.file_errors import naming_write_errors


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a path beside a file; what is written there becomes the file when the context ends.

    After any exception in the context, Ctrl-C included, the old file is left, or none.

    Args:
      path: of the file; its folder is made.

    Yields:
      Where to write it: in the same folder, so that the renaming is one step.

    Raises:
      OSError: where the folder cannot be made or the file not be put in its place, naming the
        file and why. Errors in the context stay as they are: see `naming_write_errors`.
    """
    unfinished = path.with_name(path.name + ".unfinished")
    with naming_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield unfinished
        with naming_write_errors(path):
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file beside its place and renames it: a failure leaves the old file or none.

    Args:
      path: its folder is made.
      data: all of it.

    Raises:
      OSError: where it cannot be written, naming the file and why.
    """
    with whole_file(path) as unfinished, naming_write_errors(path):
        unfinished.write_bytes(data)

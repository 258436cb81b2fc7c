"""Files written whole or not at all."""

import contextlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from twodasl_jax.file_errors import naming_write_errors

_LONGEST_NAME_BYTES = 255
"""Of a file, on nearly every file system."""


def fitting_name(stem: str, ending: str) -> str:
    """A file's name; where it would be longer than file systems take, the stem is cut.

    A checksum of the whole stem keeps names apart that begin alike.

    Args:
      stem: the beginning.
      ending: kept whole.
    """
    whole = os.fsencode(stem)
    room = _LONGEST_NAME_BYTES - len(os.fsencode(ending))
    if len(whole) <= room:
        return stem + ending
    mark = f"~{zlib.crc32(whole):08x}"
    return whole[: room - len(mark)].decode(errors="ignore") + mark + ending


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
    # Shorter than any name that a file system takes, hidden from whoever lists the folder, and of
    # this process alone: another one may be writing a file of the same name.
    unfinished = path.with_name(
        f".{zlib.crc32(os.fsencode(path.name)):08x}.{os.getpid()}.unfinished"
    )
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

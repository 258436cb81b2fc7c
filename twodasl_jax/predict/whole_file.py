"""Files written whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


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
    # Of this process alone: another one may be writing a file of the same name.
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    with naming_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield unfinished
        with naming_write_errors(path):
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def naming_write_errors(path: Path, *kinds: type[Exception]) -> Iterator[None]:
    """Turns errors of writing into OSErrors that name the file, why, and what to do.

    Args:
      path: of the file.
      kinds: of exceptions, besides OSError, that mean that it cannot be written.
    """
    try:
        yield
    except (OSError, *kinds) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OSError(f"cannot write {path}: {reason}; choose another folder") from error


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

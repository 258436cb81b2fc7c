"""Replacing the files that the program wrote into a folder, in one step, and no others.

A folder of results may also hold what its owner put there, so it is never removed or renamed. New
files are written into a hidden folder inside it. When all are there, that folder is renamed (the
point of no return) and its files are moved up over the old ones. A kill before the renaming leaves
the old files; one after it leaves the new ones, moved up by the next `finish_replacing`, which
every reader of such a folder calls first.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

STAGING = ".unfinished-twodasl"
"""Inside the folder: files that are being written."""

READY = ".finished-twodasl"
"""Inside the folder: complete files that are on their way up."""


@contextlib.contextmanager
def replaced_files(folder: Path, *, marker: str) -> Iterator[Path]:
    """Gives an empty folder; when the context ends its files replace those of the same names.

    After an exception in the context the old files are left, and no folder that was not there.

    Args:
      folder: where the files belong; made if absent. Other files in it stay as they are.
      marker: the file by which readers know a complete set: the old one goes first, the new one
        comes last, so that old and new files are never taken for one set.

    Yields:
      Where to write.

    Raises:
      ValueError: where another process writes there, or a folder has the name of one of the files.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    finish_replacing(folder, marker=marker)
    staging = folder / STAGING
    with _alone_in(staging):
        try:
            yield staging
            require_replaceable(folder, [path.name for path in staging.iterdir()])
            staging.rename(folder / READY)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            with contextlib.suppress(OSError):  # someone else's files came meanwhile
                for path in made:
                    path.rmdir()
            raise
        finish_replacing(folder, marker=marker)


def finish_replacing(folder: Path, *, marker: str) -> None:
    """Moves up the complete files of a writer that was killed while it did so; else does nothing.

    Args:
      folder: where they belong.
      marker: as for `replaced_files`.

    Raises:
      OSError: where the folder cannot be written.
    """
    ready = folder / READY
    if not ready.is_dir():
        return
    if (ready / marker).exists():
        (folder / marker).unlink(missing_ok=True)
    for path in sorted(ready.iterdir(), key=lambda path: path.name == marker):
        with contextlib.suppress(FileNotFoundError):  # another reader was faster
            path.replace(folder / path.name)
    with contextlib.suppress(FileNotFoundError):
        ready.rmdir()


def other_files(folder: Path, names: Collection[str]) -> list[str]:
    """Names in a folder, less these and what a killed `replaced_files` left there."""
    if not folder.exists():
        return []
    return sorted({path.name for path in folder.iterdir()} - {*names, STAGING, READY})


def require_replaceable(folder: Path, names: Collection[str]) -> None:
    """Refuses to write files where something else than a file has their name.

    Raises:
      ValueError: naming the first.
    """
    for name in sorted(names):
        if (folder / name).is_dir():
            raise ValueError(
                f"{folder / name} is a folder, and a file of that name is to be written; move it "
                "or choose another folder"
            )


def require_not_replaced(source: str | Path, folder: Path, names: Collection[str]) -> None:
    """Refuses to read a file that the writing into a folder will replace.

    Args:
      source: a file that is read; by whatever path, links included.
      folder: that is written.
      names: of the files that will be replaced in it.

    Raises:
      ValueError: naming the file.
    """
    for name in names:
        if (folder / name).exists() and os.path.samefile(source, folder / name):
            raise ValueError(
                f"{source} is an input, and writing into {folder} would replace it; choose another "
                "folder"
            )


@contextlib.contextmanager
def _alone_in(staging: Path) -> Iterator[None]:
    """An empty folder for this process alone; what a killed one left in it is removed."""
    staging.mkdir(exist_ok=True)
    held = os.open(staging, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a killed process holds nothing
        except BlockingIOError as error:
            raise ValueError(
                f"another process is writing into {staging.parent}; wait for it"
            ) from error
        for path in staging.iterdir():
            path.unlink()
        yield
    finally:
        os.close(held)

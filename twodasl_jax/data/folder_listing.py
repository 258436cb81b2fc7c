"""What lies in a folder of pictures: the files asked for, and what a system left beside them.

One rule for all folders that a user gives: the owners' data sets, photographs to annotate or to
predict. A Mac leaves ``._x.jpg`` beside every ``x.jpg`` on a foreign disk (no picture, whatever it
is called), and every system has files of its own. None of it is an example.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path, PurePath
from typing import NamedTuple

SYSTEM_NAMES = frozenset(
    {"thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "system volume information"}
)
"""Files and folders of Windows, macOS' archives and Synology, in lower case; those that begin with
a dot (``._x.jpg``, ``.DS_Store``, ``.AppleDouble``) need no list."""


class FolderListing(NamedTuple):
    """What `list_files` found; every list is sorted.

    Attributes:
      files: those with one of the endings asked for.
      hidden: passed over: hidden files with such an ending, and hidden folders (not entered).
      others: files with another ending that are not hidden.
    """

    files: list[Path]
    hidden: list[Path]
    others: list[Path]


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden, a Mac's twin of another, or a system's."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def list_files(
    folder: str | Path, endings: Collection[str], *, recursive: bool = False
) -> FolderListing:
    """Lists the files of a folder by their endings, in upper or lower case.

    The folder itself may be hidden: it was named. Links to files are files; links to folders are
    not entered.

    Args:
      folder: searched.
      endings: with their dot, in lower case: ``.jpg``.
      recursive: look into subfolders too.

    Returns:
      Paths that begin with `folder`.

    Raises:
      OSError: where a folder is absent or may not be read.
    """
    found = FolderListing([], [], [])
    for entry in _entries(folder, recursive=recursive):
        path, wanted = Path(entry.path), ends_with(entry.name, endings)
        if is_hidden(entry.name):
            # `.DS_Store` is nobody's picture; `._x.jpg` could be missed by someone who counts.
            if wanted or entry.is_dir():
                found.hidden.append(path)
        elif entry.is_file():
            (found.files if wanted else found.others).append(path)
    return FolderListing(*(sorted(paths) for paths in found))


def ends_with(name: str, endings: Collection[str]) -> bool:
    """Whether a name has one of the endings (with their dot, lower case), in whatever case."""
    return PurePath(name).suffix.lower() in endings


def _entries(folder: str | Path, *, recursive: bool) -> Iterator[os.DirEntry[str]]:
    waiting = [os.fspath(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry
                if recursive and entry.is_dir(follow_symlinks=False) and not is_hidden(entry.name):
                    waiting.append(entry.path)


def describe_hidden(folder: str | Path, hidden: Collection[Path]) -> str | None:
    """A line on what was passed over as hidden; None where nothing was.

    Args:
      folder: that was listed.
      hidden: `FolderListing.hidden`.
    """
    if not hidden:
        return None
    first = printable(min(hidden).relative_to(folder))
    return (
        f"passed over in {printable(folder)}: {len(hidden)} hidden or of the system, first {first}"
    )


def describe_others(others: Collection[Path]) -> str | None:
    """How many files there are of each other ending, the most first; None where there is none.

    Args:
      others: `FolderListing.others`, or those of them that matter.
    """
    counts = Counter(printable(path.suffix.lower()) or "without ending" for path in others)
    return ", ".join(f"{count} {ending}" for ending, count in counts.most_common()) or None


def printable(name: str | PurePath) -> str:
    r"""A file's name as text that can be printed and stored as UTF-8.

    Linux lets names be any bytes; those that are no UTF-8 (``caf\xe9.jpg`` in Latin-1) come to
    Python as lone surrogates, on which printing and every encoder fail. Open files by the name as
    it came; print, store and compare this one.
    """
    return os.fsencode(name).decode("utf-8", errors="backslashreplace")

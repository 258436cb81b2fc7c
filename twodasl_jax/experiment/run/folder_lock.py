"""One process at a time in a folder: a lock that a killed process cannot leave behind.

`fcntl.flock` on a small file: the kernel gives the lock back when its holder ends, however it
ends, so that a file that is left means nothing by itself. What the file says (process, machine,
since when) is for the message alone. On network file systems the lock is as good as theirs: NFS
carries it between machines, and one that knows no locks is told of in one line.
"""

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from absl import logging

LOCK_FILE = ".lock"


@contextlib.contextmanager
def hold_folder(folder: Path, *, doing: str) -> Iterator[None]:
    """Holds a folder that is written to piece by piece, such as a run's.

    The lock lies in the folder, which is made, and removed again if nothing else came into it.

    Args:
      folder: to be held.
      doing: for the message that another process gets: "trains this run".

    Raises:
      ValueError: while another process holds it, naming that.
    """
    with contextlib.ExitStack() as made:
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder} is a file; expected a folder, or a name for a new one")
        if not folder.exists():
            made.callback(_remove_if_empty, folder)
        folder.mkdir(parents=True, exist_ok=True)
        made.enter_context(_hold(folder / LOCK_FILE, folder, doing))
        yield


@contextlib.contextmanager
def hold_output(folder: Path, *, doing: str) -> Iterator[None]:
    """Holds a folder that appears, or is replaced, as a whole: the lock lies beside it.

    Args:
      folder: that is going to be written.
      doing: as for `hold_folder`.

    Raises:
      ValueError: while another process holds it, naming that.
    """
    # Resolved: two names of one folder, over a link or a /., are one.
    place = folder.resolve()
    with contextlib.ExitStack() as made:
        for parent in reversed([p for p in place.parents if not p.exists()]):
            made.callback(_remove_if_empty, parent)
        place.parent.mkdir(parents=True, exist_ok=True)
        name = f".{place.name.encode()[:200].decode(errors='ignore')}{LOCK_FILE}"
        made.enter_context(_hold(place.parent / name, folder, doing))
        yield


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


@contextlib.contextmanager
def _hold(path: Path, folder: Path, doing: str) -> Iterator[None]:
    with contextlib.ExitStack() as opened:
        file = opened.enter_context(path.open("a+", encoding="utf-8"))
        if not _take(file, folder):
            yield
            return
        if not _still_there(file, path):
            # Whoever held it removed it between the opening and the locking here.
            opened.close()
            with _hold(path, folder, doing):
                yield
            return
        file.truncate(0)
        file.write(json.dumps(_holder(doing)))
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # before the lock is given back


def _take(file: IO[str], folder: Path) -> bool:
    """Locks; False where the file system has no locks.

    Raises:
      ValueError: where another process holds it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(
            f"{folder} is in use: {_told(file)}; wait for it, stop it, or choose another folder"
        ) from error
    except OSError as error:
        logging.warning(
            "the file system of %s has no locks (%s): let no second command write there",
            folder,
            error.strerror,
        )
        return False
    return True


def _still_there(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _holder(doing: str) -> dict[str, str | int]:
    since = time.strftime("%Y-%m-%d %H:%M:%S %z")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": since, "doing": doing}


def _told(file: IO[str]) -> str:
    file.seek(0)
    try:
        holder = json.loads(file.read())
        return "process {pid} on {host} {doing} since {since}".format(**holder)
    except (ValueError, TypeError, KeyError):  # read while it was being written
        return "another process writes to it"

"""What the file system refuses, in one sentence: no space, a quota, no permission, read-only.

Libraries wrap these errors in kinds of their own (Orbax in three, from threads), with the system's
words somewhere in many lines.
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

_ADVICE = {
    errno.ENOSPC: "no space left on its disk; free some, or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space, or choose another folder",
    errno.EFBIG: "the file would be larger than is allowed here; raise the limit (ulimit -f), or "
    "choose another folder",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "permission denied; choose another folder, or have its permissions changed",
    errno.EPERM: "this is not permitted; choose another folder, or have its permissions changed",
    errno.EIO: "the disk reports an input/output error; check it, or choose another folder",
}
"""What the system says -> what it means here, and what to do."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_SHORT_WRITE = re.compile(r"^\d+ requested and \d+ written$")
"""All that numpy says of a disk that is full."""


class FileSystemError(OSError):
    """A file cannot be written; the message is one sentence with what to do."""


def refusal_of(error: BaseException) -> int | None:
    """The system's error number behind an exception of any kind, among those known here.

    Looks at the exceptions that led to it too, and for the system's words where a library kept
    nothing else.
    """
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop(0)
        if current is None or current in seen:
            continue
        seen.append(current)
        number = getattr(current, "errno", None)
        if isinstance(current, OSError) and number in _ADVICE:
            return number
        if _SHORT_WRITE.match(str(current)):
            return errno.ENOSPC
        for number in _ADVICE:
            if os.strerror(number) in str(current):
                return number
        waiting.append(
            current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        )
        waiting += list(getattr(current, "exceptions", ()))
    return None


def is_out_of_space(error: BaseException) -> bool:
    """Whether nothing more can be written, wherever else the next file of its folder would go."""
    return refusal_of(error) in _FULL


def refused(path: object, error: BaseException) -> FileSystemError | None:
    """The error that tells a refusal in one sentence; None where it is no refusal."""
    number = refusal_of(error)
    if number is None:
        return None
    told = FileSystemError(f"cannot write {path}: {_ADVICE[number]}")
    told.errno = number
    return told


@contextlib.contextmanager
def naming_write_errors(path: str | Path, *kinds: type[Exception]) -> Iterator[None]:
    """Turns errors of writing into OSErrors that name the file, why, and what to do.

    Args:
      path: of the file or folder that is written.
      kinds: of exceptions, besides OSError, that mean that it cannot be written.
    """
    try:
        yield
    except FileSystemError:
        raise
    except Exception as error:
        told = refused(path, error)
        if told is None:
            if not isinstance(error, (OSError, *kinds)):
                raise
            reason = getattr(error, "strerror", None) or str(error)
            told = FileSystemError(f"cannot write {path}: {reason}; choose another folder")
        raise told from error


def in_one_sentence(error: Exception, *, written_to: object = "the output") -> str | None:
    """What to tell a user of an exception that ends a command; None for one that is a bug.

    Args:
      error: of any kind.
      written_to: what to name where the exception names no file.

    Returns:
      The message of an error that was worded for users (ValueError, OSError, ArithmeticError), or
      the sentence of a refusal, by whatever kind of exception it came.
    """
    worded = isinstance(error, ValueError | OSError | ArithmeticError)
    if isinstance(error, FileSystemError) or (worded and not _is_the_systems(error)):
        return str(error)
    named = getattr(error, "filename", None) or _path_in(str(error)) or written_to
    told = refused(named, error)
    if told is not None:
        return str(told)
    return str(error) if worded else None


def _is_the_systems(error: Exception) -> bool:
    """Whether a message is the system's or a library's own: ours are single lines."""
    if isinstance(error, OSError) and error.errno is not None:
        return True
    text = str(error)
    quoted = any(os.strerror(number) in text for number in _FULL)
    return bool(_SHORT_WRITE.match(text)) or ("\n" in text and quoted)


def _path_in(text: str) -> str | None:
    found = re.search(r"['\"](/[^'\"]+)['\"]", text)
    return None if found is None else found.group(1)

"""Opening a file that somebody gives: what is there, what it is by its first bytes."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

HEAD_BYTES = 512

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x93NUMPY", "one array, a .npy"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"MATLAB 7.3", "a MATLAB file of version 7.3, which is HDF5"),
    (b"MATLAB 5.0", "a MATLAB file"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it stands for (git lfs pull)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG\r\n", "a PNG picture"),
    (b"%PDF", "a PDF"),
    (b"\x80\x02", "a pickle"),
    (b"\x80\x03", "a pickle"),
    (b"\x80\x04", "a pickle"),
    (b"\x80\x05", "a pickle"),
)

_SPECIAL = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_file(path: str | Path, *, expected: str) -> BinaryIO:
    """Opens an ordinary, non-empty file for reading, without buffering.

    Args:
      path: the file.
      expected: a clause, ``expected …``, for the message.

    Raises:
      FileNotFoundError: where nothing is there.
      PermissionError: where it may not be read.
      ValueError: where it is no ordinary file, or empty.
      OSError: where the system cannot read it.
    """
    path = Path(path)
    try:
        state = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"no file {path}; {expected}") from error
    except PermissionError as error:
        raise PermissionError(_not_allowed(path, expected)) from error
    except (OSError, ValueError) as error:  # a name that is too long, holds a zero, loops
        raise ValueError(f"{str(path)!r} is no file's name ({error}); {expected}") from error
    # Before opening: that of a named pipe waits for whoever writes to it.
    for is_kind, kind in _SPECIAL:
        if is_kind(state.st_mode):
            raise ValueError(f"{path} is {kind}; {expected}")
    if state.st_size == 0:
        raise ValueError(f"{path} is empty (0 bytes); {expected}: copy or make it again")
    try:
        return path.open("rb", buffering=0)
    except PermissionError as error:
        raise PermissionError(_not_allowed(path, expected)) from error
    except OSError as error:
        raise OSError(f"{path} cannot be opened ({error.strerror}); {expected}") from error


def read_bytes(path: str | Path, *, expected: str, at_most: int) -> bytes:
    """All bytes of an ordinary file of a bounded size.

    Args:
      path: the file.
      expected: a clause, ``expected …``, for the message.
      at_most: bytes; a larger file is refused before it is read.

    Raises:
      FileNotFoundError, PermissionError, ValueError, OSError: as `open_file`; ValueError where
        the file is larger than `at_most`.
    """
    with open_file(path, expected=expected) as file:
        size = os.fstat(file.fileno()).st_size
        if size > at_most:
            raise ValueError(f"{path} has {size:,} bytes, more than {at_most:,}; {expected}")
        try:
            return file.read()
        except OSError as error:
            raise OSError(f"{path} cannot be read ({error.strerror}); {expected}") from error


def kind_of(head: bytes) -> str:
    """What a file is by its first bytes, in words, for a message."""
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head")):
        return "a web page (a download that failed?)"
    try:
        text = head.decode("utf-8", errors="strict" if len(head) < HEAD_BYTES else "ignore")
    except UnicodeDecodeError:
        text = "\0"
    if all(letter.isprintable() or letter in "\r\n\t" for letter in text):
        return "a text file"
    return f"of no known kind (it begins with {head[:8]!r})"


def _not_allowed(path: Path, expected: str) -> str:
    return f"{path} may not be read (permission denied); {expected}: change its permissions"

"""Standard output and error that cannot fail the work.

What a program tells is worth less than what it does: a letter that the terminal's encoding lacks
(``°``, a file's name), a reader that has gone (``| head -1``), a full disk under a redirection or a
closed stream costs the text alone. The command lines call `make_standard_streams_safe` first of
all; everything that prints afterwards, rich and logging included, is mended by it.
"""

import errno
import io
import os
import select
import sys
from typing import Any, TextIO


def make_standard_streams_safe() -> None:
    r"""Puts streams that never raise in the place of ``sys.stdout`` and ``sys.stderr``.

    Their encoding stays; what it lacks is written as an escape (``\xb0``). After the first write
    that fails, all others are dropped, and where no reader had gone, standard error says so.
    """
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            _occupy(descriptor)
        elif isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, _safe(stream))


class _SafeFile(io.FileIO):
    """A file whose failing writes are dropped; closing it leaves its descriptor open."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._lost = False

    def write(self, data: Any, /) -> int:
        """Writes what can be written now; says that all was where nothing can be any more."""
        while not self._lost:
            try:
                written = super().write(data)
            except OSError as error:
                self._lost = True
                if error.errno != errno.EPIPE and self.fileno() != 2:
                    told = f"what is printed from here on is lost: {error.strerror}\n"
                    sys.stderr.write(told)
            else:
                if written is not None:
                    return written
                select.select([], [self], [])  # set to non-blocking by whom it is shared with
        return len(data)


class _Unbuffered(io.BufferedWriter):
    """What ``python -u`` asks for."""

    def write(self, data: Any, /) -> int:
        """Writes at once."""
        written = super().write(data)
        self.flush()
        return written


def _safe(stream: io.TextIOWrapper) -> TextIO:
    try:
        stream.flush()
        descriptor = stream.fileno()
    except (OSError, ValueError):  # no reader, a closed stream, or one of a test
        stream.reconfigure(errors="backslashreplace")
        return stream
    if sys.platform == "win32" and stream.isatty():
        stream.reconfigure(errors="backslashreplace")  # consoles take text, no bytes
        return stream
    buffered = _Unbuffered if stream.write_through else io.BufferedWriter
    return io.TextIOWrapper(
        buffered(_SafeFile(descriptor)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _occupy(descriptor: int) -> None:
    """Gives a closed descriptor to the null device.

    The next file opened would get its number, and a library that prints to the number would write
    into that file.
    """
    try:
        os.fstat(descriptor)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null != descriptor:
            os.dup2(null, descriptor)
            os.close(null)

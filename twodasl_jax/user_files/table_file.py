"""Comma-separated tables that somebody gives."""

import csv
import io
from pathlib import Path

from twodasl_jax.user_files.opening import HEAD_BYTES, kind_of, read_bytes

LARGEST_TABLE_BYTES = 2**30
"""UMDFaces' largest has some 100 MB."""


def read_rows(path: str | Path, *, expected: str) -> list[list[str]]:
    """All rows of a CSV file, the heading among them; blank lines are left out.

    Args:
      path: the file, UTF-8.
      expected: a clause, ``expected …``, that says what it should hold, for the message.

    Raises:
      FileNotFoundError, PermissionError, OSError: as `open_file`.
      ValueError: where it is no such table.
    """
    content = read_bytes(path, expected=expected, at_most=LARGEST_TABLE_BYTES)
    try:
        text = content.decode("utf-8-sig")
        if "\0" in text:
            raise ValueError("it holds zero bytes")
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is {kind_of(content[:HEAD_BYTES])}, or a text in another encoding than UTF-8; "
            f"{expected}"
        ) from error
    except (csv.Error, ValueError) as error:
        raise ValueError(f"{path} is no readable table ({error}); {expected}") from error
    return rows

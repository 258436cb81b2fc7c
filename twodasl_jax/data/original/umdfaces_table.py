"""UMDFaces' CSV files, as published or as a spreadsheet saved them again.

Read rightly: UTF-8 and UTF-16 with a byte order mark, UTF-8 without; commas, semicolons or tabs;
quoted cells, either end of line, spaces and lower case in the header, columns in any order, empty
lines, the header or a row once more. Anything else is refused with the file and the line.
"""

import csv
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twodasl_jax.user_files.opening import open_file

BOX_COLUMNS = ("FACE_X", "FACE_Y", "FACE_WIDTH", "FACE_HEIGHT")
POSE_COLUMNS = ("YAW", "PITCH", "ROLL")
POINT_COLUMNS = tuple(column for i in range(1, 22) for column in (f"P{i}X", f"P{i}Y", f"VIS{i}"))
NUMBER_COLUMNS = BOX_COLUMNS + POSE_COLUMNS + POINT_COLUMNS

NEEDED_COLUMNS = ("FILE", *BOX_COLUMNS, *POINT_COLUMNS)
"""Without the others (who it is, the pose, the probabilities of the gender) a face still trains."""

DELIMITERS = (",", ";", "\t")
MARKS_OF_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
NOTHING = " \t\r\n\ufeff\x1a"
"""Around a cell: spaces, the byte order mark of a table that was joined, DOS's end of a file."""

LARGEST_SUBJECT_ID = 2**31 - 1
UNKNOWN_SUBJECT = -1

_logger = logging.getLogger(__name__)


class UmdRow(NamedTuple):
    """One face's row.

    Attributes:
      path: the column ``FILE``.
      subject_id: a number of UMDFaces; -1 where the row has none.
      numbers: ``(70,)`` float32 in the order of `NUMBER_COLUMNS`; NaN where the row has none.
    """

    path: str
    subject_id: int
    numbers: np.ndarray


def read_table(path: Path) -> list[UmdRow]:
    """Reads a batch's table; a row that is there twice counts once, and that is logged.

    Raises:
      ValueError: one sentence with the file and the line: no text, a needed column absent, a row
        of another length, decimal commas, no face at all.
    """
    seen: set[tuple[str, bytes]] = set()
    rows, repeated = [], []
    try:
        for line, row in _parsed(path):
            key = (row.path, row.numbers.tobytes())
            (repeated if key in seen else rows).append((line, row))
            seen.add(key)
    except UnicodeError as error:
        raise ValueError(f"{path.name} is no UTF-8 and no UTF-16 text ({error})") from error
    if not rows:
        raise ValueError(f"{path.name} has a header and no faces")
    if repeated:
        _logger.warning(
            "%s: %d times a row is there once more, first in line %d; each counts once",
            *(path.name, len(repeated), repeated[0][0]),
        )
    return [row for _, row in rows]


def _parsed(path: Path) -> Iterator[tuple[int, UmdRow]]:
    """Numbers of lines, and rows."""
    encoding = _encoding(path)
    # A name in Latin-1 keeps its bytes: it is opened by them.
    with path.open(newline="", encoding=encoding, errors="surrogateescape") as file:
        lines = _lines(path, file, _delimiter(path, encoding))
        _, header = next(lines, (0, []))
        header = _checked_header(path, header)
        name = header.index("FILE")
        subject = header.index("SUBJECT_ID") if "SUBJECT_ID" in header else None
        columns = [header.index(c) if c in header else None for c in NUMBER_COLUMNS]
        for line, cells in lines:
            if [cell.upper() for cell in cells[: len(header)]] == header:
                continue  # two tables, one after the other
            if any(cells[len(header) :]) or len(cells) < len(header):
                raise ValueError(
                    f"{path.name}, line {line}, has {len(cells)} columns; expected {len(header)}"
                )
            numbers = [
                float("nan") if column is None else _number(cells[column], path, line)
                for column in columns
            ]
            identity = float("nan") if subject is None else _number(cells[subject], path, line)
            known = 0 <= identity <= LARGEST_SUBJECT_ID
            with np.errstate(over="ignore"):  # 1e300 is no pixel: infinite, told with its face
                row = np.array(numbers).astype(np.float32)
            yield line, UmdRow(cells[name], int(identity) if known else UNKNOWN_SUBJECT, row)


def _encoding(path: Path) -> str:
    with open_file(path, expected="expected a batch's table") as file:
        start = file.read(4096)
    if start.startswith(MARKS_OF_UTF_16):
        return "utf-16"
    if b"\0" in start:
        raise ValueError(
            f"{path.name}, line 1, holds zero bytes: it is no UTF-8, and no UTF-16 with its byte "
            "order mark; save it as UTF-8"
        )
    return "utf-8-sig"  # with and without a mark


def _delimiter(path: Path, encoding: str) -> str:
    """The one that finds the most columns in the first line that holds something."""
    with path.open(newline="", encoding=encoding, errors="surrogateescape") as file:
        first = next((line for line in file if line.strip()), "")
    found = {
        mark: len({cell.strip().upper() for cell in cells} & {*NEEDED_COLUMNS})
        for mark in DELIMITERS
        for cells in csv.reader([first], delimiter=mark)
    }
    return max(found, key=found.__getitem__) if found else DELIMITERS[0]


def _lines(path: Path, file: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of every line that has some, without the spaces around them."""
    reader = csv.reader(file, delimiter=delimiter)
    try:
        for cells in reader:
            stripped = [cell.strip(NOTHING) for cell in cells]
            if any(stripped):
                yield reader.line_num, stripped
    except csv.Error as error:
        raise ValueError(f"{path.name}, line {reader.line_num}: {error}") from error


def _checked_header(path: Path, cells: Sequence[str]) -> list[str]:
    header = [cell.upper() for cell in cells]
    while header and not header[-1]:  # every line ends with the mark
        header.pop()
    missing = [column for column in NEEDED_COLUMNS if column not in header]
    if missing:
        raise ValueError(
            f"{path.name} lacks the column {missing[0]} (and {len(missing) - 1} others) in its "
            f"first line; expected {', '.join(NEEDED_COLUMNS[:5])}, P1X, P1Y, VIS1, … VIS21 "
            "between commas, semicolons or tabs"
        )
    twice = [column for column in NEEDED_COLUMNS if header.count(column) > 1]
    if twice:
        raise ValueError(f"{path.name} has the column {twice[0]} twice in its first line")
    return header


def _number(text: str, path: Path, line: int) -> float:
    """A cell's number; NaN, which is told with its face, where it has none."""
    try:
        return float(text)
    except ValueError:
        if re.fullmatch(r"[-+]?\d+,\d+", text):
            raise ValueError(
                f"{path.name}, line {line}, holds {text}: numbers with a decimal comma; save it "
                "with decimal points"
            ) from None
        return float("nan")

"""MATLAB files that somebody gives, versions 4 to 7.2, judged by their tags before scipy reads.

A MATLAB 5 file is 128 bytes of head, then one element per variable: a type and a length, 32 bits
each, and so many bytes, often compressed. Of a variable, the first element inside holds its
class. (MAT-File Format, The MathWorks.)
"""

import io
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import scipy.io

from twodasl_jax.user_files.arrays import LARGEST_ARRAYS_BYTES
from twodasl_jax.user_files.opening import HEAD_BYTES, kind_of, read_bytes

_HEAD = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMERIC_CLASSES = range(6, 16)  # double, single, and integers of 8 to 64 bits
_LARGEST_RATIO = 1032
"""zlib makes at most so many bytes of one."""

_VARIABLE_HEAD = 512
"""Decompressed bytes of a variable that hold its class, its shape and its name."""


def read_variables(
    path: str | Path, names: Sequence[str], *, expected: str
) -> dict[str, np.ndarray]:
    """Some variables of a MATLAB file (version 7.2 or older).

    Args:
      path: the file.
      names: of the variables.
      expected: a clause, ``expected …``, for the message.

    Returns:
      Name -> numbers as they are stored, for those of the names that the file has. What is no
      array of numbers (cells, a struct, a text) is not read, and comes as an empty array of
      objects.

    Raises:
      FileNotFoundError, PermissionError, OSError: as `open_file`.
      ValueError: where the file is broken, or one of these variables takes more than
        `LARGEST_ARRAYS_BYTES`.
    """
    content = read_bytes(path, expected=expected, at_most=LARGEST_ARRAYS_BYTES)
    try:
        others = _require_readable(content, names)
        numeric = [name for name in names if name not in others]
        found = scipy.io.loadmat(io.BytesIO(content), variable_names=numeric) if numeric else {}
    except MemoryError as error:
        raise ValueError(f"{path} does not fit into memory; {expected}") from error
    except Exception as error:  # scipy raises a dozen kinds on broken bytes
        reason = error if str(error) else type(error).__name__
        raise ValueError(f"{path} is no readable .mat file: {reason}; {expected}") from error
    variables = {name: np.asarray(found[name]) for name in numeric if name in found}
    return variables | {name: np.empty(0, object) for name in others}


class _Element(NamedTuple):
    kind: int
    body: bytes


class _Variable(NamedTuple):
    name: str
    array_class: int
    shape: tuple[int, ...]


def _require_readable(content: bytes, names: Sequence[str]) -> set[str]:
    """Refuses what scipy cannot read, or could read only at the cost of all memory.

    Returns:
      Those of the names that are no arrays of numbers.
    """
    order, others = _byte_order(content), set[str]()
    if order is None:
        _require_version_4(content)
        return others
    for element in _elements(content, order):
        compressed = element.kind == _COMPRESSED
        # A compressed variable has its own tag again.
        head = (
            zlib.decompressobj().decompress(element.body, _VARIABLE_HEAD)[8:]
            if compressed
            else element.body[:_VARIABLE_HEAD]
        )
        variable = _variable(head, order)
        if variable is None or variable.name not in names:
            continue  # scipy passes it over
        if variable.array_class not in _NUMERIC_CLASSES:
            # Of cells within cells scipy would follow any number, until the stack is full.
            others.add(variable.name)
            continue
        declared = 8 * math.prod(variable.shape)
        if compressed and len(element.body) * _LARGEST_RATIO > LARGEST_ARRAYS_BYTES:
            declared = max(declared, _unpacked_size(element.body))
        if declared > LARGEST_ARRAYS_BYTES:
            raise ValueError(
                f"{variable.name} takes {declared / 1e9:,.1f} GB; at most "
                f"{LARGEST_ARRAYS_BYTES / 1e9:.1f} GB are read"
            )
    return others


def _variable(head: bytes, order: str) -> _Variable | None:
    """Name, class and shape of a variable by its first bytes; None where they are damaged."""
    if len(head) < 40:
        return None
    array_class = struct.unpack_from(f"{order}I", head, 8)[0] & 0xFF
    size = struct.unpack_from(f"{order}I", head, 20)[0]
    at = 24 + -(-size // 8) * 8
    if size % 4 or at + 8 > len(head):
        return None
    shape = struct.unpack_from(f"{order}{size // 4}i", head, 24)
    tag, length = struct.unpack_from(f"{order}II", head, at)
    small = tag >> 16  # up to four bytes of name share the tag
    name = head[at + 4 : at + 4 + small] if small else head[at + 8 : at + 8 + length]
    return _Variable(name.decode("latin1"), array_class, shape)


def _byte_order(content: bytes) -> Literal["<", ">"] | None:
    """Of a MATLAB 5 file; None where it may be one of version 4."""
    if content.startswith(b"MATLAB 7.3") or content.startswith(b"\x89HDF"):
        raise ValueError(
            "it is of version 7.3, which is HDF5: in MATLAB load it and save it again with -v7"
        )
    if len(content) < 20:
        raise ValueError(f"it has {len(content)} bytes: it is cut short, or another kind of file")
    # Version 4 begins with a small number, of which a byte is zero; later ones with text.
    if 0 in content[:4]:
        return None
    mark = content[126:128]
    if mark not in (b"IM", b"MI"):
        raise ValueError(f"it is {kind_of(content[:HEAD_BYTES])}")
    return "<" if mark == b"IM" else ">"


def _elements(content: bytes, order: str) -> Iterator[_Element]:
    position = _HEAD
    while position < len(content):
        if position + 8 > len(content):
            raise ValueError("it is cut short, or followed by something else")
        kind, size = struct.unpack_from(f"{order}II", content, position)
        if kind not in (_MATRIX, _COMPRESSED):
            raise ValueError(f"byte {position:,} begins no variable: it is damaged")
        if position + 8 + size > len(content):
            raise ValueError(
                f"it is cut short: a variable of {size:,} bytes begins at byte {position:,} of "
                f"{len(content):,}"
            )
        yield _Element(kind, content[position + 8 : position + 8 + size])
        position += 8 + size


def _unpacked_size(body: bytes) -> int:
    """Bytes that a compressed variable unpacks to; no further counted than the most allowed."""
    unpack, size, rest = zlib.decompressobj(), 0, body
    while rest and size <= LARGEST_ARRAYS_BYTES:
        size += len(unpack.decompress(rest, 2**24))
        rest = unpack.unconsumed_tail
    return size


def _require_version_4(content: bytes) -> None:
    """Follows the heads of a version 4 file, whose sizes scipy believes."""
    first = struct.unpack_from("<i", content)[0]
    order = "<" if 0 <= first < 5000 else ">"
    position = 0
    while position < len(content):
        if position + 20 > len(content):
            raise ValueError("it is cut short, or another kind of file")
        kind, rows, columns, imaginary, name = struct.unpack_from(f"{order}5i", content, position)
        precision = kind // 10 % 10
        if not 0 <= kind < 5000 or precision > 5 or min(rows, columns) < 0 or not 0 < name < 256:
            raise ValueError(f"it is {kind_of(content[:HEAD_BYTES])}")
        size = rows * columns * (8, 4, 4, 2, 2, 1)[precision] * (2 if imaginary else 1)
        position += 20 + name + size
    if position > len(content):
        raise ValueError(f"it is cut short: {position - len(content):,} bytes are missing")

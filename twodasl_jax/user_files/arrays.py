"""Arrays that somebody gives: ``.npy`` and ``.npz``, judged by their heads before they are read."""

import contextlib
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

from twodasl_jax.user_files.npy_header import NpyHeader, read_npy_header
from twodasl_jax.user_files.opening import HEAD_BYTES, kind_of, open_file

LARGEST_ARRAYS_BYTES = 2**31
"""Of all arrays of one file together, as its heads declare them. The labels of UMDFaces' 367,888
faces take 0.4 GB, a Basel Face Model of 199 directions 0.5 GB; a few compressed megabytes can
declare any number."""

_ENCRYPTED = 0x1
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # all that numpy writes


def read_npz(
    path: str | Path, *, expected: str, only: Collection[str] | None = None
) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz``, in the machine's byte order.

    Args:
      path: the file; its bytes decide what it is, not its name.
      expected: a clause, ``expected …``, that says what it should hold, for the message.
      only: names of the arrays that are of use; whatever else it holds, and of whatever kind, is
        not looked at. None reads all.

    Raises:
      FileNotFoundError, PermissionError, OSError: as `open_file`.
      ValueError: where it is no ``.npz``, is damaged, names an array twice, declares more than
        `LARGEST_ARRAYS_BYTES`, or holds anything but numbers and texts.
    """
    with _opened(path, "an .npz", b"PK", expected) as file, zipfile.ZipFile(file) as archive:
        headers = _headers(archive, only)
        declared = sum(header.num_bytes for header in headers.values())
        if declared > LARGEST_ARRAYS_BYTES:
            raise ValueError(_too_large(declared))
        return {
            member.filename.removesuffix(".npy"): _member_array(archive, member, header)
            for member, header in headers.items()
        }


def read_npy(path: str | Path, *, expected: str) -> np.ndarray:
    """The one array of a ``.npy``, in the machine's byte order.

    Args:
      path: the file; its bytes decide what it is, not its name.
      expected: a clause, ``expected …``, that says what it should hold, for the message.

    Raises:
      FileNotFoundError, PermissionError, OSError: as `open_file`.
      ValueError: where it is no ``.npy``, is damaged, declares more than `LARGEST_ARRAYS_BYTES`,
        or holds anything but numbers and texts.
    """
    with _opened(path, "a .npy", b"\x93NUMPY", expected) as file:
        header = read_npy_header(file)
        if header.num_bytes > LARGEST_ARRAYS_BYTES:
            raise ValueError(_too_large(header.num_bytes))
        return _read_array(file, header)


def numbers_of(
    path: str | Path,
    arrays: Mapping[str, np.ndarray],
    name: str,
    *shapes: tuple[int | None, ...],
) -> np.ndarray:
    """A file's array of real numbers of one of some shapes.

    Args:
      path: of the file, for the message.
      arrays: what it holds.
      name: of the array.
      shapes: allowed ones; None stands for any length.

    Raises:
      ValueError: where it is absent, no numbers, or of another shape.
    """
    wanted = " or ".join(_shape_text(shape) for shape in shapes)
    if name not in arrays:
        has = ", ".join(arrays) or "nothing"
        raise ValueError(f"{path} lacks {name}; it has {has}; expected {wanted} numbers")
    array = arrays[name]
    fits = any(
        len(shape) == array.ndim
        and all(want is None or want == came for want, came in zip(shape, array.shape, strict=True))
        for shape in shapes
    )
    if not fits or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{path}: {name} is {array.shape} {array.dtype}; expected {wanted} numbers"
        )
    return array


def texts_of(path: str | Path, arrays: Mapping[str, np.ndarray], name: str) -> list[str]:
    """A file's list of texts.

    Args:
      path: of the file, for the message.
      arrays: what it holds.
      name: of the array.

    Raises:
      ValueError: where it is absent, or no list of texts.
    """
    if name not in arrays:
        raise ValueError(f"{path} lacks {name}; it has {', '.join(arrays) or 'nothing'}")
    array = arrays[name]
    if array.ndim != 1 or array.dtype.kind != "U":
        raise ValueError(f"{path}: {name} is {array.shape} {array.dtype}; expected (n,) texts")
    return [str(text) for text in array]


def names_of(path: str | Path, arrays: Mapping[str, np.ndarray], name: str) -> list[str]:
    """A file's list of names, each once; see `texts_of`.

    Raises:
      ValueError: as `texts_of`, and where it is empty, or has a name twice.
    """
    names = texts_of(path, arrays, name)
    most, count = Counter(names).most_common(1)[0] if names else ("no face", 0)
    if count != 1:
        came = f"{most} {count} times" if names else most
        raise ValueError(f"{path} names {came}; expected each of its faces once")
    return names


@contextlib.contextmanager
def _opened(path: str | Path, wanted: str, signature: bytes, expected: str) -> Iterator[BinaryIO]:
    """An open file of the right kind; whatever goes wrong with it becomes one sentence."""
    with open_file(path, expected=expected) as file:
        try:
            head = file.read(HEAD_BYTES)
            file.seek(0)
            if not head.startswith(signature):
                raise ValueError(f"it is {kind_of(head)}")
            yield file
        except zipfile.BadZipFile as error:
            # The table of contents is a zip's end: without it zipfile sees no zip at all.
            reason = "it is cut short" if "not a zip file" in str(error) else _brief(error)
            raise ValueError(f"{path} cannot be read as {wanted} ({reason}); {expected}") from error
        except MemoryError as error:
            raise ValueError(f"{path} does not fit into memory; {expected}") from error
        except Exception as error:  # zip files alone raise eight kinds on broken bytes
            raise ValueError(
                f"{path} cannot be read as {wanted} ({_brief(error)}); {expected}"
            ) from error


def _brief(error: Exception) -> str:
    """Messages on damaged headers hold these headers."""
    reason = str(error) or type(error).__name__
    return reason if len(reason) <= 300 else f"{reason[:300]}…"


def _headers(
    archive: zipfile.ZipFile, only: Collection[str] | None
) -> dict[zipfile.ZipInfo, NpyHeader]:
    """What every member of an ``.npz`` declares; nothing but the heads is decompressed."""
    members = archive.infolist()
    if not members:
        return {}
    most, count = Counter(member.filename for member in members).most_common(1)[0]
    if count > 1:
        raise ValueError(f"it holds {most} more than once")
    headers = {}
    for member in members:
        if only is not None and member.filename.removesuffix(".npy") not in only:
            continue
        if not member.filename.endswith(".npy"):
            raise ValueError(f"it is a zip archive that holds {member.filename!r}, no array")
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _COMPRESSIONS:
            raise ValueError(f"{member.filename} is encrypted, or packed as numpy never does")
        with archive.open(member) as file:
            header = _named(member, lambda file=file: read_npy_header(file))
            declared, size = file.tell() + header.num_bytes, member.file_size
        if declared != size:
            raise ValueError(
                f"{member.filename} says that it takes {declared:,} bytes and the archive {size:,}"
            )
        headers[member] = header
    return headers


def _member_array(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, header: NpyHeader
) -> np.ndarray:
    with archive.open(member) as file:
        read_npy_header(file)
        array = _named(member, lambda: _read_array(file, header))
        file.read()  # at its end the archive's checksum is compared
    return array


def _named(member: zipfile.ZipInfo, read: Any) -> Any:
    try:
        return read()
    except ValueError as error:
        raise ValueError(f"{member.filename}: {error}") from error


def _read_array(file: IO[bytes], header: NpyHeader) -> np.ndarray:
    content = bytearray(header.num_bytes)  # not a page of it is touched before it is filled
    left = memoryview(content)
    while left:
        part = file.read(min(len(left), 2**22))
        if not part:
            raise ValueError(
                f"it is cut short: {len(left):,} of the {len(content):,} bytes of its array "
                f"{header.shape} are missing"
            )
        left[: len(part)] = part
        left = left[len(part) :]
    array = np.frombuffer(content, header.dtype)
    shape = header.shape
    array = array.reshape(shape[::-1]).T if header.fortran_order else array.reshape(shape)
    return array.astype(header.dtype.newbyteorder("="), copy=False)


def _too_large(declared: int) -> str:
    return (
        f"it declares arrays of {declared / 1e9:,.1f} GB; at most {LARGEST_ARRAYS_BYTES / 1e9:.1f} "
        "GB are read"
    )


def _shape_text(shape: tuple[int | None, ...]) -> str:
    sizes = ["n" if size is None else str(size) for size in shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"

"""Tar archives that somebody gives, uncompressed."""

import tarfile
from collections.abc import Collection
from pathlib import Path

from twodasl_jax.user_files.opening import HEAD_BYTES, kind_of, open_file


def read_members(
    path: str | Path, names: Collection[str], *, largest: int, expected: str
) -> dict[str, bytes]:
    """The contents of some files of an archive; of one that was appended twice the last.

    Args:
      path: the archive.
      names: of the files; those that it lacks are left out.
      largest: bytes of one of these files; what says that it has more is not read.
      expected: a clause, ``expected …``, that says what it should be, where it is none.

    Raises:
      FileNotFoundError, PermissionError, OSError: as `open_file`.
      ValueError: where it is no tar archive, is damaged, or one of the files is too large.
    """
    with open_file(path, expected=expected) as file:
        head = file.read(HEAD_BYTES)
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r:") as archive:
                contents = {}
                for member in archive:
                    if not member.isfile() or member.name not in names:
                        continue
                    # A sparse file takes no room in the archive, whatever its length.
                    if member.size > largest or member.issparse():
                        raise ValueError(f"{member.name} has {member.size:,} bytes")
                    stream = archive.extractfile(member)
                    assert stream is not None, "of a file there is a stream"
                    contents[member.name] = stream.read()
                return contents
        except Exception as error:  # tarfile raises ten kinds on broken bytes
            reason = str(error) or type(error).__name__
            if head[257:262] != b"ustar":
                reason = f"it is {kind_of(head)}"
            raise ValueError(f"{path} is damaged ({reason}); copy it again") from error

"""Files written whole or not at all."""

from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file beside its place and renames it: a failure leaves the old file or none.

    Args:
      path: its folder is made.
      data: all of it.

    Raises:
      OSError: where it cannot be written, naming the file and why.
    """
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(data)
            unfinished.replace(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(f"cannot write {path}: {reason}; choose another folder") from error

"""Where numbers come from: the code's revision, a file's checksum."""

import hashlib
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def git_revision(folder: Path = REPOSITORY) -> str | None:
    """The commit of a checkout, with ``-dirty`` where tracked files differ; None outside one.

    A package that is installed into an environment inside somebody's repository is outside: that
    repository does not track it.
    """
    describe = ("describe", "--always", "--abbrev=40", "--exclude=*", "--dirty")
    try:
        return _git(folder, *describe) if _git(folder, "ls-files") else None
    except OSError:  # no git, or no such folder
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    told = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    return told.stdout.strip() or None


def sha256_of(path: str | Path) -> str:
    """Checksum of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

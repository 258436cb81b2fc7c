"""What the file system refuses: one sentence, by whatever kind of exception it came."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest

from twodasl_jax.file_errors import (
    FileSystemError,
    in_one_sentence,
    is_out_of_space,
    naming_write_errors,
    refusal_of,
)

FULL = os.strerror(errno.ENOSPC)


def chained(outer, inner):
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError(errno.ENOSPC, FULL), errno.ENOSPC),
        (OSError(errno.EDQUOT, "x"), errno.EDQUOT),
        (OSError("691200 requested and 331648 written"), errno.ENOSPC),  # numpy
        (ValueError(f"RESOURCE_EXHAUSTED: Error writing ...\n [{FULL}]"), errno.ENOSPC),  # Orbax
        (chained(RuntimeError("save failed"), OSError(errno.EROFS, "x")), errno.EROFS),
        (ExceptionGroup("two", [KeyError("a"), PermissionError(errno.EACCES, "x")]), errno.EACCES),
        (ValueError("expected three numbers"), None),
        (FileNotFoundError(errno.ENOENT, "x"), None),
    ],
)
def test_the_systems_number_is_found(error, number):
    assert refusal_of(error) == number
    assert is_out_of_space(error) == (number in (errno.ENOSPC, errno.EDQUOT))


def test_an_error_that_was_answered_is_not_the_reason():
    try:
        try:
            raise PermissionError(errno.EACCES, "x")
        except PermissionError:
            raise KeyError("a bug") from None
    except KeyError as error:
        found = refusal_of(error)
    assert found is None


@pytest.mark.parametrize("kind", [RuntimeError, ValueError, OSError])
def test_a_writer_names_what_it_writes(tmp_path, kind):
    path = tmp_path / "a"
    with pytest.raises(FileSystemError) as told, naming_write_errors(path):
        raise kind(f"many\nlines: {FULL}")
    assert str(told.value) == (
        f"cannot write {path}: no space left on its disk; free some, or choose another folder"
    )


def test_named_once_is_named_well(tmp_path):
    with (
        pytest.raises(FileSystemError, match=r"cannot write .*/inner: no space"),
        naming_write_errors(tmp_path / "outer"),
        naming_write_errors(tmp_path / "inner"),
    ):
        raise OSError(errno.ENOSPC, FULL)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, FULL, "/a/b"), "cannot write /a/b: no space left"),
        (OSError(errno.ENOSPC, FULL), "cannot write OUT: no space left"),
        (RuntimeError(f"open '/a/b.npz': {FULL}"), "cannot write /a/b.npz: no space left"),
        (ValueError("expected three numbers"), "expected three numbers"),
        (FileNotFoundError("no such run; train one"), "no such run; train one"),
        (chained(ValueError("a is no picture"), PermissionError(13, "x")), "a is no picture"),
    ],
)
def test_a_command_ends_in_one_sentence(error, told):
    sentence = in_one_sentence(error, written_to="OUT")
    assert sentence is not None
    assert sentence.startswith(told)
    assert "\n" not in sentence


def test_a_bug_stays_a_bug():
    assert in_one_sentence(KeyError("a")) is None
    assert in_one_sentence(RuntimeError("unreachable")) is None


def test_a_file_beyond_the_limit_is_said(tmp_path):
    """The kernel itself refuses: no mount is needed."""
    code = (
        "import resource, signal, numpy as np, sys\n"
        "from twodasl_jax.file_errors import naming_write_errors\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"with naming_write_errors('{tmp_path}'):\n"
        f"    open('{tmp_path}/a', 'wb', buffering=0).write(bytes(1000))\n"
        f"    open('{tmp_path}/a', 'ab', buffering=0).write(bytes(1000))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"cannot write {tmp_path}: the file would be larger than is allowed" in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_numpy_on_a_full_disk():
    with (
        pytest.raises(FileSystemError, match="no space left"),
        naming_write_errors("/dev/full"),
        open("/dev/full", "wb", buffering=0) as file,
    ):
        np.zeros(100_000).tofile(file)

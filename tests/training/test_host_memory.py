import platform
import subprocess
import sys

import pytest

from twodasl_jax.training import host_memory

COUNT_FAULTS = """
import ctypes, resource, sys
from twodasl_jax.training.host_memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(64 << 20)
    libc.memset(block, 1, 64 << 20)
    libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults_of_a_repeated_allocation(mode, repository):
    # In a process of its own: the setting is the whole process's, and cannot be taken back.
    run = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS, mode],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="left out: an option of glibc")
def test_a_large_block_is_mapped_only_once(repository):
    # 64 MiB is 16,384 pages of 4 KiB; malloc's own bookkeeping may touch a few.
    assert _faults_of_a_repeated_allocation("keep", repository) < 100


def test_says_so_where_the_library_has_no_such_option(monkeypatch):
    monkeypatch.setattr(host_memory.ctypes, "CDLL", lambda name: object())
    assert host_memory.keep_freed_memory() is False

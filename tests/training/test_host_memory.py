import platform
import subprocess
import sys

import jax
import jax.monitoring
import jax.numpy as jnp
import pytest

from twodasl_jax.training import host_memory

# What a step does on the CPU: the sort needs its input, 256 MiB, whole, in temporary memory.
COUNT_FAULTS = """
import resource
from twodasl_jax.training.host_memory import keep_freed_memory
assert keep_freed_memory()
import jax, jax.numpy as jnp
step = jax.jit(lambda x, shift: (jnp.sort(x[:, None] * shift, axis=0).sum() + x).sum())
step = step.lower(jnp.zeros(1 << 13), jnp.zeros(1 << 13)).compile()
assert step.memory_analysis().temp_size_in_bytes >= 256 << 20
inputs = jax.block_until_ready((jnp.arange(1.0 * (1 << 13)), jnp.ones(1 << 13)))
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step(*inputs).block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


# 256 MiB are freed, and kept; then XLA says that it has compiled for a second.
COMPILE = """
import ctypes, sys
from twodasl_jax.training.host_memory import COMPILED_EVENT, keep_freed_memory
assert keep_freed_memory()
import jax
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
def resident_mib():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 >> 20
before = resident_mib()
block = libc.malloc(256 << 20)
libc.memset(block, 1, 256 << 20)
libc.free(block)
kept = resident_mib() - before
jax.monitoring.record_event_duration_secs(COMPILED_EVENT, 1.0)
print(kept, resident_mib() - before)
"""


def _run(program, repository):
    # In a process of its own: the settings are the whole process's, and cannot be taken back.
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=True
    )
    return [int(word) for word in run.stdout.split()]


needs_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="left out: options of glibc"
)


@needs_glibc
def test_the_memory_of_a_step_is_mapped_only_once(repository):
    (faults,) = _run(COUNT_FAULTS, repository)
    assert faults < 6_000  # 256 MiB is 65,536 pages of 4 KiB


@needs_glibc
def test_what_the_compiler_used_is_given_back(repository):
    kept, left = _run(COMPILE, repository)
    assert kept > 240
    assert left < 16


def test_jax_reports_a_compilation_by_the_name_that_is_listened_for():
    events = []
    listener = lambda event, seconds, **_: events.append(event)  # noqa: E731
    jax.monitoring.register_event_duration_secs_listener(listener)
    jax.jit(lambda x: 3 * x + 7)(jnp.ones(11)).block_until_ready()
    assert host_memory.COMPILED_EVENT in events


def test_says_so_where_the_library_has_no_such_option(monkeypatch):
    monkeypatch.setattr(host_memory.ctypes, "CDLL", lambda name: object())
    assert host_memory.keep_freed_memory() is False
    assert host_memory.give_back_freed_memory() is False


GIVE_BACK = """
import ctypes, sys
from twodasl_jax.training.host_memory import give_back_freed_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

if sys.argv[1:] == ["told"]:
    assert give_back_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
size = 30 << 20
libc.free(libc.malloc(size))  # glibc learns from it to take such blocks from the heap
before = resident()
blocks = []
for _ in range(8):
    blocks.append(libc.malloc(size))
    libc.memset(blocks[-1], 1, size)
    libc.malloc(200_000)  # stays, behind it
for block in blocks:
    libc.free(block)
print(resident() - before)
"""


@needs_glibc
def test_a_server_gives_freed_blocks_back(repository):
    left = {}
    for told in ("told", ""):
        command = [sys.executable, "-c", GIVE_BACK, told]
        run = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
        left[told] = float(run.stdout)
    assert left["told"] < 10
    assert left[""] > 100, "else nobody needs to be told"

import platform
import subprocess
import sys

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


def _faults_of_a_repeated_step(repository):
    # In a process of its own: the setting is the whole process's, and cannot be taken back.
    run = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="left out: an option of glibc")
def test_the_memory_of_a_step_is_mapped_only_once(repository):
    # 256 MiB is 65,536 pages of 4 KiB.
    assert _faults_of_a_repeated_step(repository) < 6_000


def test_says_so_where_the_library_has_no_such_option(monkeypatch):
    monkeypatch.setattr(host_memory.ctypes, "CDLL", lambda name: object())
    assert host_memory.keep_freed_memory() is False

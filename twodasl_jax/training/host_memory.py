"""Keeps the host's freed memory for the next step.

XLA on the CPU asks malloc for one block of temporary memory per step, hundreds of megabytes.
By default glibc maps such a block afresh and unmaps it afterwards, so every step pays a page
fault per 4 KiB: a third of a training step's time where it was measured (see
`benchmarks/backbones.py`). Told to keep what was freed, it pays once. Whoever predicts many faces
gains too: 64 of a photograph took 110 instead of 153 ms (the quickstart's network, two cores).
"""

import ctypes
from typing import Any

# glibc, malloc.h: the option numbers of mallopt.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_MMAP_MAX = -4

COMPILED_EVENT = "/jax/core/compile/backend_compile_duration"
"""What JAX reports to `jax.monitoring` when XLA has compiled a program."""


def keep_freed_memory() -> bool:
    """Tells glibc's malloc to keep freed memory instead of returning it to the system.

    Only the main thread's arena can keep large blocks: glibc maps them for every other one.
    So JAX is told to run steps on the CPU in the thread that calls them, which must be the
    main thread, with inputs that are ready (else XLA's own threads run the step). One arena
    for all threads would do as well, but XLA compiles in as many threads as there are cores,
    and they would wait for each other: a quarter of a first step's time on two cores.

    What the compiler used is given back, though: a gigabyte after ResNet-50's full step.

    Call it once, before JAX sees its devices. No result depends on it.

    Returns:
      Whether the C library took it; False where it has no such options (macOS, musl).
    """
    functions = _malloc_functions()
    if functions is None:
        return False
    mallopt, malloc_trim = functions
    options = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1))
    if not all(mallopt(option, value) == 1 for option, value in options):
        return False
    import jax  # not above: --help does without
    import jax.monitoring

    def give_back(event: str, duration_secs: float, **_: object) -> None:
        # After less it is not worth going through the heap.
        if event == COMPILED_EVENT and duration_secs > 0.5:
            malloc_trim(0)

    jax.config.update("jax_cpu_enable_async_dispatch", False)
    jax.monitoring.register_event_duration_secs_listener(give_back)
    return True


def give_back_freed_memory() -> bool:
    """Tells glibc's malloc to give large freed blocks back at once: for a server.

    By default it learns from the first freed block of 32 MB to take such from the heap, whose
    holes stay with the process: after one picture of 80 million pixels half a gigabyte did.

    Returns:
      Whether the C library took it; False where it has no such options (macOS, musl).
    """
    functions = _malloc_functions()
    return functions is not None and functions[0](_MMAP_THRESHOLD, 1 << 20) == 1


def _malloc_functions() -> tuple[Any, Any] | None:
    try:
        libc = ctypes.CDLL(None)
        return libc.mallopt, libc.malloc_trim
    except (AttributeError, OSError, TypeError):
        return None

"""Keeps the host's freed memory for the next step.

XLA on the CPU asks malloc for one block of temporary memory per step, hundreds of megabytes.
By default glibc maps such a block afresh and unmaps it afterwards, so every step pays a page
fault per 4 KiB: a third of a training step's time where it was measured (see
`benchmarks/backbones.py`). Told to keep what was freed, it pays once.
"""

import ctypes

# glibc, malloc.h: the option numbers of mallopt.
_TRIM_THRESHOLD = -1
_MMAP_MAX = -4
_ARENA_MAX = -8


def keep_freed_memory() -> bool:
    """Tells glibc's malloc to keep freed memory instead of returning it to the system.

    Call it once, before JAX starts its threads: a thread that already owns an arena keeps
    it, and arenas other than the first always map large blocks. The process's memory then
    never shrinks below its peak. Nothing else changes, no result depends on it.

    Returns:
      Whether the C library took it; False where it has no such options (macOS, musl).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    options = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1))
    return all(mallopt(option, value) == 1 for option, value in options)

"""Stopping by a signal: what SIGTERM and Ctrl-C do to a training, and how it ends then.

A light module: run.py imports it before it knows the mode.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

EXIT_STATUS = 75
"""Of a run that was stopped: EX_TEMPFAIL of sysexits.h, 'run the same command again'."""

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class TrainingInterrupted(SystemExit):
    """SIGTERM or Ctrl-C: what was finished is kept, and the same command continues the run."""

    def __init__(self, told: str) -> None:
        """Ends the process with `EXIT_STATUS` where nobody catches it.

        Args:
          told: what was saved; nothing prints it by itself.
        """
        super().__init__(told)
        self.code = EXIT_STATUS


@contextmanager
def stop_noted() -> Iterator[threading.Event]:
    """The first SIGTERM or Ctrl-C sets the event, and nothing else: the context decides when.

    Whoever opens the context looks at the event once more after it: a signal that comes at the
    context's very end is in the event too. A second signal acts as it would without the context.
    """
    stop = threading.Event()
    with _on_first_signal(stop.set):
        yield stop


@contextmanager
def stopping_at_once(told: str) -> Iterator[None]:
    """The first SIGTERM or Ctrl-C ends the context.

    Args:
      told: true at every moment of the context.

    Raises:
      TrainingInterrupted: where the signal came.
    """

    def leave() -> None:
        raise TrainingInterrupted(told)

    with _on_first_signal(leave) as arm, _not_lost_in_callbacks(arm):
        yield


@contextmanager
def _not_lost_in_callbacks(arm: Callable[[], None]) -> Iterator[None]:
    """Signals once more where the first came within a callback, which no exception leaves.

    JAX has one for the garbage collector, which may run at any moment.
    """
    usual, lost, left = sys.unraisablehook, threading.Event(), threading.Event()

    def signal_again() -> None:
        lost.wait()
        # Only when the callback has been left: the exception would be swallowed again.
        if not left.wait(0.1):
            _signal_main_thread()

    # Before it is needed: to start a thread is to wait for it, in the callback.
    threading.Thread(target=signal_again, daemon=True).start()

    def hook(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, TrainingInterrupted):
            usual(unraisable)
            return
        arm()
        lost.set()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        left.set()
        lost.set()
        if sys.unraisablehook is hook:  # another one may have been put around it
            sys.unraisablehook = usual


def _signal_main_thread() -> None:
    signal.pthread_kill(cast(int, threading.main_thread().ident), SIGNALS[0])


@contextmanager
def _on_first_signal(act: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Gives what arms it for one more signal."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None  # Python hands signals to the main thread only.
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def request(_number: int, _frame: Any) -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        act()

    def arm() -> None:
        for number in SIGNALS:
            signal.signal(number, request)

    arm()
    try:
        yield arm
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

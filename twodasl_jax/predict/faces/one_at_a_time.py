"""Functions that several threads may call, and only one at a time runs."""

import functools
import threading
from collections.abc import Callable
from typing import Any


def one_at_a_time(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose calls wait for each other, in whatever threads.

    For face detectors: OpenCV's networks, dlib's and FAN's keep their layers' values in themselves,
    and a second thread reads the first one's or crashes. A lock, not a detector per thread: every
    detector uses all cores, so that two at once take as long as one after the other, and its
    layers' values at 2,048 pixels take hundreds of megabytes.
    """
    lock = threading.Lock()

    @functools.wraps(function)
    def locked(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return function(*args, **kwargs)

    return locked

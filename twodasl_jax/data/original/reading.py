"""Reads many faces in order, some ahead, and keeps account of those that cannot be read."""

import contextlib
import csv
import dataclasses
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import cv2

from twodasl_jax.data.folder_listing import printable

LARGEST_SKIPPED_SHARE = 0.01
"""More unreadable faces than this share of all mean a wrong folder, not a few bad files."""

FACES_PER_CHUNK = 16
"""Handed to a reader at once: few enough that none waits long for the last one's at a shard's end,
and enough that handing over costs little beside reading."""

CHUNKS_AHEAD = 3
"""Chunks per reader that are read before they are asked for: what bounds the memory."""

NUM_THREADS = 2
"""Of a small data set. Most of reading holds Python's lock, so more threads wait for each other."""

FACES_PER_PROCESS = 4096
"""Fewer are read in the time that one more process takes to import what it needs."""

MAX_PROCESSES = 4
"""The process that writes keeps up with about four; each holds some 0.35 GB of its own."""


class Face(Protocol):
    """One face of an original data set."""

    @property
    def file_name(self) -> str:
        """Its image, relative to the data set's folder."""
        ...

    @property
    def group(self) -> str:
        """The folder or list that it is counted in."""
        ...


SomeFace = TypeVar("SomeFace", bound=Face)
Example = TypeVar("Example")


class SkippedFaces:
    """The faces that could not be read, and why; raises when they are too many."""

    def __init__(self, num_faces: int) -> None:
        """Starts an empty list.

        Args:
          num_faces: of the whole data set, all splits: what the allowed share is a share of.
        """
        self.num_faces = num_faces
        self.entries: list[tuple[str, str]] = []

    def add(self, file_name: str, reason: str) -> None:
        """Notes one face.

        Raises:
          ValueError: once more than 1 % of all faces are noted, naming the first few.
        """
        # Names of files may be no UTF-8; what is told and written must be.
        self.entries.append((printable(file_name), printable(reason)))
        if len(self.entries) > LARGEST_SKIPPED_SHARE * self.num_faces:
            listed = "; ".join(f"{name} ({reason})" for name, reason in self.entries[:3])
            raise ValueError(
                f"{len(self.entries)} of {self.num_faces} faces could not be read, more than the "
                f"{LARGEST_SKIPPED_SHARE:.0%} that are allowed. The first: {listed}. Nothing was "
                "kept; repair or complete the files"
            )

    def write_csv(self, path: Path) -> None:
        """Writes ``file_name, reason``; the heading alone where nothing was skipped."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("file_name", "reason"))
            writer.writerows(self.entries)


class Unreadable(NamedTuple):
    """A face that is to be skipped, and why."""

    file_name: str
    reason: str


def num_processes(num_faces: int) -> int:
    """How many processes should read a data set; 1 means threads of this one."""
    # Of a machine's cores a container or a scheduler may allow a few; macOS cannot tell.
    allowed = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if allowed else os.cpu_count() or 1
    return max(1, min(MAX_PROCESSES, cores, num_faces // FACES_PER_PROCESS))


@dataclasses.dataclass(frozen=True)
class Readers:
    """Threads or processes that read, and how many."""

    executor: Executor
    count: int


@contextlib.contextmanager
def start_readers(processes: int) -> Iterator[Readers]:
    """Threads or processes for `read_in_order`; they end with the block, however it ends.

    Processes are spawned, not forked: JAX has threads. So a script that gets here must have its
    ``if __name__ == "__main__":``, and what is read and who reads it must be picklable.

    Args:
      processes: how many; 1 is this one with a few threads.
    """
    if processes == 1:
        readers = Readers(ThreadPoolExecutor(NUM_THREADS), NUM_THREADS)
        environment = {}
    else:
        spawn = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(processes, mp_context=spawn, initializer=_begin_process)
        readers = Readers(pool, processes)
        # Inherited, and read when they import JAX: each would reserve most of a GPU's memory.
        environment = {"JAX_PLATFORMS": "cpu"}
    with _environment(environment):
        try:
            yield readers
        finally:
            readers.executor.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _begin_process() -> None:
    # Ctrl-C goes to all processes of a terminal; the one that writes ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)  # there is a process per core
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when its parent was killed: it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "only for processes that multiprocessing started"
    parent.join()
    os._exit(1)


def read_in_order(
    faces: Sequence[SomeFace],
    read: Callable[[SomeFace], Example],
    skipped: SkippedFaces,
    readers: Readers,
) -> Iterator[Example]:
    """Reads faces on several threads or processes and gives what was read in the faces' order.

    Args:
      faces: what to read.
      read: one face; a ValueError or OSError of it means a face to be skipped.
      skipped: notes those.
      readers: of `start_readers`.

    Yields:
      What `read` made of each readable face.

    Raises:
      ValueError: where too many faces are skipped, or `read` fails in another way.
      ChildProcessError: where a reading process was killed.
    """
    starts = iter(range(0, len(faces), FACES_PER_CHUNK))
    ahead: deque[Future[list[Example | Unreadable]]] = deque()
    try:
        while True:
            while len(ahead) < CHUNKS_AHEAD * readers.count:
                start = next(starts, None)
                if start is None:
                    break
                chunk = faces[start : start + FACES_PER_CHUNK]
                ahead.append(readers.executor.submit(_read_chunk, chunk, read))
            if not ahead:
                return
            for example in ahead.popleft().result():
                if isinstance(example, Unreadable):
                    skipped.add(*example)
                else:
                    yield example
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "a process that reads faces ended before its work was done: it was killed (by the "
            "system, where memory ran out), or could not start. Nothing was kept; prepare again"
        ) from error
    finally:
        for future in ahead:
            future.cancel()


def _read_chunk(
    faces: Sequence[SomeFace], read: Callable[[SomeFace], Example]
) -> list[Example | Unreadable]:
    examples: list[Example | Unreadable] = []
    for face in faces:
        try:
            examples.append(read(face))
        except (ValueError, OSError) as error:
            examples.append(Unreadable(face.file_name, str(error)))
        except Exception as error:
            raise ValueError(
                f"reading {face.file_name} failed with {type(error).__name__}: {error}. That is a "
                "mistake of the program, not of the file; nothing was kept"
            ) from error
    return examples

"""Reads many faces in order, some ahead, and keeps account of those that cannot be read."""

import csv
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

LARGEST_SKIPPED_SHARE = 0.01
"""More unreadable faces than this share of all mean a wrong folder, not a few bad files."""

READ_AHEAD = 4
"""Faces per thread that are read before they are asked for: what bounds the memory."""


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
        self.entries.append((file_name, reason))
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


def read_in_order(
    faces: Iterable[SomeFace],
    read: Callable[[SomeFace], Example],
    skipped: SkippedFaces,
    *,
    num_threads: int = 2,
) -> Iterator[tuple[SomeFace, Example]]:
    """Reads faces on a few threads and gives them in their own order.

    OpenCV decodes, resizes and encodes without Python's lock, so threads suffice.

    Args:
      faces: what to read.
      read: one face; a ValueError or OSError of it means a face to be skipped.
      skipped: notes those.
      num_threads: of reading.

    Yields:
      Each readable face with what `read` made of it.

    Raises:
      ValueError: where too many faces are skipped.
    """
    remaining = iter(faces)
    with ThreadPoolExecutor(num_threads) as pool:

        def submit(count: int) -> Iterator[tuple[SomeFace, Future[Example]]]:
            for face in itertools.islice(remaining, count):
                yield face, pool.submit(read, face)

        ahead = deque(submit(READ_AHEAD * num_threads))
        try:
            while ahead:
                face, future = ahead.popleft()
                ahead.extend(submit(1))
                try:
                    example = future.result()
                except (ValueError, OSError) as error:
                    skipped.add(face.file_name, str(error))
                    continue
                yield face, example
        finally:
            pool.shutdown(cancel_futures=True)

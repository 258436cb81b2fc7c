"""Where a run's numbers go: TensorBoard event files and one CSV."""

import contextlib
import csv
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import RecordWriter
from tensorboardX.summary import scalar

from twodasl_jax.file_errors import naming_write_errors
from twodasl_jax.user_files.table_file import read_rows
from twodasl_jax.whole_file import whole_file

CSV_NAME = "metrics.csv"
CSV_HEADER = ("step", "name", "value")


class MetricWriter:
    """Writes scalars to ``folder`` as TensorBoard events and as rows of ``metrics.csv``.

    The CSV has one row per number, ``step,name,value``: losses and evaluations come at
    different steps and under names that a run may gain on resume, so no fixed columns.

    A run that continues from a checkpoint of step s has already written rows of later steps
    and will write them again; those are removed on opening, from both places.
    """

    def __init__(self, folder: str | Path, *, resumed_step: int = 0) -> None:
        """Opens the writer.

        Args:
          folder: made if absent.
          resumed_step: the step that the run continues from, 0 for a new run. Rows of later
            steps are dropped.

        Raises:
          ValueError: if ``metrics.csv`` is there and is not one of ours.
          OSError: where it cannot be written.
        """
        self._folder = Path(folder)
        path = self._folder / CSV_NAME
        with naming_write_errors(path):
            self._folder.mkdir(parents=True, exist_ok=True)
            _keep_rows(path, resumed_step)
            self._file = path.open("a", newline="")
            self._rows = csv.writer(self._file)
            self._events = _EventFile(self._folder, purge_step=resumed_step + 1)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes the numbers of one step, on disk when this returns.

        Raises:
          OSError: where they cannot be written.
        """
        with naming_write_errors(self._folder):
            for name, value in scalars.items():
                self._rows.writerow((step, name, repr(float(value))))
            self._file.flush()
            self._events.write(step, scalars)

    def close(self) -> None:
        """Flushes and closes both files."""
        with naming_write_errors(self._folder), contextlib.closing(self._events):
            self._file.close()

    def __enter__(self) -> "MetricWriter":
        return self

    def __exit__(self, kind: object, *_error: object) -> None:
        # The same disk may refuse the last flush; the first error is the one to tell.
        with contextlib.nullcontext() if kind is None else contextlib.suppress(OSError):
            self.close()


# Made when the module is loaded; type checkers do not see them.
_event: Any = event_pb2.Event  # pyright: ignore[reportAttributeAccessIssue]
_SESSION: Any = event_pb2.SessionLog  # pyright: ignore[reportAttributeAccessIssue]


_FLUSH_SECONDS = 60
"""A flush waits for the disk. The CSV has every number at once; a kill costs TensorBoard these."""


class _EventFile:
    """TensorBoard's events, written by the thread that calls.

    tensorboardX's usual writer has a thread of its own. Where the disk is full that thread ends
    with a traceback, and whoever writes waits for ever.
    """

    def __init__(self, folder: Path, *, purge_step: int) -> None:
        # TensorBoard reads a folder's files by name. Pieces of a run may begin in one second.
        nanoseconds = time.time_ns()
        begun = f"{nanoseconds // 10**9}.{socket.gethostname()}.{nanoseconds % 10**9:09d}"
        self._file, self._flushed = RecordWriter(str(folder / f"events.out.tfevents.{begun}")), 0.0
        self._add(file_version="brain.Event:2")
        # Readers drop what an earlier piece of the run wrote from that step on.
        self._add(step=purge_step, session_log=_SESSION(status=_SESSION.START))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        for name, value in scalars.items():
            self._add(step=step, summary=scalar(name, float(value)))
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self._file.flush()
            self._flushed = time.monotonic()

    def _add(self, **fields: Any) -> None:
        self._file.write(_event(wall_time=time.time(), **fields).SerializeToString())

    def close(self) -> None:
        self._file.close()


def _keep_rows(path: Path, last_step: int) -> None:
    """Rewrites the file without the rows of later steps; a kill in between loses no row."""
    kept = [row for row in _read_rows(path) if int(row[0]) <= last_step]
    with whole_file(path) as unfinished, unfinished.open("w", newline="") as file:
        csv.writer(file).writerows([CSV_HEADER, *kept])


def _read_rows(path: Path) -> list[list[str]]:
    # One that was opened and never written to is no damage.
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        return []
    rows = read_rows(path, expected="expected a run's metrics: move it away, and it is begun anew")
    if rows and tuple(rows[0]) != CSV_HEADER:
        raise ValueError(
            f"{path} starts with {str(rows[0])[:100]}, expected {list(CSV_HEADER)}: it was not "
            "written by a training run; move it away or choose another folder"
        )
    for number, row in enumerate(rows[1:-1], start=2):
        if not _is_metric(row):
            raise ValueError(
                f"{path}, row {number}, is {','.join(row)[:80]!r}; expected a step, a name and a "
                "number: move the file away, and it is begun anew"
            )
    # A kill may have cut the last row short.
    return [row for row in rows[1:] if _is_metric(row)]


def _is_metric(row: Sequence[str]) -> bool:
    try:
        step, _, value = row
        float(value)
        return int(step) >= 0
    except ValueError:
        return False


def read_metrics(folder: str | Path) -> dict[str, list[tuple[int, float]]]:
    """Reads a run's ``metrics.csv``: ``{name: [(step, value), ...]}`` in the order written.

    Raises:
      ValueError: if the file is not one of ours; FileNotFoundError if there is none.
    """
    path = Path(folder) / CSV_NAME
    if not path.exists():
        raise FileNotFoundError(f"no {CSV_NAME} in {folder}: has a run been started there?")
    series: dict[str, list[tuple[int, float]]] = {}
    for step, name, value in _read_rows(path):
        series.setdefault(name, []).append((int(step), float(value)))
    return series

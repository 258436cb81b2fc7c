"""Where a run's numbers go: TensorBoard event files and one CSV."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from tensorboardX import SummaryWriter

from twodasl_jax.user_files.table_file import read_rows

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
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / CSV_NAME
        kept = [row for row in _read_rows(path) if int(row[0]) <= resumed_step]
        # Written anew beside it and moved, so that a kill in between loses no row.
        anew = path.with_suffix(".csv.new")
        with anew.open("w", newline="") as file:
            csv.writer(file).writerows([CSV_HEADER, *kept])
        anew.replace(path)
        self._file = path.open("a", newline="")
        self._rows = csv.writer(self._file)
        self._events = SummaryWriter(str(folder), purge_step=resumed_step + 1)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes the numbers of one step, on disk when this returns."""
        for name, value in scalars.items():
            self._rows.writerow((step, name, repr(float(value))))
            self._events.add_scalar(name, float(value), step)
        self._file.flush()

    def close(self) -> None:
        """Flushes and closes both files."""
        self._file.close()
        self._events.close()

    def __enter__(self) -> "MetricWriter":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


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

"""What a run shows while it trains: a progress bar with the losses and the throughput."""

from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

IN_FILES_ONLY = "share/"
"""Numbers whose names begin so are for the files: a line has no room for them."""


class ProgressDisplay:
    """A bar on a terminal; where output goes to a file, one line per log point instead."""

    def __init__(
        self, console: Console | None, description: str, first_step: int, num_steps: int
    ) -> None:
        """Prepares the display.

        Args:
          console: where to show it; None shows nothing.
          description: leads every line.
          first_step: where the run starts (not 0 when it continues).
          num_steps: where it ends.
        """
        self._console = console or Console(quiet=True)
        self._description = description
        self._num_steps = num_steps
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[scalars]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(
            description, total=num_steps, completed=first_step, scalars=""
        )

    def advance(self, step: int) -> None:
        """Moves the bar to ``step``."""
        self._progress.update(self._task, completed=step)

    def show(self, step: int, scalars: Mapping[str, float]) -> None:
        """Shows the numbers of a log point."""
        text = "  ".join(
            f"{name} {value:.4g}"
            for name, value in scalars.items()
            if not name.startswith(IN_FILES_ONLY)
        )
        self._progress.update(self._task, scalars=text)
        if not self._console.is_terminal:
            self._console.print(f"{self._description} {step}/{self._num_steps}  {text}")

    def __enter__(self) -> "ProgressDisplay":
        self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()

"""What becomes of the numbers of a run: kept, checked, averaged, written, carried over a stop."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from twodasl_jax.training.best_checkpoint import BestCheckpoint
from twodasl_jax.training.progress import ProgressDisplay
from twodasl_jax.training.run_description import RunSoFar
from twodasl_jax.training.state import Networks
from twodasl_jax.training.writers import MetricWriter

Metrics = Mapping[str, Any]
"""``{name: scalar}`` of one step."""

Evaluator = Callable[[Networks], Iterable[tuple[str, float]]]
"""Measures networks and gives named numbers. They are valid during the call only, and an
evaluator must not touch the batches: they belong to the steps."""


class NonFiniteError(ArithmeticError):
    """A loss or a parameter is NaN or infinite; the last good checkpoint is untouched."""


class StepLog:
    """Where the numbers of a run go: the metrics of its steps, and what evaluators measure."""

    def __init__(
        self,
        writer: MetricWriter | None,
        display: ProgressDisplay,
        batch_size: int,
        so_far: RunSoFar,
    ) -> None:
        """Starts where a checkpoint left off.

        Args:
          writer: None writes nothing.
          display: shows what is written.
          batch_size: images per step, for the throughput.
          so_far: of the checkpoint, or of a run that begins.
        """
        self._writer, self._display, self._batch_size = writer, display, batch_size
        self._before, self._began = so_far, time.perf_counter()
        self._pending: list[Metrics] = list(so_far.unlogged)
        self.restart_timer()

    def restart_timer(self) -> None:
        """The throughput is that of the steps alone: evaluations and saves are outside."""
        self._start, self._timed_steps = time.perf_counter(), 0

    def add(self, step: int, metrics: Metrics) -> None:
        """Keeps one step's metrics, on the device."""
        self._pending.append(metrics)
        self._timed_steps += 1
        # One step in flight: the host never piles up batches faster than they are used.
        jax.block_until_ready(self._pending[-2:-1])
        self._display.advance(step)

    def write_means(self, step: int) -> None:
        """Fetches, checks, averages and writes the metrics since the last log point."""
        self.fetch(step)
        rows = self._pending
        scalars = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        images = self._timed_steps * self._batch_size
        scalars["images_per_second"] = images / (time.perf_counter() - self._start)
        self._pending = []
        self._write(step, scalars)

    def write_scores(
        self,
        step: int,
        networks: Networks,
        evaluators: Sequence[Evaluator],
        best: BestCheckpoint | None,
    ) -> None:
        """Runs the evaluators, writes what they measured, and offers the networks by it."""
        scores = {name: value for evaluate in evaluators for name, value in evaluate(networks)}
        self._write(step, scores)
        if best is not None:
            best.offer(step, networks, scores)

    def fetch(self, step: int) -> None:
        """Fetches the metrics since the last log point, for a checkpoint that carries them on.

        Raises:
          NonFiniteError: naming the terms and steps that are not finite.
        """
        self._pending = list(_finite_rows(self._pending, step))

    def so_far(self) -> RunSoFar:
        """What a checkpoint carries on, made at a log point or after `fetch`."""
        seconds = self._before.seconds + time.perf_counter() - self._began
        return RunSoFar(seconds, self._before.from_step, tuple(self._pending))

    def _write(self, step: int, scalars: Mapping[str, float]) -> None:
        if self._writer is not None and scalars:
            self._writer.write(step, scalars)
        self._display.show(step, scalars)


def _finite_rows(pending: Sequence[Metrics], last_step: int) -> list[dict[str, float]]:
    """Fetches the metrics of the last steps at once, or raises an error that names the bad."""
    fetched = jax.device_get(list(pending))
    first_step = last_step - len(fetched) + 1
    columns = {name: np.array([float(row[name]) for row in fetched]) for name in fetched[0]}
    bad = {name: ~np.isfinite(values) for name, values in columns.items()}
    if any(flags.any() for flags in bad.values()):
        first_bad = min(int(flags.argmax()) for flags in bad.values() if flags.any())
        named = "; ".join(
            f"{name} first at step {first_step + int(flags.argmax())} ({flags.sum()} of the last "
            f"{len(fetched)} steps)"
            for name, flags in bad.items()
            if flags.any()
        )
        started = [name for name, flags in bad.items() if flags[first_bad]]
        raise NonFiniteError(
            f"non-finite loss: it started at step {first_step + first_bad} in {started}. "
            f"All: {named}. The last good checkpoint is kept. Lower the learning rate, set "
            "clip_norm, or warm the term up, and run again."
        )
    return [{name: float(row[name]) for name in row} for row in fetched]

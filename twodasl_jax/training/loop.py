"""The training loop: steps, logs, evaluations and checkpoints, in an order that resumes.

It knows no loss and no network: a step gives named numbers, and so does an evaluator.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import jax
import numpy as np
from rich.console import Console

from twodasl_jax.training.best_checkpoint import BestCheckpoint
from twodasl_jax.training.checkpoint import Checkpointer
from twodasl_jax.training.progress import ProgressDisplay
from twodasl_jax.training.state import Networks, TrainState, non_finite_parts
from twodasl_jax.training.writers import MetricWriter

Metrics = Mapping[str, Any]


class Batches(Protocol):
    """An endless iterator of host batches that can tell and set its position (grain's)."""

    def __next__(self) -> Any:
        """The next batch."""
        ...

    def get_state(self) -> Any:
        """The position, plain values."""
        ...


Evaluator = Callable[[Networks], Iterable[tuple[str, float]]]
"""Measures networks and gives named numbers. They are valid during the call only, and an
evaluator must not touch the batches: they belong to the steps."""


class TrainingInterrupted(SystemExit):
    """SIGTERM or Ctrl-C: the run is saved and the same command continues it."""


class NonFiniteError(ArithmeticError):
    """A loss or a parameter is NaN or infinite; the last good checkpoint is untouched."""


def train(
    state: TrainState,
    step_fn: Callable[[TrainState, Any], tuple[TrainState, Metrics]],
    batches: Batches,
    *,
    num_steps: int,
    place_batch: Callable[[Any], Any],
    batch_size: int,
    log_every: int,
    checkpoint_every: int,
    evaluate_every: int = 0,
    evaluators: Sequence[Evaluator] = (),
    checkpointer: Checkpointer | None = None,
    best: BestCheckpoint | None = None,
    writer: MetricWriter | None = None,
    console: Console | None = None,
    description: str = "train",
) -> TrainState:
    """Trains from ``state.step`` to ``num_steps``.

    The order within one step, and why:
      1. The step is dispatched; the device works while the host goes on.
      2. The next batch is read and placed meanwhile. The iterator is then one batch ahead of
         the networks, so its position was noted before: that one is saved, not the current.
      3. At a log point the metrics, kept on the device since the last one, are fetched at
         once, checked, and their means written.
      4. Evaluators, and the best checkpoint by what they measured; then the checkpoint to
         continue from, last, so that whatever it vouches for is written. (A kill in between
         writes rows that the resumed run drops and writes again.)

    Args:
      state: placed on the devices; donated to the first step.
      step_fn: compiled; ``(state, batch) -> (state, {name: scalar})``.
      batches: at the position that belongs to ``state``.
      num_steps: the total, counted from step 0, not from here.
      place_batch: host batch to device batch.
      batch_size: images per step, for the throughput.
      log_every: in steps.
      checkpoint_every: in steps, a multiple of ``log_every``; the last step is saved too.
      evaluate_every: in steps, a multiple of ``log_every``, and at the last step; 0 is never.
      evaluators: called in this order.
      checkpointer: None saves nothing.
      best: is offered the networks after every evaluation; None keeps no best.
      writer: None writes nothing (the processes other than the first).
      console: where progress is shown; None shows nothing.
      description: leads the progress bar.

    Returns:
      The state at ``num_steps``.

    Raises:
      NonFiniteError: names the terms or arrays and the steps; nothing non-finite is saved.
      TrainingInterrupted: after SIGTERM or Ctrl-C, when the checkpoint is complete.
      ValueError: where steps to checkpoint or evaluate at are no multiple of ``log_every``.
    """
    require_multiples(log_every, checkpoint_every=checkpoint_every, evaluate_every=evaluate_every)
    step = int(state.step)
    with (
        _stop_requests() as stop,
        ProgressDisplay(console, description, step, num_steps) as display,
    ):
        log = _Log(writer, display, batch_size)
        following = _next_batch(batches, place_batch) if step < num_steps else None
        while following is not None:
            batch, position = following
            # An accelerator had the last step's time to take it; on the CPU see `host_memory`.
            jax.block_until_ready(batch)
            state, metrics = step_fn(state, batch)
            step += 1
            following = _next_batch(batches, place_batch) if step < num_steps else None
            log.add(step, metrics)
            last = step == num_steps or stop.is_set()
            logs = last or step % log_every == 0
            evaluates = evaluate_every and (step == num_steps or step % evaluate_every == 0)
            saves = checkpointer is not None and (last or step % checkpoint_every == 0)
            if logs:
                log.write_means(step)
            if evaluates or saves:
                _require_finite(state, step)
            if evaluates:
                scores = log.write_scores(step, state.networks, evaluators)
                if best is not None:
                    best.offer(step, state.networks, scores)
            if checkpointer is not None and saves:
                checkpointer.save(state, position)
            if stop.is_set() and step < num_steps:
                _leave(checkpointer, step)
            if logs:
                log.restart_timer()
    if checkpointer is not None:
        checkpointer.wait()
    return state


def require_multiples(log_every: int, **others: int) -> None:
    """Refuses steps to do something at that are no log points.

    Raises:
      ValueError: naming the first of `others` that is no multiple of `log_every`.
    """
    for name, every in others.items():
        if every % log_every:
            raise ValueError(
                f"{name} ({every}) must be a multiple of log_every ({log_every}): a resumed run "
                "then logs the same steps as an uninterrupted one, and the throughput is that of "
                "steps alone"
            )


class _Log:
    """Where the numbers of a run go: the metrics of its steps, and what evaluators measure."""

    def __init__(
        self, writer: MetricWriter | None, display: ProgressDisplay, batch_size: int
    ) -> None:
        self._writer, self._display, self._batch_size = writer, display, batch_size
        self._pending: list[Metrics] = []
        self.restart_timer()

    def restart_timer(self) -> None:
        """The throughput is that of the steps alone: evaluations and saves are outside."""
        self._start = time.perf_counter()

    def add(self, step: int, metrics: Metrics) -> None:
        """Keeps one step's metrics, on the device."""
        self._pending.append(metrics)
        # One step in flight: the host never piles up batches faster than they are used.
        jax.block_until_ready(self._pending[-2:-1])
        self._display.advance(step)

    def write_means(self, step: int) -> None:
        """Fetches, checks, averages and writes the metrics since the last log point."""
        scalars = _finite_means(self._pending, step)
        images = len(self._pending) * self._batch_size
        scalars["images_per_second"] = images / (time.perf_counter() - self._start)
        self._pending = []
        self._write(step, scalars)

    def write_scores(
        self, step: int, networks: Networks, evaluators: Sequence[Evaluator]
    ) -> dict[str, float]:
        """Runs the evaluators; writes and returns what they measured."""
        scores = {name: value for evaluate in evaluators for name, value in evaluate(networks)}
        self._write(step, scores)
        return scores

    def _write(self, step: int, scalars: Mapping[str, float]) -> None:
        if self._writer is not None and scalars:
            self._writer.write(step, scalars)
        self._display.show(step, scalars)


def _next_batch(batches: Batches, place_batch: Callable[[Any], Any]) -> tuple[Any, Any]:
    batch = place_batch(next(batches))
    return batch, batches.get_state()


def _finite_means(pending: Sequence[Metrics], last_step: int) -> dict[str, float]:
    """Fetches the metrics of the last steps at once; their means, or an error naming the bad."""
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
    return {name: float(values.mean()) for name, values in columns.items()}


def _require_finite(state: TrainState, step: int) -> None:
    # A step whose loss is still finite can have a gradient that is not.
    bad = non_finite_parts(state)
    if bad:
        raise NonFiniteError(
            f"after step {step} {len(bad)} arrays hold NaN or infinity, first {bad[:5]}, though "
            "every loss was finite: a gradient is not. The last good checkpoint is kept. Look at "
            "the terms that reach these networks, or set clip_norm."
        )


def _leave(checkpointer: Checkpointer | None, step: int) -> None:
    if checkpointer is None:
        raise TrainingInterrupted(f"stopped at step {step}; nothing saved (no checkpointer)")
    checkpointer.wait()
    raise TrainingInterrupted(f"stopped at step {step} and saved; the same command continues")


@contextmanager
def _stop_requests() -> Iterator[threading.Event]:
    """SIGTERM and the first Ctrl-C set the event; a second one acts as usual."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # Python hands signals to the main thread only.
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def request(number: int, _frame: Any) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, request)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

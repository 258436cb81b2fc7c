"""The training loop: steps, logs, evaluations and checkpoints, in an order that resumes.

It knows no loss and no network: a step gives named numbers, and so does an evaluator.
"""

import dataclasses
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import jax
import numpy as np
from rich.console import Console

from twodasl_jax.training.checkpoint import Checkpointer
from twodasl_jax.training.progress import ProgressDisplay
from twodasl_jax.training.state import TrainState, non_finite_parts
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator:
    """Something measured now and then.

    Attributes:
      every: in steps; also run at the last step.
      evaluate: gives ``(name, value)`` pairs. The state is valid during the call only.
    """

    every: int
    evaluate: Callable[[TrainState], Iterable[tuple[str, float]]]


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
    checkpointer: Checkpointer | None = None,
    writer: MetricWriter | None = None,
    evaluators: Sequence[Evaluator] = (),
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
      4. Evaluators; then the checkpoint, last, so that whatever it vouches for is written.
         (A kill in between writes rows that the resumed run drops and writes again.)

    Args:
      state: placed on the devices; donated to the first step.
      step_fn: compiled; ``(state, batch) -> (state, {name: scalar})``.
      batches: at the position that belongs to ``state``.
      num_steps: the total, counted from step 0, not from here.
      place_batch: host batch to device batch.
      batch_size: images per step, for the throughput.
      log_every: in steps.
      checkpoint_every: in steps, a multiple of ``log_every``; the last step is saved too.
      checkpointer: None saves nothing.
      writer: None writes nothing (the processes other than the first).
      evaluators: called in this order.
      console: where progress is shown; None shows nothing.
      description: leads the progress bar.

    Returns:
      The state at ``num_steps``.

    Raises:
      NonFiniteError: names the terms or arrays and the steps; nothing non-finite is saved.
      TrainingInterrupted: after SIGTERM or Ctrl-C, when the checkpoint is complete.
      ValueError: if ``checkpoint_every`` is no multiple of ``log_every``.
    """
    if checkpoint_every % log_every:
        raise ValueError(
            f"checkpoint_every ({checkpoint_every}) must be a multiple of log_every "
            f"({log_every}): a resumed run then logs the same steps as an uninterrupted one"
        )
    step = int(state.step)
    pending: list[Metrics] = []
    with (
        _stop_requests() as stop,
        ProgressDisplay(console, description, step, num_steps) as display,
    ):
        batch, position = _next_batch(batches, place_batch) if step < num_steps else (None, None)
        timer = _Timer(batch_size)
        while step < num_steps:
            state, metrics = step_fn(state, batch)
            step += 1
            pending.append(metrics)
            consumed = position
            if step < num_steps:
                batch, position = _next_batch(batches, place_batch)
            # One step in flight: the host never piles up batches faster than they are used.
            jax.block_until_ready(pending[-2:-1])
            display.advance(step)
            last = step == num_steps or stop.is_set()
            if last or step % log_every == 0:
                scalars = _finite_means(pending, step)
                scalars["images_per_second"] = timer.images_per_second(len(pending))
                pending = []
                _publish(writer, step, scalars)
                display.show(step, scalars)
            for evaluator in evaluators:
                if step == num_steps or step % evaluator.every == 0:
                    _publish(writer, step, dict(evaluator.evaluate(state)))
            if checkpointer is not None and (last or step % checkpoint_every == 0):
                _save_if_finite(checkpointer, state, consumed, step)
            if stop.is_set() and step < num_steps:
                _leave(checkpointer, step)
            if last or step % log_every == 0:
                timer.restart()
    if checkpointer is not None:
        checkpointer.wait()
    return state


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


def _save_if_finite(
    checkpointer: Checkpointer, state: TrainState, position: Any, step: int
) -> None:
    # A step whose loss is still finite can have a gradient that is not.
    bad = non_finite_parts(state)
    if bad:
        raise NonFiniteError(
            f"after step {step} {len(bad)} arrays hold NaN or infinity, first {bad[:5]}, though "
            "every loss was finite: a gradient is not. The last good checkpoint is kept. Look at "
            "the terms that reach these networks, or set clip_norm."
        )
    checkpointer.save(state, position)


def _leave(checkpointer: Checkpointer | None, step: int) -> None:
    if checkpointer is None:
        raise TrainingInterrupted(f"stopped at step {step}; nothing saved (no checkpointer)")
    checkpointer.wait()
    raise TrainingInterrupted(f"stopped at step {step} and saved; the same command continues")


def _publish(writer: MetricWriter | None, step: int, scalars: Mapping[str, float]) -> None:
    if writer is not None and scalars:
        writer.write(step, scalars)


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


class _Timer:
    """Throughput of the steps alone: evaluations and saves are outside."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self.restart()

    def restart(self) -> None:
        self._start = time.perf_counter()

    def images_per_second(self, steps: int) -> float:
        return steps * self._batch_size / (time.perf_counter() - self._start)

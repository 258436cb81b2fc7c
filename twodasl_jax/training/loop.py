"""The training loop: steps, logs, evaluations and checkpoints, in an order that resumes.

It knows no loss and no network: a step gives named numbers, and so does an evaluator.

The order within one step, and why:
  1. The step is dispatched; the device works while the host goes on.
  2. The next batch is read and placed meanwhile. The iterator is then one batch ahead of the
     networks, so its position was noted before: that one is saved, not the current.
  3. Whether to stop is asked once: a signal that comes later in the step is the next one's.
  4. At a log point the metrics, kept on the device since the last one, are fetched at once,
     checked, and their means written. A stop is none: what is not logged yet is saved with the
     checkpoint, so that a resumed run logs what a straight one does.
  5. Evaluators, and the best checkpoint by what they measured; then the checkpoint to continue
     from, last, so that whatever it vouches for is written. (A kill in between writes rows that
     the resumed run drops and writes again.)
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
from rich.console import Console

from twodasl_jax.training.best_checkpoint import BestCheckpoint
from twodasl_jax.training.checkpoint import Checkpointer
from twodasl_jax.training.progress import ProgressDisplay
from twodasl_jax.training.run_description import RunSoFar
from twodasl_jax.training.state import TrainState, non_finite_parts
from twodasl_jax.training.step_log import Evaluator, Metrics, NonFiniteError, StepLog
from twodasl_jax.training.stop_request import TrainingInterrupted, stop_noted
from twodasl_jax.training.writers import MetricWriter


class Batches(Protocol):
    """An endless iterator of host batches that can tell and set its position (grain's)."""

    def __next__(self) -> Any:
        """The next batch."""
        ...

    def get_state(self) -> Any:
        """The position, plain values."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Intervals:
    """How often what is done, in steps; all of it at the last step too.

    Attributes:
      log: means of the metrics since the last time.
      checkpoint: a multiple of ``log``.
      evaluate: a multiple of ``log``; 0 is never.
    """

    log: int
    checkpoint: int
    evaluate: int = 0

    def __post_init__(self) -> None:
        """Refuses steps to do something at that are no log points.

        Raises:
          ValueError: naming the first of them.
        """
        for name in ("checkpoint", "evaluate"):
            every = getattr(self, name)
            if every % self.log:
                raise ValueError(
                    f"{name}_every ({every}) must be a multiple of log_every ({self.log}): a "
                    "resumed run then logs the same steps as an uninterrupted one, and the "
                    "throughput is that of steps alone"
                )


def train(
    state: TrainState,
    step_fn: Callable[[TrainState, Any], tuple[TrainState, Metrics]],
    batches: Batches,
    *,
    num_steps: int,
    place_batch: Callable[[Any], Any],
    batch_size: int,
    intervals: Intervals,
    evaluators: Sequence[Evaluator] = (),
    checkpointer: Checkpointer | None = None,
    best: BestCheckpoint | None = None,
    writer: MetricWriter | None = None,
    so_far: RunSoFar | None = None,
    console: Console | None = None,
    description: str = "train",
) -> TrainState:
    """Trains from ``state.step`` to ``num_steps``.

    Args:
      state: placed on the devices; donated to the first step.
      step_fn: compiled; ``(state, batch) -> (state, {name: scalar})``.
      batches: at the position that belongs to ``state``.
      num_steps: the total, counted from step 0, not from here.
      place_batch: host batch to device batch.
      batch_size: images per step, for the throughput.
      intervals: how often to log, save and evaluate.
      evaluators: called in this order.
      checkpointer: None saves nothing.
      best: is offered the networks after every evaluation; None keeps no best.
      writer: None writes nothing (the processes other than the first).
      so_far: of the checkpoint that ``state`` is from; None starts anew.
      console: where progress is shown; None shows nothing.
      description: leads the progress bar.

    Returns:
      The state at ``num_steps``.

    Raises:
      NonFiniteError: names the terms or arrays and the steps; nothing non-finite is saved.
      TrainingInterrupted: after SIGTERM or Ctrl-C, when the checkpoint is complete.
      OSError: where something cannot be written.
    """
    step = int(state.step)
    with stop_noted() as stop, ProgressDisplay(console, description, step, num_steps) as display:
        log = StepLog(writer, display, batch_size, so_far or RunSoFar())
        following = _next_batch(batches, place_batch) if step < num_steps else None
        while following is not None:
            batch, position = following
            # An accelerator had the last step's time to take it; on the CPU see `host_memory`.
            jax.block_until_ready(batch)
            state, metrics = step_fn(state, batch)
            step += 1
            following = _next_batch(batches, place_batch) if step < num_steps else None
            log.add(step, metrics)
            last, stops = step == num_steps, stop.is_set()
            logs = last or step % intervals.log == 0
            evaluates = intervals.evaluate and (last or step % intervals.evaluate == 0)
            saves = last or stops or step % intervals.checkpoint == 0
            if logs:
                log.write_means(step)
            elif stops:
                log.fetch(step)
            if evaluates or (saves and checkpointer is not None):
                _require_finite(state, step)
            if evaluates:
                log.write_scores(step, state.networks, evaluators, best)
            if saves and checkpointer is not None:
                checkpointer.save(state, position, log.so_far())
            if stops:
                break
            if logs:
                log.restart_timer()
        if checkpointer is not None:
            checkpointer.wait()
    if stop.is_set():  # after the context: whenever the signal came, it is in here
        how = "; nothing is saved" if checkpointer is None else " and saved; run it again to go on"
        raise TrainingInterrupted(f"stopped at step {step}{how}")
    return state


def _next_batch(batches: Batches, place_batch: Callable[[Any], Any]) -> tuple[Any, Any]:
    batch = place_batch(next(batches))
    return batch, batches.get_state()


def _require_finite(state: TrainState, step: int) -> None:
    # A step whose loss is still finite can have a gradient that is not.
    bad = non_finite_parts(state)
    if bad:
        raise NonFiniteError(
            f"after step {step} {len(bad)} arrays hold NaN or infinity, first {bad[:5]}, though "
            "every loss was finite: a gradient is not. The last good checkpoint is kept. Look at "
            "the terms that reach these networks, or set clip_norm."
        )

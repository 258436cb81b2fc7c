"""The training loop: steps, logs, evaluations and checkpoints, in an order that resumes.

It knows no loss and no network: a step gives named numbers, and so does an evaluator.
"""

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
    so_far: RunSoFar | None = None,
    console: Console | None = None,
    description: str = "train",
) -> TrainState:
    """Trains from ``state.step`` to ``num_steps``.

    The order within one step, and why:
      1. The step is dispatched; the device works while the host goes on.
      2. The next batch is read and placed meanwhile. The iterator is then one batch ahead of
         the networks, so its position was noted before: that one is saved, not the current.
      3. Whether to stop is asked once: a signal that comes later in the step is the next one's.
      4. At a log point the metrics, kept on the device since the last one, are fetched at
         once, checked, and their means written. A stop is none: what is not logged yet is saved
         with the checkpoint, so that a resumed run logs what a straight one does.
      5. Evaluators, and the best checkpoint by what they measured; then the checkpoint to
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
      so_far: of the checkpoint that ``state`` is from; None starts anew.
      console: where progress is shown; None shows nothing.
      description: leads the progress bar.

    Returns:
      The state at ``num_steps``.

    Raises:
      NonFiniteError: names the terms or arrays and the steps; nothing non-finite is saved.
      TrainingInterrupted: after SIGTERM or Ctrl-C, when the checkpoint is complete.
      OSError: where something cannot be written.
      ValueError: where steps to checkpoint or evaluate at are no multiple of ``log_every``.
    """
    require_multiples(log_every, checkpoint_every=checkpoint_every, evaluate_every=evaluate_every)
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
            logs = last or step % log_every == 0
            evaluates = evaluate_every and (last or step % evaluate_every == 0)
            saves = checkpointer is not None and (last or stops or step % checkpoint_every == 0)
            if logs:
                log.write_means(step)
            elif stops:
                log.fetch(step)
            if evaluates or saves:
                _require_finite(state, step)
            if evaluates:
                log.write_scores(step, state.networks, evaluators, best)
            if checkpointer is not None and saves:
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

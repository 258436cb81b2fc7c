"""The best networks of a run so far, by a number that it measures while it trains.

They lie in a folder of their own, so that keeping them never costs the run its newest
checkpoints. There is no optimizer and no data position: nothing continues from here, but
`twodasl_jax.training.prediction_checkpoint.restore_for_prediction` reads it.

Orbax's own best-keeping (`CheckpointManagerOptions(best_fn=..., max_to_keep=1)`, 0.12) does not
serve: it writes whatever it is offered and deletes the worse afterwards, so every evaluation
would cost a save and a kill between the two would leave the worse one as the newest; a NaN pushes
the best out; and of equal values the later one stays.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import orbax.checkpoint as ocp

from twodasl_jax.file_errors import naming_write_errors
from twodasl_jax.training.checkpoint_files import (
    DamagedCheckpointError,
    close_after_error,
    open_manager,
    read_networks,
)
from twodasl_jax.training.checksums import sealed
from twodasl_jax.training.run_description import RunDescription, description_as_json
from twodasl_jax.training.state import Networks

SIGN = {"min": 1.0, "max": -1.0}
"""What makes a smaller number the better one."""


class BestCheckpoint:
    """Keeps one checkpoint: that of the step with the best value of one metric.

    A run that goes on from an earlier checkpoint meets again the steps up to the best one. They
    were compared already, and give the same numbers again: only later steps can replace it.
    Use as a context manager, or `close`.
    """

    def __init__(
        self,
        folder: str | Path,
        description: RunDescription,
        *,
        metric: str,
        mode: str,
    ) -> None:
        """Opens the folder, made if absent.

        Args:
          folder: one per stage of a run, apart from its other checkpoints.
          description: saved with the networks, as by `Checkpointer`.
          metric: name among the scores that `offer` is given.
          mode: ``min`` where smaller is better, else ``max``.

        Raises:
          ValueError: for another mode; where the folder holds the best by another metric, which
            cannot be compared, or its checkpoint is damaged: from then on another one would be
            the best; if the settings hold values that JSON cannot.
        """
        if mode not in SIGN:
            raise ValueError(f"mode is '{mode}'; choose one of {', '.join(SIGN)}")
        self._folder = Path(folder).absolute()
        self._metric, self._mode = metric, mode
        self._description = description_as_json(description)
        self._manager = open_manager(self._folder, max_to_keep=1, create=True)
        self._step: int | None = self._manager.latest_step()
        self._value = math.nan if self._step is None else self._saved_value(self._step)

    def _saved_value(self, step: int) -> float:
        try:
            _, description = read_networks(self._manager, self._folder, step)
        except DamagedCheckpointError as error:
            self.close()
            raise DamagedCheckpointError(
                f"{error}; it is the best of this stage so far: to look for the best among "
                f"later steps alone, delete {self._folder}; else train again"
            ) from error
        saved = description["best"]
        if (saved["metric"], saved["mode"]) != (self._metric, self._mode):
            self.close()
            raise ValueError(
                f"{self._folder} holds the best by {saved['metric']} ({saved['mode']}), this run "
                f"asks for {self._metric} ({self._mode}): go on with the former, or delete the "
                "folder to look for the best from here on"
            )
        return saved["value"]

    @property
    def step(self) -> int | None:
        """Of the best so far; None before the first."""
        return self._step

    def offer(self, step: int, networks: Networks, scores: Mapping[str, float]) -> bool:
        """Saves the networks if they are the best so far; returns when they are on disk.

        A checkpoint to continue from, written after this returns, so never knows of a best that
        was lost.

        Args:
          step: of the networks; one up to `step` was compared before and changes nothing.
          networks: may be donated to the next step as soon as this returns.
          scores: measured with them, among them the metric.

        Returns:
          Whether they were saved.

        Raises:
          ValueError: where the metric is not among the scores.
          OSError: where they cannot be written.
        """
        if self._metric not in scores:
            raise ValueError(
                f"the best checkpoint is to be chosen by '{self._metric}', which was not measured; "
                f"choose one of {', '.join(scores) or '(nothing was measured)'}"
            )
        value, sign = float(scores[self._metric]), SIGN[self._mode]
        later = self._step is None or step > self._step
        better = self._step is None or sign * value < sign * self._value
        if not (later and better and math.isfinite(value)):
            return False
        best = {"metric": self._metric, "mode": self._mode, "value": value}
        arrays = {"networks": networks._asdict()}
        description = sealed(self._description | {"best": best}, arrays=arrays, documents={})
        with naming_write_errors(self._folder):
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    networks=ocp.args.StandardSave(arrays["networks"]),
                    description=ocp.args.JsonSave(description),
                ),
            )
            self._manager.wait_until_finished()
        self._step, self._value = step, value
        return True

    def close(self) -> None:
        """Waits for the last save and releases the folder."""
        with naming_write_errors(self._folder):
            self._manager.close()

    def __enter__(self) -> "BestCheckpoint":
        return self

    def __exit__(self, kind: object, *_error: object) -> None:
        if kind is None:
            self.close()
        else:
            close_after_error(self._manager, self._folder)

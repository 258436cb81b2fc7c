"""Checkpoints: everything a run needs to continue, and all that prediction needs.

One checkpoint has four items, so that prediction reads the networks without the optimizer:
``networks`` (params, batch_stats), ``optimizer`` (step, opt_state), ``data`` (the data
iterator's position after the last batch that the networks have seen) and ``description``
(config and whitening, readable JSON).
"""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from twodasl_jax.coefficients import Whitening
from twodasl_jax.training.run_description import description_as_json, whitening_from_json
from twodasl_jax.training.state import TrainState
from twodasl_jax.training.tree_difference import (
    differences,
    first_lines,
    shapes_by_name,
    values_by_name,
)

_ITEMS = {
    "networks": ocp.StandardCheckpointHandler,
    "optimizer": ocp.StandardCheckpointHandler,
    "data": ocp.JsonCheckpointHandler,
    "description": ocp.JsonCheckpointHandler,
}


@dataclasses.dataclass(frozen=True)
class RestoredRun:
    """A run to continue.

    Attributes:
      state: arrays placed as those of the template were.
      position: for the data iterator's ``set_state``.
    """

    state: TrainState
    position: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class PredictionCheckpoint:
    """What prediction and a following training stage need.

    Attributes:
      step: the step of the checkpoint.
      params: ``{network name: parameters}``, numpy.
      batch_stats: ``{network name: BatchNorm statistics}``, numpy.
      config: the run's config as plain nested dicts.
      whitening: float32 ``(62,)`` statistics, or None if the run had none.
    """

    step: int
    params: Any
    batch_stats: Any
    config: Mapping[str, Any]
    whitening: Whitening | None


class Checkpointer:
    """Writes and reads the checkpoints of one run.

    Saving copies the arrays off the device and writes them in the background; a run killed
    inside a save has the previous checkpoint. Use as a context manager, or `close`.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        config: Mapping[str, Any],
        whitening: Whitening | None = None,
        max_to_keep: int | None = 3,
    ) -> None:
        """Opens a folder of checkpoints, made if absent.

        Args:
          folder: one folder per run.
          config: saved with every checkpoint; plain values only (JSON).
          whitening: saved with every checkpoint.
          max_to_keep: older checkpoints are deleted; None keeps all.

        Raises:
          ValueError: if the config holds values that JSON cannot.
        """
        self._folder = Path(folder).absolute()
        self._description = description_as_json(config, whitening)
        self._manager = _manager(self._folder, max_to_keep=max_to_keep, create=True)

    def save(self, state: TrainState, position: Mapping[str, Any]) -> None:
        """Saves a checkpoint of ``state.step``; returns while it is still being written.

        Args:
          state: may be donated to the next step as soon as this returns.
          position: the data iterator's ``get_state()`` after the last batch the state has
            seen; all processes of a run read in lockstep and have the same.

        Raises:
          ValueError: if the folder holds this step or a later one already.
        """
        step = int(state.step)
        saved = self._manager.save(
            step,
            args=ocp.args.Composite(
                networks=ocp.args.StandardSave(_networks(state)),
                optimizer=ocp.args.StandardSave(_optimizer(state)),
                data=ocp.args.JsonSave(dict(position)),
                description=ocp.args.JsonSave(self._description),
            ),
        )
        if not saved:
            raise ValueError(
                f"step {step} was not saved: {self._folder} has step {self.latest_step()} already; "
                "delete the later checkpoints to train again from an earlier one"
            )

    def latest_step(self) -> int | None:
        """The newest complete checkpoint, None if there is none."""
        return self._manager.latest_step()

    def restore(self, template: TrainState, *, step: int | None = None) -> RestoredRun:
        """Reads a checkpoint to continue from, bit for bit.

        Args:
          template: a state of the same structure, shapes and placement, such as a fresh one.
          step: None for the newest.

        Raises:
          ValueError: if there is none, it cannot be read, or it is of other networks or
            another optimizer than the template; with what to do.
        """
        step = _chosen_step(self._manager, self._folder, step)
        wanted = {"networks": _networks(template), "optimizer": _optimizer(template)}
        self._refuse_other_structure(step, wanted)
        read = _read(
            self._manager,
            self._folder,
            step,
            networks=ocp.args.StandardRestore(_abstract(wanted["networks"])),
            optimizer=ocp.args.StandardRestore(_abstract(wanted["optimizer"])),
            data=ocp.args.JsonRestore(),
        )
        return RestoredRun(
            state=TrainState(**read["networks"], **read["optimizer"]), position=read["data"]
        )

    def _refuse_other_structure(self, step: int, wanted: Mapping[str, Any]) -> None:
        saved = _saved_structure(self._manager, self._folder, step)
        lines = [
            line
            for item, tree in wanted.items()
            for line in differences(shapes_by_name(saved[item]), shapes_by_name(tree))
        ]
        if not lines:
            return
        description = _read(self._manager, self._folder, step, description=ocp.args.JsonRestore())[
            "description"
        ]
        config = differences(
            values_by_name(description["config"]), values_by_name(self._description["config"])
        )
        raise ValueError(
            f"the checkpoint of step {step} in {self._folder} is of other networks or another "
            f"optimizer than this run (checkpoint | this run):\n  {first_lines(lines)}\n"
            f"settings that differ:\n  {first_lines(config) or '(none)'}\n"
            "Run with the settings of the checkpoint, or choose another workdir."
        )

    def wait(self) -> None:
        """Returns when the last save is complete on disk; raises if it failed."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits for the last save and releases the folder."""
        self._manager.close()

    def __enter__(self) -> "Checkpointer":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def restore_for_prediction(folder: str | Path, *, step: int | None = None) -> PredictionCheckpoint:
    """Reads networks, config and whitening, without optimizer, data or template.

    Args:
      folder: as given to `Checkpointer`.
      step: None for the newest.

    Raises:
      ValueError: if there is no such checkpoint or it cannot be read.
    """
    folder = Path(folder).absolute()
    if not folder.is_dir():
        raise ValueError(f"no checkpoint: {folder} is no folder; train first, or check the path")
    with _manager(folder, max_to_keep=None, create=False) as manager:
        step = _chosen_step(manager, folder, step)
        networks = jax.tree.map(
            lambda leaf: np.empty(leaf.shape, leaf.dtype),
            _saved_structure(manager, folder, step)["networks"],
        )
        read = _read(
            manager,
            folder,
            step,
            networks=ocp.args.StandardRestore(networks),
            description=ocp.args.JsonRestore(),
        )
    return PredictionCheckpoint(
        step=step,
        params=read["networks"]["params"],
        batch_stats=read["networks"]["batch_stats"],
        config=read["description"]["config"],
        whitening=whitening_from_json(read["description"]["whitening"]),
    )


def _networks(state: TrainState) -> dict[str, Any]:
    return {"params": state.params, "batch_stats": state.batch_stats}


def _optimizer(state: TrainState) -> dict[str, Any]:
    return {"step": state.step, "opt_state": state.opt_state}


def _manager(folder: Path, *, max_to_keep: int | None, create: bool) -> ocp.CheckpointManager:
    quiet = logging.getLogger("absl")
    if _no_orbax_chatter not in quiet.filters:
        quiet.addFilter(_no_orbax_chatter)
    return ocp.CheckpointManager(
        folder,
        options=ocp.CheckpointManagerOptions(
            max_to_keep=max_to_keep, create=create, read_only=not create
        ),
        item_handlers={name: handler() for name, handler in _ITEMS.items()},
    )


def _no_orbax_chatter(record: logging.LogRecord) -> bool:
    """Orbax reports dozens of lines per save at INFO, and warns that read-only is read-only."""
    expected = record.levelno < logging.WARNING or "read_only=True" in str(record.msg)
    expected = expected or "read only=" in str(record.msg)
    return not expected or "orbax" not in record.pathname


def _chosen_step(manager: ocp.CheckpointManager, folder: Path, step: int | None) -> int:
    steps = sorted(manager.all_steps())
    if not steps:
        raise ValueError(f"no complete checkpoint in {folder}; train first, or check the path")
    if step is not None and step not in steps:
        raise ValueError(f"no checkpoint of step {step} in {folder}; there are {steps}")
    return steps[-1] if step is None else step


def _read(manager: ocp.CheckpointManager, folder: Path, step: int, **items: Any) -> Any:
    try:
        return manager.restore(step, args=ocp.args.Composite(**items))
    except Exception as error:  # Orbax raises errors of many kinds for damaged files.
        raise _damaged(manager, folder, step, str(error)) from error


def _saved_structure(manager: ocp.CheckpointManager, folder: Path, step: int) -> Any:
    try:
        metadata = manager.item_metadata(step)
        trees = {item: metadata[item].tree for item in ("networks", "optimizer")}
    except Exception as error:  # as in _read
        raise _damaged(manager, folder, step, str(error)) from error
    if not jax.tree.leaves(trees["networks"]):
        raise _damaged(manager, folder, step, "the list of its arrays is missing")
    return trees


def _damaged(manager: ocp.CheckpointManager, folder: Path, step: int, reason: str) -> ValueError:
    earlier = [other for other in sorted(manager.all_steps()) if other < step]
    advice = (
        f"the one before it is of step {earlier[-1]}: to go on from there, delete "
        f"{folder / str(step)}"
        if earlier
        else f"there is no earlier one: delete {folder / str(step)} and start again"
    )
    return ValueError(
        f"the checkpoint of step {step} in {folder} is damaged ({reason[:300]}); {advice}"
    )


def _abstract(tree: Any) -> Any:
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), tree
    )

"""Checkpoints: everything a run needs to continue, and all that prediction needs.

One checkpoint has four items, so that prediction reads the networks without the optimizer:
``networks`` (params, batch_stats), ``optimizer`` (step, opt_state), ``data`` (the data
iterator's position after the last batch that the networks have seen) and ``description``
(config and whitening, readable JSON).
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from twodasl_jax.coefficients import Whitening
from twodasl_jax.training.checkpoint_files import (
    chosen_step,
    open_manager,
    read_items,
    saved_structure,
)
from twodasl_jax.training.run_description import description_as_json, whitening_from_json
from twodasl_jax.training.state import TrainState
from twodasl_jax.training.tree_difference import (
    differences,
    first_lines,
    shapes_by_name,
    values_by_name,
)


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
      identity: what the networks' numbers mean, as given to `Checkpointer`; None in
        checkpoints written before it was kept.
    """

    step: int
    params: Any
    batch_stats: Any
    config: Mapping[str, Any]
    whitening: Whitening | None
    identity: Mapping[str, Any] | None = None


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
        identity: Mapping[str, Any] | None = None,
        max_to_keep: int | None = 3,
    ) -> None:
        """Opens a folder of checkpoints, made if absent.

        Args:
          folder: one folder per run.
          config: saved with every checkpoint; plain values only (JSON).
          whitening: saved with every checkpoint.
          identity: saved with every checkpoint: what the networks' numbers mean, plain values.
          max_to_keep: older checkpoints are deleted; None keeps all.

        Raises:
          ValueError: if the config holds values that JSON cannot.
        """
        self._folder = Path(folder).absolute()
        self._description = description_as_json(config, whitening, identity)
        self._manager = open_manager(self._folder, max_to_keep=max_to_keep, create=True)

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
                networks=ocp.args.StandardSave(state.networks._asdict()),
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
        step = chosen_step(self._manager, self._folder, step)
        wanted = {"networks": template.networks._asdict(), "optimizer": _optimizer(template)}
        self._refuse_other_structure(step, wanted)
        read = read_items(
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
        saved = saved_structure(self._manager, self._folder, step, wanted)
        lines = [
            line
            for item, tree in wanted.items()
            for line in differences(shapes_by_name(saved[item]), shapes_by_name(tree))
        ]
        if not lines:
            return
        description = read_items(
            self._manager, self._folder, step, description=ocp.args.JsonRestore()
        )["description"]
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
      folder: as given to `Checkpointer`, or to
        `twodasl_jax.training.best_checkpoint.BestCheckpoint`.
      step: None for the newest.

    Raises:
      ValueError: if there is no such checkpoint or it cannot be read.
    """
    folder = Path(folder).absolute()
    if not folder.is_dir():
        raise ValueError(f"no checkpoint: {folder} is no folder; train first, or check the path")
    with open_manager(folder, max_to_keep=None, create=False) as manager:
        step = chosen_step(manager, folder, step)
        networks = jax.tree.map(
            lambda leaf: np.empty(leaf.shape, leaf.dtype),
            saved_structure(manager, folder, step, ("networks",))["networks"],
        )
        read = read_items(
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
        identity=read["description"].get("identity"),
    )


def _optimizer(state: TrainState) -> dict[str, Any]:
    return {"step": state.step, "opt_state": state.opt_state}


def _abstract(tree: Any) -> Any:
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), tree
    )

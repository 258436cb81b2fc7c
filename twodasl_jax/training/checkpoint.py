"""Checkpoints: everything a run needs to continue, and all that prediction needs.

One checkpoint has four items, so that prediction reads the networks without the optimizer:
``networks`` (params, batch_stats), ``optimizer`` (step, opt_state), ``data`` (the data
iterator's position after the last batch that the networks have seen) and ``description``
(settings, arrays of the method, how the run has gone so far and the checksums of everything,
readable JSON). Whatever is read is compared with its checksum.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from twodasl_jax.file_errors import naming_write_errors
from twodasl_jax.training.checkpoint_files import (
    chosen_step,
    close_after_error,
    damaged,
    open_manager,
    read_arrays,
    read_description,
    saved_structure,
    set_aside,
)
from twodasl_jax.training.checksums import sealed, shapes_of
from twodasl_jax.training.run_description import (
    RunDescription,
    RunSoFar,
    description_as_json,
    so_far_as_json,
    so_far_from_json,
)
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
      so_far: what else the run carries on.
    """

    state: TrainState
    position: Mapping[str, Any]
    so_far: RunSoFar


class Checkpointer:
    """Writes and reads the checkpoints of one run.

    Saving copies the arrays off the device and writes them in the background; a run killed
    inside a save has the previous checkpoint. Use as a context manager, or `close`.
    """

    def __init__(
        self,
        folder: str | Path,
        description: RunDescription,
        *,
        max_to_keep: int | None = 3,
    ) -> None:
        """Opens a folder of checkpoints, made if absent.

        Args:
          folder: one folder per run.
          description: saved with every checkpoint.
          max_to_keep: older checkpoints are deleted; None keeps all.

        Raises:
          ValueError: if the settings hold values that JSON cannot.
        """
        self._folder = Path(folder).absolute()
        self._description = description_as_json(description)
        self._manager = open_manager(self._folder, max_to_keep=max_to_keep, create=True)

    def save(
        self, state: TrainState, position: Mapping[str, Any], so_far: RunSoFar | None = None
    ) -> None:
        """Saves a checkpoint of ``state.step``; returns while it is still being written.

        Args:
          state: may be donated to the next step as soon as this returns.
          position: the data iterator's ``get_state()`` after the last batch the state has
            seen; all processes of a run read in lockstep and have the same.
          so_far: what else the run carries on; None is nothing.

        Raises:
          ValueError: if the folder holds this step or a later one already.
          OSError: where this checkpoint or the one before cannot be written.
        """
        step, data = int(state.step), dict(position)
        arrays = {"networks": state.networks._asdict(), "optimizer": _optimizer(state)}
        told = self._description | {"so_far": so_far_as_json(so_far or RunSoFar())}
        description = sealed(told, arrays=arrays, documents={"data": data})
        with naming_write_errors(self._folder):
            saved = self._manager.save(
                step,
                args=ocp.args.Composite(
                    **{item: ocp.args.StandardSave(tree) for item, tree in arrays.items()},
                    data=ocp.args.JsonSave(data),
                    description=ocp.args.JsonSave(description),
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

    def steps(self) -> list[int]:
        """Those of all complete checkpoints, newest first."""
        return sorted(self._manager.all_steps(), reverse=True)

    def set_aside(self, steps: Sequence[int]) -> list[Path]:
        """Renames checkpoints, so that they count no longer and their steps can be saved again.

        Returns:
          Where they are now.
        """
        return set_aside(self._manager, self._folder, steps)

    @property
    def folder(self) -> Path:
        """Of the checkpoints, absolute."""
        return self._folder

    def restore(self, template: TrainState, *, step: int | None = None) -> RestoredRun:
        """Reads a checkpoint to continue from, bit for bit.

        Args:
          template: a state of the same structure, shapes and placement, such as a fresh one.
          step: None for the newest.

        Raises:
          ValueError: if there is none, it cannot be read, or it is of other networks or
            another optimizer than the template; with what to do.
        """
        manager, folder = self._manager, self._folder
        step = chosen_step(manager, folder, step)
        description, checksums = read_description(manager, folder, step)
        wanted = {"networks": template.networks._asdict(), "optimizer": _optimizer(template)}
        self._refuse_other_structure(step, wanted, description, checksums)
        read = read_arrays(
            manager,
            folder,
            step,
            {item: _abstract(tree) for item, tree in wanted.items()},
            checksums=checksums,
            documents=("data",),
        )
        return RestoredRun(
            state=TrainState(**read["networks"], **read["optimizer"]),
            position=read["data"],
            so_far=so_far_from_json(description.get("so_far"), step),
        )

    def _refuse_other_structure(
        self,
        step: int,
        wanted: Mapping[str, Any],
        description: Mapping[str, Any],
        checksums: Mapping[str, Any] | None,
    ) -> None:
        """Compares what a checkpoint was written of with what is wanted.

        Raises:
          ValueError: with the differences.
          DamagedCheckpointError: where its files no longer say what was written.
        """
        saved = saved_structure(self._manager, self._folder, step, wanted)
        shapes = {item: shapes_by_name(saved[item]) for item in wanted}
        if checksums is not None:
            written = {item: shapes_of(checksums, item) for item in wanted}
            if shapes != written:
                reason = "the list of its arrays is not the one that was written"
                raise damaged(self._folder, step, reason)
        lines = [
            line
            for item, tree in wanted.items()
            for line in differences(shapes[item], shapes_by_name(tree))
        ]
        if not lines:
            return
        there, here = (values_by_name(told["config"]) for told in (description, self._description))
        settings = first_lines(differences(there, here))
        raise ValueError(
            f"the checkpoint of step {step} in {self._folder} is of other networks or another "
            f"optimizer than this run (checkpoint | this run):\n  {first_lines(lines)}\n"
            f"settings that differ:\n  {settings or '(none)'}\n"
            "Run with the settings of the checkpoint, or choose another workdir."
        )

    def wait(self) -> None:
        """Returns when the last save is complete on disk.

        Raises:
          OSError: where it could not be written.
        """
        with naming_write_errors(self._folder):
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits for the last save and releases the folder."""
        with naming_write_errors(self._folder):
            self._manager.close()

    def __enter__(self) -> "Checkpointer":
        return self

    def __exit__(self, kind: object, *_error: object) -> None:
        if kind is None:
            self.close()
        else:
            close_after_error(self._manager, self._folder)


def _optimizer(state: TrainState) -> dict[str, Any]:
    return {"step": state.step, "opt_state": state.opt_state}


def _abstract(tree: Any) -> Any:
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), tree
    )

"""Folders of checkpoints as Orbax keeps them: opening one, choosing a step, reading, damage."""

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

_HANDLERS = {
    "networks": ocp.StandardCheckpointHandler,
    "optimizer": ocp.StandardCheckpointHandler,
    "data": ocp.JsonCheckpointHandler,
    "description": ocp.JsonCheckpointHandler,
}


def open_manager(folder: Path, *, max_to_keep: int | None, create: bool) -> ocp.CheckpointManager:
    """Opens a folder of checkpoints.

    Args:
      folder: absolute.
      max_to_keep: older checkpoints are deleted; None keeps all.
      create: make it if absent, and write to it; else it is only read.
    """
    quiet = logging.getLogger("absl")
    if _no_orbax_chatter not in quiet.filters:
        quiet.addFilter(_no_orbax_chatter)
    return ocp.CheckpointManager(
        folder,
        options=ocp.CheckpointManagerOptions(
            max_to_keep=max_to_keep, create=create, read_only=not create
        ),
        item_handlers={name: handler() for name, handler in _HANDLERS.items()},
    )


def _no_orbax_chatter(record: logging.LogRecord) -> bool:
    """Orbax reports dozens of lines per save at INFO, and warns that read-only is read-only."""
    expected = record.levelno < logging.WARNING or "read_only=True" in str(record.msg)
    expected = expected or "read only=" in str(record.msg)
    return not expected or "orbax" not in record.pathname


def chosen_step(manager: ocp.CheckpointManager, folder: Path, step: int | None) -> int:
    """The step asked for, or the newest.

    Raises:
      ValueError: where there is none, or not that one; with those that are there.
    """
    steps = sorted(manager.all_steps())
    if not steps:
        raise ValueError(f"no complete checkpoint in {folder}; train first, or check the path")
    if step is not None and step not in steps:
        raise ValueError(f"no checkpoint of step {step} in {folder}; there are {steps}")
    return steps[-1] if step is None else step


def read_items(manager: ocp.CheckpointManager, folder: Path, step: int, **items: Any) -> Any:
    """Reads some items of a checkpoint, each by its Orbax arguments.

    Raises:
      ValueError: where the files are damaged; with what to do.
    """
    try:
        return manager.restore(step, args=ocp.args.Composite(**items))
    except Exception as error:  # Orbax raises errors of many kinds for damaged files.
        raise _damaged(manager, folder, step, str(error)) from error


def saved_structure(
    manager: ocp.CheckpointManager, folder: Path, step: int, items: Collection[str]
) -> Any:
    """Names, shapes and types of the arrays of some items, without reading them.

    Raises:
      ValueError: where the files are damaged; with what to do.
    """
    try:
        metadata = manager.item_metadata(step)
        trees = {item: metadata[item].tree for item in items}
    except Exception as error:  # as in read_items
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

"""Folders of checkpoints as Orbax keeps them: opening one, choosing a step, reading, damage."""

import inspect
import logging
import shutil
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from twodasl_jax.training.checksums import require_arrays, require_document, require_sealed

_HANDLERS = {
    "networks": ocp.StandardCheckpointHandler,
    "optimizer": ocp.StandardCheckpointHandler,
    "data": ocp.JsonCheckpointHandler,
    "description": ocp.JsonCheckpointHandler,
}

_logger = logging.getLogger(__name__)


class DamagedCheckpointError(ValueError):
    """A checkpoint whose files are not what was written; others of the run may be whole."""


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
    if not isinstance(sys.unraisablehook, _WithoutAbandonedWork):
        sys.unraisablehook = _WithoutAbandonedWork(sys.unraisablehook)
    return ocp.CheckpointManager(
        folder,
        options=ocp.CheckpointManagerOptions(
            max_to_keep=max_to_keep, create=create, read_only=not create
        ),
        item_handlers={name: handler() for name, handler in _HANDLERS.items()},
    )


def _no_orbax_chatter(record: logging.LogRecord) -> bool:
    """Of what Orbax warns of, nothing is for users: whatever ends in an error is raised as well.

    Without this, reading a run warns twice that its folder is only read, and a save that the disk
    refuses prints 250 lines from Orbax's threads before the one sentence of who called.
    """
    return "orbax" not in record.pathname


class _WithoutAbandonedWork:
    """No word of the reads and writes that were under way beside one that failed.

    Orbax abandons them. They end in threads, some after the event loop that they would tell, and
    Python would print a traceback for each. Everything else is told as usual.
    """

    def __init__(self, usual: Callable[[Any], object]) -> None:
        self._usual = usual

    def __call__(self, unraisable: Any) -> None:
        of_orbax = inspect.iscoroutine(unraisable.object) and (
            "/orbax/" in unraisable.object.cr_code.co_filename
        )
        if not of_orbax and "Event loop is closed" not in str(unraisable.exc_value):
            self._usual(unraisable)


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


def read_description(
    manager: ocp.CheckpointManager, folder: Path, step: int
) -> tuple[dict[str, Any], Mapping[str, Any] | None]:
    """A checkpoint's description, and the checksums of all else; None where it has none.

    Raises:
      DamagedCheckpointError: where it is not what was written.
    """
    read = _read_items(manager, folder, step, description=ocp.args.JsonRestore())["description"]
    try:
        checksums = require_sealed(read)
    except ValueError as error:
        raise damaged(folder, step, str(error)) from error
    if checksums is None:
        _logger.warning(
            "the checkpoint of step %d in %s is of an earlier version, without checksums: whether "
            "its numbers are those that were written cannot be told",
            step,
            folder,
        )
    return read, checksums


def read_arrays(
    manager: ocp.CheckpointManager,
    folder: Path,
    step: int,
    wanted: Mapping[str, Any],
    *,
    checksums: Mapping[str, Any] | None,
    documents: Collection[str] = (),
) -> dict[str, Any]:
    """Reads items of a checkpoint and compares them with their checksums.

    Args:
      manager: of the folder.
      folder: for messages.
      step: of the checkpoint.
      wanted: ``{item: tree of abstract or numpy arrays}`` to read like.
      checksums: from `read_description`; None compares nothing.
      documents: items of plain values to read too.

    Raises:
      DamagedCheckpointError: where something is not what was written, or cannot be read.
    """
    arguments: dict[str, Any] = {
        item: ocp.args.StandardRestore(tree) for item, tree in wanted.items()
    }
    arguments |= {item: ocp.args.JsonRestore() for item in documents}
    read = dict(_read_items(manager, folder, step, **arguments).items())
    if checksums is None:
        return read
    try:
        for item in wanted:
            require_arrays(read[item], checksums, item)
        for item in documents:
            require_document(read[item], checksums, item)
    except ValueError as error:
        raise damaged(folder, step, str(error)) from error
    return read


def read_networks(
    manager: ocp.CheckpointManager, folder: Path, step: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Networks as numpy arrays, and the description; neither needs a template.

    Raises:
      DamagedCheckpointError: as `read_arrays`.
    """
    description, checksums = read_description(manager, folder, step)
    networks = jax.tree.map(
        lambda leaf: np.empty(leaf.shape, leaf.dtype),
        saved_structure(manager, folder, step, ("networks",))["networks"],
    )
    read = read_arrays(manager, folder, step, {"networks": networks}, checksums=checksums)
    return read["networks"], description


def _read_items(manager: ocp.CheckpointManager, folder: Path, step: int, **items: Any) -> Any:
    try:
        return manager.restore(step, args=ocp.args.Composite(**items))
    except Exception as error:  # Orbax raises errors of many kinds for damaged files.
        raise damaged(folder, step, _reason(error)) from error


def saved_structure(
    manager: ocp.CheckpointManager, folder: Path, step: int, items: Collection[str]
) -> Any:
    """Names, shapes and types of the arrays of some items, without reading them.

    Raises:
      DamagedCheckpointError: where the files are damaged.
    """
    try:
        metadata = manager.item_metadata(step)
        trees = {item: metadata[item].tree for item in items}
    except Exception as error:  # as in _read_items
        raise damaged(folder, step, _reason(error)) from error
    if not jax.tree.leaves(trees["networks"]):
        raise damaged(folder, step, "the list of its arrays is missing")
    return trees


def _reason(error: Exception) -> str:
    # Of these Orbax's text is a key, or a word of Python's.
    lost = isinstance(error, KeyError | AttributeError | TypeError)
    return "something that belongs to it is missing" if lost else str(error)


def damaged(folder: Path, step: int, reason: str) -> DamagedCheckpointError:
    """The error of a checkpoint, before anything is known of the others."""
    # Orbax's texts go on for pages.
    first_line = reason.strip().split("\n")[0].split(" See full")[0][:160] or "it cannot be read"
    return DamagedCheckpointError(
        f"the checkpoint of step {step} in {folder} is damaged ({first_line})"
    )


def with_a_way_out(
    error: DamagedCheckpointError, manager: ocp.CheckpointManager, folder: Path, step: int
) -> DamagedCheckpointError:
    """The error with the other checkpoints that are whole, and how one of them is chosen."""
    whole = []
    for other in sorted(set(manager.all_steps()) - {step}):
        try:
            read_networks(manager, folder, other)
        except DamagedCheckpointError:
            continue
        whole.append(other)
    if not whole:
        return DamagedCheckpointError(f"{error}; no other in {folder} is whole: train again")
    steps = ", ".join(f"step {other}" for other in whole)
    return DamagedCheckpointError(
        f"{error}; whole ones are there of {steps}: to use the newest of them, delete or rename "
        f"{folder / str(step)}; a training that goes on does so itself"
    )


def set_aside(manager: ocp.CheckpointManager, folder: Path, steps: Sequence[int]) -> list[Path]:
    """Renames checkpoints, so that they count no longer and their steps can be saved again.

    Returns:
      Where they are now: ``STEP.damaged`` beside the others, numbered where that is taken.
    """
    moved = []
    for step in steps:
        target, number = folder / f"{step}.damaged", 1
        while target.exists():
            number += 1
            target = folder / f"{step}.damaged-{number}"
        (folder / str(step)).rename(target)
        moved.append(target)
    manager.reload()
    return moved


_PATIENCE = 30
"""Tenths of a second that threads get to end after a save that failed."""


def close_after_error(manager: ocp.CheckpointManager, folder: Path) -> None:
    """Releases a folder on the way out of an error, which a second one must not hide.

    What a save that failed has left goes: on a full disk it would be in the way of everything.
    """
    try:
        manager.close()
    except Exception as error:  # Orbax tells a failed save in many kinds.
        _logger.debug("while closing after another error: %s", error)
    for _ in range(_PATIENCE):
        unfinished = list(folder.glob("*.orbax-checkpoint-tmp"))
        if not unfinished:
            return
        for path in unfinished:
            shutil.rmtree(path, ignore_errors=True)
        time.sleep(0.1)  # Orbax's threads may still be at it

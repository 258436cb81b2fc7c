"""What a run that goes on does where its newest checkpoint is damaged."""

import logging
from pathlib import Path

from twodasl_jax.training.checkpoint import Checkpointer, RestoredRun
from twodasl_jax.training.checkpoint_files import DamagedCheckpointError
from twodasl_jax.training.state import TrainState

ON_DAMAGED = ("fall_back", "stop")
"""It goes on from the newest whole one, or it ends."""

_logger = logging.getLogger(__name__)


def require_on_damaged(on_damaged: str) -> None:
    """Refuses what is none of `ON_DAMAGED`.

    Raises:
      ValueError: with the choices.
    """
    if on_damaged not in ON_DAMAGED:
        raise ValueError(
            f"training.on_damaged_checkpoint is '{on_damaged}'; choose one of "
            f"{', '.join(ON_DAMAGED)}"
        )


def restore_newest_whole(
    checkpointer: Checkpointer, template: TrainState, *, on_damaged: str
) -> RestoredRun | None:
    """Reads the newest checkpoint whose numbers are those that were written.

    Damaged ones that are newer are renamed (``STEP.damaged``), so that their steps can be saved
    again, and each is said in one line.

    Args:
      checkpointer: of the run.
      template: as for `Checkpointer.restore`.
      on_damaged: one of `ON_DAMAGED`.

    Returns:
      The run to continue; None where there is no checkpoint at all.

    Raises:
      DamagedCheckpointError: where none is whole or, with ``stop``, the newest is not; all files
        are left as they are then.
      ValueError: as `Checkpointer.restore`.
    """
    require_on_damaged(on_damaged)
    errors: dict[int, DamagedCheckpointError] = {}
    for step in checkpointer.steps():
        try:
            restored = checkpointer.restore(template, step=step)
        except DamagedCheckpointError as error:
            errors[step] = error
            if on_damaged == "stop":
                break
            continue
        _set_aside(checkpointer, errors, going_on_from=step)
        return restored
    if not errors:
        return None
    newest = next(iter(errors.values()))
    if on_damaged == "stop":
        raise DamagedCheckpointError(
            f"{newest}; to go on from the newest whole one before it, set "
            "training.on_damaged_checkpoint to 'fall_back'"
        ) from newest
    raise DamagedCheckpointError(
        f"{newest}, and no other there is whole: to train this stage again from its start, move "
        f"{checkpointer.folder} away"
    ) from newest


def _set_aside(
    checkpointer: Checkpointer, errors: dict[int, DamagedCheckpointError], *, going_on_from: int
) -> None:
    moved: list[Path] = checkpointer.set_aside(list(errors)) if errors else []
    for path, error in zip(moved, errors.values(), strict=True):
        _logger.warning(
            "%s; it is kept as %s, and the run goes on from step %d",
            error,
            path.name,
            going_on_from,
        )

"""Checkpoints read for prediction or as a start: networks and what they are, alone."""

import dataclasses
from pathlib import Path
from typing import Any

from twodasl_jax.training.checkpoint_files import (
    DamagedCheckpointError,
    chosen_step,
    open_manager,
    read_networks,
    with_a_way_out,
)
from twodasl_jax.training.run_description import RunDescription, description_from_json


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictionCheckpoint(RunDescription):
    """What prediction and a following training stage need.

    Attributes:
      step: the step of the checkpoint.
      params: ``{network name: parameters}``, numpy.
      batch_stats: ``{network name: BatchNorm statistics}``, numpy.
    """

    step: int
    params: Any
    batch_stats: Any


def restore_for_prediction(folder: str | Path, *, step: int | None = None) -> PredictionCheckpoint:
    """Reads networks, settings and arrays, without optimizer, data or template.

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
        try:
            networks, description = read_networks(manager, folder, step)
        except DamagedCheckpointError as error:
            raise with_a_way_out(error, manager, folder, step) from error
    return PredictionCheckpoint(
        step=step,
        params=networks["params"],
        batch_stats=networks["batch_stats"],
        **vars(description_from_json(description)),
    )

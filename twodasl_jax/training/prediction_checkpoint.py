"""Checkpoints read for prediction or as a start: networks, config and arrays alone."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twodasl_jax.training.checkpoint_files import (
    DamagedCheckpointError,
    chosen_step,
    open_manager,
    read_networks,
    with_a_way_out,
)
from twodasl_jax.training.run_description import arrays_from_json


@dataclasses.dataclass(frozen=True)
class PredictionCheckpoint:
    """What prediction and a following training stage need.

    Attributes:
      step: the step of the checkpoint.
      params: ``{network name: parameters}``, numpy.
      batch_stats: ``{network name: BatchNorm statistics}``, numpy.
      config: the run's config as plain nested dicts.
      arrays: the method's own, float32 numpy by name.
      identity: what the networks' numbers mean, as given to `Checkpointer`; None in
        checkpoints written before it was kept.
    """

    step: int
    params: Any
    batch_stats: Any
    config: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    identity: Mapping[str, Any] | None = None


def restore_for_prediction(folder: str | Path, *, step: int | None = None) -> PredictionCheckpoint:
    """Reads networks, config and arrays, without optimizer, data or template.

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
        config=description["config"],
        arrays=arrays_from_json(description),
        identity=description.get("identity"),
    )

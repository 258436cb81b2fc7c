"""Reads what a checkpoint says of itself, without its arrays: in a millisecond, before any work."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twodasl_jax.training.checksums import require_sealed
from twodasl_jax.training.run_description import arrays_from_json
from twodasl_jax.user_files.json_file import read_json

DESCRIPTION_FILE = Path("description") / "metadata"
"""In the folder of a step, as Orbax writes a JSON item."""


@dataclasses.dataclass(frozen=True)
class SavedDescription:
    """What `Checkpointer` was given beside the state.

    Attributes:
      config: the run's, plain nested dicts.
      arrays: the method's own, float32 numpy by name.
      identity: what the networks' numbers mean; None in checkpoints of before it was kept.
    """

    config: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    identity: Mapping[str, Any] | None


def newest_description(folder: str | Path) -> SavedDescription | None:
    """The description of the newest checkpoint that still has a readable one.

    Whether a checkpoint is whole is for whoever restores it to find out.

    Args:
      folder: as given to `Checkpointer`.

    Returns:
      None where there is no checkpoint, or none that can be read.
    """
    steps = [path for path in Path(folder).glob("*") if path.name.isdigit()]
    for step in sorted(steps, key=lambda path: int(path.name), reverse=True):
        try:
            read = read_json(step / DESCRIPTION_FILE, expected="expected a description")
            require_sealed(read)  # a flipped bit would be other statistics
            arrays = arrays_from_json(read)
            return SavedDescription(read["config"], arrays, read.get("identity"))
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return None

"""Reads what a checkpoint says of itself, without its arrays: in a millisecond, before any work."""

from pathlib import Path

from twodasl_jax.training.checksums import require_sealed
from twodasl_jax.training.run_description import RunDescription, description_from_json
from twodasl_jax.user_files.json_file import read_json

DESCRIPTION_FILE = Path("description") / "metadata"
"""In the folder of a step, as Orbax writes a JSON item."""


def newest_description(folder: str | Path) -> RunDescription | None:
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
            return description_from_json(read)
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return None

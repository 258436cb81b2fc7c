"""What a run was, as JSON: config, arrays and progress, which travel with a checkpoint."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class RunSoFar:
    """What a run carries on from a checkpoint beside its state and its place in the data.

    Attributes:
      seconds: spent on the steps up to here, over all pieces of the run.
      from_step: the step that they are counted from: 0, unless an earlier version wrote the
        checkpoint that the run went on from.
      unlogged: metrics of the steps since the last log point, in order.
    """

    seconds: float = 0.0
    from_step: int = 0
    unlogged: Sequence[Mapping[str, float]] = ()


def so_far_as_json(so_far: RunSoFar) -> dict[str, Any]:
    """Plain values, which JSON keeps exactly."""
    plain = dataclasses.asdict(so_far)
    return plain | {"unlogged": [dict(row) for row in so_far.unlogged]}


def so_far_from_json(plain: Mapping[str, Any] | None, step: int) -> RunSoFar:
    """Inverse of `so_far_as_json`; None, of an earlier version, counts from ``step`` on."""
    return RunSoFar(from_step=step) if plain is None else RunSoFar(**plain)


def description_as_json(
    config: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    identity: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """``{"config", "arrays", "identity"}`` of values that JSON keeps exactly.

    Args:
      config: plain nested dicts and lists.
      arrays: the method's own, float32, small.
      identity: what the numbers of the networks mean, plain values; None leaves it out.

    Raises:
      ValueError: if the config holds values that JSON cannot.
    """
    try:
        plain = json.loads(json.dumps(config))
    except TypeError as error:
        raise ValueError(
            f"the config must hold only plain values to travel with a checkpoint: {error}"
        ) from error
    told = {} if identity is None else {"identity": dict(identity)}
    # A float32 survives the way over float64 and decimal digits exactly.
    lists = {
        name: np.asarray(values, np.float32).astype(np.float64).tolist()
        for name, values in arrays.items()
    }
    return {"config": plain, "arrays": lists, **told}


def arrays_from_json(description: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Inverse of `description_as_json` for the arrays, float32 numpy."""
    if "arrays" in description:
        lists = description["arrays"]
    else:  # written before methods had arrays of their own: 2DASL's two, or none
        old = description["whitening"] or {}
        lists = {f"coefficient_{name}": values for name, values in old.items()}
    return {name: np.asarray(values, np.float32) for name, values in lists.items()}

"""What a run is, as JSON: settings, arrays and progress, which travel with a checkpoint."""

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


@dataclasses.dataclass(frozen=True)
class RunDescription:
    """What travels with every checkpoint of a run beside its state and its progress.

    Attributes:
      settings_json: the experiment as plain nested dicts and lists.
      arrays: the method's own, by name; float32, small.
      identity: what the networks' numbers mean, plain values; None in checkpoints of before it was
        kept.
    """

    settings_json: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    identity: Mapping[str, Any] | None = None


def description_as_json(description: RunDescription) -> dict[str, Any]:
    """``{"config", "arrays", "identity"}`` of values that JSON keeps exactly; no identity: absent.

    Raises:
      ValueError: if the settings hold values that JSON cannot.
    """
    try:
        settings = json.loads(json.dumps(description.settings_json))
    except TypeError as error:
        raise ValueError(
            f"the config must hold only plain values to travel with a checkpoint: {error}"
        ) from error
    told = {} if description.identity is None else {"identity": dict(description.identity)}
    # A float32 survives the way over float64 and decimal digits exactly.
    lists = {
        name: np.asarray(values, np.float32).astype(np.float64).tolist()
        for name, values in description.arrays.items()
    }
    return {"config": settings, "arrays": lists, **told}


def description_from_json(told: Mapping[str, Any]) -> RunDescription:
    """Inverse of `description_as_json`, for checkpoints of any age; arrays as float32 numpy."""
    if "arrays" in told:
        lists = told["arrays"]
    else:  # written before methods had arrays of their own: 2DASL's two, or none
        old = told["whitening"] or {}
        lists = {f"coefficient_{name}": values for name, values in old.items()}
    arrays = {name: np.asarray(values, np.float32) for name, values in lists.items()}
    return RunDescription(told["config"], arrays, told.get("identity"))

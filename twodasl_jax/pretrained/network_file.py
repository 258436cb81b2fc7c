"""A trained network as one file, to predict with: what it is, what it reads, and its numbers.

An ``.npz``. Its arrays are called ``params/…`` and ``batch_stats/…`` as in a checkpoint, and
``arrays/…`` for the method's own; ``description`` is JSON in UTF-8. Arrays of two axes and more,
which are nearly all of the bytes, are in half precision (float16); vectors, the statistics of
BatchNorm among them, stay float32. There is no optimiser: training starts from it (``init_from``),
and cannot go on with it.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twodasl_jax.file_errors import naming_write_errors
from twodasl_jax.user_files.arrays import read_npz
from twodasl_jax.user_files.json_file import json_object, require_entries
from twodasl_jax.whole_file import whole_file

FORMAT, VERSION = "twodasl_jax network", 1
EXPECTED = "expected a network that --mode=pack wrote"

_GROUPS = ("params", "batch_stats", "arrays")
_DESCRIPTION = "description"
_ENTRIES: Mapping[str, type] = {
    "method": str, "models": dict, "num_passes": int, "stage": str, "step": int, "identity": dict,
    "licence": str, "card": str, "training": dict, "rounding": dict,
}  # fmt: skip
_ADVICE = "the file is damaged, or no network: take another copy, or pack the run again"


@dataclasses.dataclass(frozen=True)
class NetworkFile:
    """What such a file holds.

    Attributes:
      params: ``{network name: parameters}``, of the networks that prediction reads; float32.
      batch_stats: ``{network name: BatchNorm statistics}``, float32.
      arrays: the method's own, float32 by name.
      method: name of the method (`methods.registry.METHODS`).
      models: the settings that its networks are made of, plain values.
      num_passes: what the network was scored with.
      stage: of the training, whose networks these are.
      step: of that stage.
      identity: what the networks' numbers mean: crop size, backbone, … and ``face_model``
        (`face_model.model_identity`).
      licence: what may be done with it, and why; one line.
      card: its data, the command of its training, its figures and limits; any text.
      training: what the run says of itself: ``seed``, ``stages``, ``data``, ``scores``,
        ``packed_by`` (the code's revision); plain values.
      rounding: by how much half precision moves the landmarks, as measured when it was packed.
    """

    params: Mapping[str, Any]
    batch_stats: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    method: str
    models: Mapping[str, Any]
    num_passes: int
    stage: str
    step: int
    identity: Mapping[str, Any]
    licence: str
    card: str
    training: Mapping[str, Any]
    rounding: Mapping[str, Any]


def write_network_file(path: str | Path, network: NetworkFile) -> None:
    """Writes a network, whole or not at all.

    Args:
      path: of a file that is not there yet.
      network: whose numbers half precision can hold.

    Raises:
      ValueError: where there is something already, or a number is beyond half precision.
      OSError: where it cannot be written.
    """
    path = Path(path)
    require_new(path)
    arrays = {
        name: _stored(name, values)
        for group in _GROUPS
        for name, values in _flat(getattr(network, group), group).items()
    }
    told = {"format": FORMAT, "version": VERSION}
    told |= {name: getattr(network, name) for name in _ENTRIES}
    text = json.dumps(told, ensure_ascii=False, allow_nan=False).encode()
    arrays[_DESCRIPTION] = np.frombuffer(text, np.uint8)
    with whole_file(path) as unfinished, naming_write_errors(path), unfinished.open("wb") as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]


def require_new(path: Path) -> None:
    """Refuses to write over anything.

    Raises:
      ValueError: where there is something of this name.
    """
    if path.exists():
        raise ValueError(
            f"{path} is there already, and no network is replaced; choose another name, or move it "
            "away"
        )


def in_half_precision(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers that a file gives back of nested dicts of arrays, float32.

    Raises:
      ValueError: naming an array with a number that half precision cannot hold.
    """
    flat = {name: _stored(name, values) for name, values in _flat(tree, "params").items()}
    return _nested(flat, "params")


def read_network_file(path: str | Path) -> NetworkFile:
    """Reads and checks a network.

    Raises:
      FileNotFoundError, PermissionError, OSError: as `read_npz`.
      ValueError: one sentence, where it is another kind of file, is damaged, lacks something, or
        was written by a later version of the package.
    """
    arrays = read_npz(path, expected=EXPECTED)
    told = _description(path, arrays)
    del arrays[_DESCRIPTION]
    foreign = [
        name
        for name in arrays
        if name.split("/")[0] not in _GROUPS
        or any(other.startswith(f"{name}/") for other in arrays)
    ]
    if foreign or not arrays:
        came = f"an array '{foreign[0]}'" if foreign else "no parameters"
        raise ValueError(f"{path} holds {came}; {EXPECTED}: {_ADVICE}")
    for name, values in arrays.items():
        if values.dtype.kind != "f" or not np.isfinite(values).all():
            raise ValueError(f"{path}: {name} holds what is no finite number; {_ADVICE}")
    # Whether these are a method's is for its maker to ask: `experiment.run.network_files`.
    groups = {group: _nested(arrays, group) for group in _GROUPS}
    return NetworkFile(**groups, **{name: told[name] for name in _ENTRIES})


def _description(path: str | Path, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    text = arrays.get(_DESCRIPTION)
    if text is None or text.dtype != np.uint8:
        has = ", ".join(list(arrays)[:5]) or "nothing"
        raise ValueError(f"{path} is an .npz of {has}, and no network; {EXPECTED}")
    told = json_object(path, text.tobytes(), expected=EXPECTED)
    require_entries(path, told, {"format": str, "version": int}, advice=_ADVICE)
    if told["format"] != FORMAT:
        raise ValueError(f"{path} is of the format '{told['format']}'; {EXPECTED}")
    if told["version"] > VERSION:
        raise ValueError(
            f"{path} is of version {told['version']} of its format, and this package reads up to "
            f"{VERSION}: install a later twodasl_jax"
        )
    require_entries(path, told, _ENTRIES, advice=_ADVICE)
    return told


def _stored(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values, np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds what is no finite number; such a network predicts nothing")
    if array.ndim < 2:
        return array
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if not np.isfinite(half).all():
        raise ValueError(
            f"{name} holds {np.abs(array).max():.3g}, and half precision ends at 65,504; the "
            "network cannot be packed"
        )
    return half


def _flat(tree: Mapping[str, Any], name: str) -> dict[str, Any]:
    """``{"params/regressor/head/bias": …}`` of nested dicts."""
    flat = {}
    for key, value in tree.items():
        inner = f"{name}/{key}"
        flat |= _flat(value, inner) if isinstance(value, Mapping) else {inner: value}
    return flat


def _nested(flat: Mapping[str, np.ndarray], group: str) -> dict[str, Any]:
    """Inverse of `_flat`, of one group, in float32."""
    tree: dict[str, Any] = {}
    for name, values in flat.items():
        first, *folders, last = name.split("/")
        if first == group:
            inner = tree
            for folder in folders:
                inner = inner.setdefault(folder, {})
            inner[last] = values.astype(np.float32)
    return tree

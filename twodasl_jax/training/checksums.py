"""Checksums that travel with a checkpoint's description, and what does not agree with them.

The files of a checkpoint carry none of their own: a flipped bit reads back as another number.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

CHECKSUMS = "checksums"
"""Their place in a description."""

_KEYS_BEFORE = {"config", "whitening", "best"}
"""What a description could hold before there were checksums."""


def array_checksums(tree: Any) -> dict[str, str]:
    """Type, shape and CRC-32 of every array: ``{"params/head/bias": "float32(62,) 1a2b3c4d"}``.

    Args:
      tree: of arrays; those on devices are fetched, one after another.
    """
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): _array_checksum(
            jax.device_get(leaf)
        )
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _array_checksum(leaf: Any) -> str:
    array = np.asarray(jax.device_get(leaf))
    # As bytes: the CRC takes no types that numpy does not know by itself, such as bfloat16.
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    return f"{array.dtype}{tuple(array.shape)} {zlib.crc32(data):08x}"


def json_checksum(value: Any) -> str:
    """CRC-32 of a plain value, the same before and after a way through JSON."""
    plain = json.loads(json.dumps(value))
    return f"{zlib.crc32(json.dumps(plain, sort_keys=True).encode()):08x}"


def sealed(
    description: Mapping[str, Any], *, arrays: Mapping[str, Any], documents: Mapping[str, Any]
) -> dict[str, Any]:
    """The description with the checksums of a whole checkpoint.

    Args:
      description: plain values.
      arrays: ``{item: tree of arrays}`` that are saved with it.
      documents: ``{item: plain values}`` that are saved with it.
    """
    checksums = {
        "arrays": {item: array_checksums(tree) for item, tree in arrays.items()},
        "documents": {item: json_checksum(value) for item, value in documents.items()},
        "description": json_checksum(dict(description)),
    }
    return {**description, CHECKSUMS: checksums}


def require_sealed(description: Any) -> Mapping[str, Any] | None:
    """The checksums of a description that was read, after a check of the description itself.

    Returns:
      Those that `sealed` made; None for one that was written before there were any.

    Raises:
      ValueError: where it is not what was written.
    """
    if not isinstance(description, Mapping):
        raise ValueError("the description is no JSON object")
    checksums = description.get(CHECKSUMS)
    if checksums is None:
        if not {"config", "whitening"} <= set(description) <= _KEYS_BEFORE:
            raise ValueError(f"the description holds {', '.join(description)}")
        return None
    rest = {key: value for key, value in description.items() if key != CHECKSUMS}
    whole = isinstance(checksums, Mapping) and set(checksums) == {
        "arrays",
        "documents",
        "description",
    }
    if not whole or checksums["description"] != json_checksum(rest):
        raise ValueError("the description does not agree with its checksum")
    return checksums


def require_arrays(tree: Any, checksums: Mapping[str, Any], item: str) -> None:
    """Compares arrays that were read with the checksums that were saved with them.

    Args:
      tree: the item, whole.
      checksums: from `require_sealed`.
      item: its name.

    Raises:
      ValueError: naming the first array that is not what was written.
    """
    saved, came = dict(checksums["arrays"][item]), array_checksums(tree)
    wrong = [name for name in sorted({*saved, *came}) if saved.get(name) != came.get(name)]
    if wrong:
        raise ValueError(
            f"{len(wrong)} of {len(saved)} arrays do not agree with their checksums, first "
            f"{item}/{wrong[0]}"
        )


def require_document(value: Any, checksums: Mapping[str, Any], item: str) -> None:
    """Compares plain values that were read with the checksum that was saved with them.

    Raises:
      ValueError: where they are not what was written.
    """
    if checksums["documents"].get(item) != json_checksum(value):
        raise ValueError(f"the item '{item}' does not agree with its checksum")


def shapes_of(checksums: Mapping[str, Any], item: str) -> dict[str, str]:
    """Type and shape of every array, as `tree_difference.shapes_by_name` gives them."""
    return {name: str(told).rsplit(" ", 1)[0] for name, told in checksums["arrays"][item].items()}

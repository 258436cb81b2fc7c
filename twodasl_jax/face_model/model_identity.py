"""Which face model coefficients belong to: checksums of the arrays that give them a meaning.

A file's path or name says nothing: the same arrays under another name are the same model, another
array under the same name is another one. Colours, uv and units are left out: landmarks, vertices
and pose are the same without them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from twodasl_jax.face_model.model import FaceModel

ARRAYS = ("mean", "shape_basis", "expression_basis", "triangles", "landmark_vertices")
"""What gives coefficients their meaning, in the order in which differences are named."""

_DIGITS = 16
"""Of a checksum, hexadecimal: enough to tell any two models that somebody has."""


def face_model_identity(face_model: FaceModel) -> dict[str, Any]:
    """A face model's identity as plain values, to be stored beside coefficients.

    Returns:
      ``{name, num_vertices, arrays: {array: checksum}}``. The name is for messages alone.
    """
    values = dict(zip(ARRAYS, face_model.linear, strict=False)) | {
        "triangles": face_model.triangles,
        "landmark_vertices": face_model.landmark_vertices,
    }
    return {
        "name": face_model.name,
        "num_vertices": face_model.num_vertices,
        "arrays": {name: _checksum(values[name]) for name in ARRAYS},
    }


def _checksum(values: Any) -> str:
    array = np.asarray(values)
    # Signed zeros are equal numbers; shapes tell (3, n) from (n, 3) of the same bytes.
    text = f"{array.dtype.kind}{array.shape}".encode()
    return hashlib.sha256(text + (array + array.dtype.type(0)).tobytes()).hexdigest()[:_DIGITS]


def short_identity(identity: Mapping[str, Any]) -> str:
    """One checksum over all arrays, for messages, tables and JSON."""
    joined = ",".join(f"{name}={identity['arrays'].get(name)}" for name in ARRAYS)
    return hashlib.sha256(joined.encode()).hexdigest()[:_DIGITS]


def differing_arrays(saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> Sequence[str]:
    """Names of the arrays in which two face models differ; empty for the same model."""
    return [name for name in ARRAYS if saved["arrays"].get(name) != wanted["arrays"].get(name)]


def describe_identity(identity: Mapping[str, Any]) -> str:
    """A face model in words: ``'bfm' (53,215 vertices, identity 0f3c…)``."""
    return (
        f"'{identity['name']}' ({identity['num_vertices']:,} vertices, identity "
        f"{short_identity(identity)})"
    )


def require_same_face_model(
    saved: Mapping[str, Any], wanted: Mapping[str, Any], *, owner: str, advice: str
) -> None:
    """Refuses coefficients of another face model.

    Args:
      saved: identity of the face model that something was made with.
      wanted: identity of the one that is to read it.
      owner: what was made, for the message: "the run runs/a was trained".
      advice: what the user can do.

    Raises:
      ValueError: naming both models and the arrays that differ.
    """
    differing = differing_arrays(saved, wanted)
    if differing:
        raise ValueError(
            f"{owner} with the face model {describe_identity(saved)}, and the one here is "
            f"{describe_identity(wanted)}: they differ in {', '.join(differing)}, so that its "
            f"coefficients mean other faces; {advice}"
        )

"""Predictions of any system: an ``.npz`` that is joined to a benchmark by file name."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twodasl_jax.coefficients import NUM_COEFFICIENTS
from twodasl_jax.evaluation.aflw2000 import score_coefficients
from twodasl_jax.evaluation.arrays_file import read_arrays
from twodasl_jax.evaluation.benchmark import Benchmark, Predictions
from twodasl_jax.face_model.landmarks import landmark_model
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.face_model.model_identity import face_model_identity, require_same_face_model

CONVENTIONS = ("crop_source", "landmark_map_source")
NOT_STATED = "not stated by the predictions file"

EXPECTED = (
    "expected file_name (n,) with coefficients (n, 62) and roi_box (n, 4), or with landmarks "
    "(n, 68, 2 or 3) in image pixels"
)


def read_predictions(
    path: str | Path, benchmark: Benchmark, face_model: FaceModel | None
) -> Predictions:
    """Reads a predictions file and puts its rows into the benchmark's order.

    Args:
      path: ``file_name (n,)`` and either ``coefficients (n, 62)`` (raw, crop frame) with
        ``roi_box (n, 4)``, or ``landmarks (n, 68, 2 or 3)`` image pixels; optionally the texts
        ``crop_source`` and ``landmark_map_source``, for the report, and of coefficients
        ``face_model_identity``, JSON of `face_model_identity`.
      benchmark: every face of it must have a row; rows of faces that it leaves out are ignored.
      face_model: the coefficients'; not needed for landmarks.

    Raises:
      FileNotFoundError: where there is no such file.
      ValueError: one sentence: what is wrong with the file, and what was expected.
    """
    path = Path(path)
    arrays = _read(path)
    names = [str(name) for name in arrays["file_name"]]
    rows = _rows(path, names, benchmark)
    given = {key: text_of(path, arrays, key) for key in CONVENTIONS}
    if "landmarks" in arrays:
        landmarks = _numbers(path, arrays, "landmarks", rows)
        return Predictions(landmarks, None, None, None, given)
    coefficients = _numbers(path, arrays, "coefficients", rows)
    roi_box = _numbers(path, arrays, "roi_box", rows)
    empty = np.flatnonzero((roi_box[:, 2:] <= roi_box[:, :2]).any(axis=1))
    if len(empty):
        raise ValueError(
            f"{path}: the roi_box of {benchmark.file_names[empty[0]]} is {roi_box[empty[0]]}; "
            "expected sx < ex and sy < ey"
        )
    if face_model is None:
        raise ValueError(
            f"{path} holds coefficients; give the face model that they belong to, --face_model=FILE"
        )
    if "face_model_identity" in arrays:
        require_same_face_model(
            _identity_of(path, text_of(path, arrays, "face_model_identity")),
            face_model_identity(face_model),
            owner=f"the coefficients of {path} were predicted",
            advice="give that face model, --face_model=FILE",
        )
    return predictions_from_coefficients(face_model, coefficients, roi_box, given)


def _identity_of(path: Path, text: str) -> dict[str, Any]:
    try:
        identity = json.loads(text)
        return {key: identity[key] for key in ("name", "num_vertices", "arrays")}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path}: face_model_identity is damaged ({error}); leave it out, or predict again"
        ) from error


def predictions_from_coefficients(
    face_model: FaceModel,
    coefficients: np.ndarray,
    roi_box: np.ndarray,
    conventions: Mapping[str, str],
) -> Predictions:
    """Coefficients with the landmarks that they project to.

    Raises:
      ValueError: where a landmark is not finite.
    """
    landmarks = score_coefficients(landmark_model(face_model), coefficients, roi_box)
    broken = np.flatnonzero(~np.isfinite(landmarks).all(axis=(1, 2)))
    if len(broken):
        raise ValueError(
            f"{len(broken)} of {len(landmarks)} predictions give landmarks that are not finite, "
            f"first face {broken[0]}"
        )
    return Predictions(landmarks, coefficients, roi_box, face_model, dict(conventions))


def text_of(path: Path, arrays: Mapping[str, np.ndarray], key: str) -> str:
    """A text in the file, or that it has none."""
    if key not in arrays:
        return NOT_STATED
    if arrays[key].shape != () or arrays[key].dtype.kind != "U":
        raise ValueError(
            f"{path}: {key} is {arrays[key].shape} {arrays[key].dtype}; expected a text"
        )
    return str(arrays[key])


def _read(path: Path) -> dict[str, np.ndarray]:
    arrays = read_arrays(path, expected=EXPECTED)
    is_one_kind = ("landmarks" in arrays) != ("coefficients" in arrays)
    complete = "coefficients" not in arrays or "roi_box" in arrays
    if "file_name" not in arrays or not is_one_kind or not complete:
        raise ValueError(f"{path} has {', '.join(arrays) or 'nothing'}; {EXPECTED}")
    if arrays["file_name"].ndim != 1 or arrays["file_name"].dtype.kind != "U":
        raise ValueError(
            f"{path}: file_name is {arrays['file_name'].shape} {arrays['file_name'].dtype}; "
            "expected (n,) texts"
        )
    return arrays


def _rows(path: Path, names: list[str], benchmark: Benchmark) -> np.ndarray:
    """The file's row of each face of the benchmark."""
    row_of = {name: row for row, name in enumerate(names)}
    if len(row_of) != len(names):
        twice = next(name for row, name in enumerate(names) if row_of[name] != row)
        raise ValueError(f"{path} names {twice} twice; expected one row per face")
    known = {*benchmark.file_names, *(face.file_name for face in benchmark.left_out)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"{path} names {len(unknown)} faces that {benchmark.name} does not have here, first "
            f"{unknown[0]}; expected names like {benchmark.file_names[0]}"
        )
    missing = [name for name in benchmark.file_names if name not in row_of]
    if missing:
        raise ValueError(
            f"{path} has no prediction for {len(missing)} of {len(benchmark)} faces, first "
            f"{missing[0]}; a benchmark is scored whole"
        )
    return np.array([row_of[name] for name in benchmark.file_names])


def _numbers(
    path: Path, arrays: Mapping[str, np.ndarray], key: str, rows: np.ndarray
) -> np.ndarray:
    array, names = arrays[key], arrays["file_name"]
    shapes = {
        "landmarks": ((68, 2), (68, 3)),
        "coefficients": ((NUM_COEFFICIENTS,),),
        "roi_box": ((4,),),
    }[key]
    fits = array.shape in {(len(names), *shape) for shape in shapes}
    if not fits or array.dtype.kind not in "iuf":
        raise ValueError(
            f"{path}: {key} is {array.shape} {array.dtype} for {len(names)} names; {EXPECTED}"
        )
    array = array[rows].astype(np.float64)
    broken = np.flatnonzero(~np.isfinite(array.reshape(len(rows), -1)).all(axis=1))
    if len(broken):
        raise ValueError(
            f"{path}: {key} of {len(broken)} faces hold NaN or infinity, first "
            f"{names[rows[broken[0]]]}; expected a finite prediction for every face"
        )
    return array

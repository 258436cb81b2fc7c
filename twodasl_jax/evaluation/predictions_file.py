"""Predictions of any system: an ``.npz`` that is joined to a benchmark by file name."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twodasl_jax.coefficients import NUM_COEFFICIENTS
from twodasl_jax.evaluation.benchmark import Benchmark, Predictions
from twodasl_jax.evaluation.coded_faces import faces_from_coefficients, landmarks_from_face_model
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.face_model.model_identity import face_model_identity, require_same_face_model
from twodasl_jax.user_files.arrays import read_npz

CONVENTIONS = ("crop_source", "landmark_map_source")
IDENTITY = "face_model_identity"
ARRAYS = ("file_name", "landmarks", "coefficients", "roi_box", IDENTITY, *CONVENTIONS)
"""All that is read of the file, whatever else it holds."""

NOT_STATED = "not stated by the predictions file"
ALLOW_MISSING = "--config.allow_missing=True"

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
    row_of = _row_of(path, arrays)
    unknown = _unknown(row_of, benchmark)
    _require_shared_name(path, row_of, benchmark)
    if unknown:
        raise ValueError(
            f"{path} names {len(unknown)} faces that {benchmark.name} does not have here, first "
            f"{unknown[0]}; expected names like {benchmark.file_names[0]}, or give "
            f"{ALLOW_MISSING} to score those that it has"
        )
    missing = [name for name in benchmark.file_names if name not in row_of]
    if missing:
        raise ValueError(
            f"{path} has no prediction for {len(missing)} of {len(benchmark)} faces, first "
            f"{missing[0]}; a benchmark is scored whole: complete it, or give {ALLOW_MISSING} to "
            "leave these faces out by name"
        )
    return _joined(path, arrays, row_of, benchmark, face_model)


def read_available_predictions(
    path: str | Path, benchmark: Benchmark, face_model: FaceModel | None
) -> tuple[Benchmark, Predictions]:
    """Reads a predictions file that lacks faces of the benchmark, or has more than it.

    Args:
      path: as in `read_predictions`.
      benchmark: faces without a row, or with NaN or an empty box in it, are left out.
      face_model: the coefficients'; not needed for landmarks.

    Returns:
      The benchmark without the faces that were not predicted, named in its ``left_out``; a note
      tells of rows that it has no face for. And the predictions of the others.

    Raises:
      FileNotFoundError: where there is no such file.
      ValueError: as `read_predictions`, and where no face is predicted.
    """
    path = Path(path)
    arrays = _read(path)
    row_of = _row_of(path, arrays)
    _require_shared_name(path, row_of, benchmark)
    here = np.array([name in row_of for name in benchmark.file_names])
    unknown = _unknown(row_of, benchmark)
    benchmark = benchmark.without(np.flatnonzero(~here), f"{path.name} has no prediction of it")
    broken = _broken(path, arrays, _rows(row_of, benchmark))
    benchmark = benchmark.without(
        np.flatnonzero(broken), f"its prediction in {path.name} holds NaN or an empty box"
    )
    if unknown:
        note = (
            f"{path.name} names {len(unknown)} faces that {benchmark.name} does not have here, "
            f"first {unknown[0]}; they are not scored"
        )
        benchmark = dataclasses.replace(benchmark, notes=(*benchmark.notes, note))
    return benchmark, _joined(path, arrays, row_of, benchmark, face_model)


def _require_shared_name(path: Path, row_of: Mapping[str, int], benchmark: Benchmark) -> None:
    """Refuses another benchmark's predictions: no option makes them this one's."""
    if not any(name in row_of for name in benchmark.file_names):
        raise ValueError(
            f"{path} has no prediction for any of {len(benchmark)} faces; it names "
            f"{', '.join(list(row_of)[:1]) or 'none'}, expected names like "
            f"{benchmark.file_names[0]}"
        )


def _joined(
    path: Path,
    arrays: Mapping[str, np.ndarray],
    row_of: Mapping[str, int],
    benchmark: Benchmark,
    face_model: FaceModel | None,
) -> Predictions:
    rows = _rows(row_of, benchmark)
    given = {key: text_of(path, arrays, key) for key in CONVENTIONS}
    if "landmarks" in arrays:
        landmarks = _numbers(path, arrays, "landmarks", rows)
        return Predictions(landmarks, None, given)
    coefficients = _numbers(path, arrays, "coefficients", rows)
    roi_box = _numbers(path, arrays, "roi_box", rows)
    empty = np.flatnonzero(_is_empty(roi_box))
    if len(empty):
        raise ValueError(
            f"{path}: the roi_box of {benchmark.file_names[empty[0]]} is {roi_box[empty[0]]}; "
            f"expected sx < ex and sy < ey (or give {ALLOW_MISSING} to leave such faces out)"
        )
    if face_model is None:
        raise ValueError(
            f"{path} holds coefficients; give the face model that they belong to, --face_model=FILE"
        )
    if IDENTITY in arrays:
        require_same_face_model(
            _identity_of(path, text_of(path, arrays, IDENTITY)),
            face_model_identity(face_model),
            owner=f"the coefficients of {path} were predicted",
            advice="give that face model, --face_model=FILE",
        )
    return predictions_from_coefficients(face_model, coefficients, roi_box, given)


def _is_empty(roi_box: np.ndarray) -> np.ndarray:
    return np.asarray((roi_box[:, 2:] <= roi_box[:, :2]).any(axis=1))


def _broken(path: Path, arrays: Mapping[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    """``(n,)`` which rows are no prediction: NaN where the system found no face, or no box."""
    keys = ("landmarks",) if "landmarks" in arrays else ("coefficients", "roi_box")
    chosen = [_of_its_shape(path, arrays, key)[rows].reshape(len(rows), -1) for key in keys]
    broken = np.asarray(~np.isfinite(np.concatenate(chosen, axis=1)).all(axis=1))
    return broken | _is_empty(chosen[1]) if "roi_box" in keys else broken


def _identity_of(path: Path, text: str) -> dict[str, Any]:
    try:
        identity = json.loads(text)
        return {key: identity[key] for key in ("name", "num_vertices", "arrays")}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(
            f"{path}: {IDENTITY} is damaged ({error}); leave it out, or predict again"
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
    faces = faces_from_coefficients(face_model, coefficients, roi_box)
    return Predictions(landmarks_from_face_model(faces), faces, dict(conventions))


def write_predictions(path: Path, benchmark: Benchmark, predictions: Predictions) -> None:
    """``predictions.npz``: what was scored, in the layout that `read_predictions` reads.

    Coefficients where the system's code is a face model's own, else the landmarks.
    """
    faces = predictions.faces
    arrays: dict[str, Any] = {
        "file_name": np.array(benchmark.file_names),
        **predictions.conventions,
    }
    if faces is None or faces.coefficients is None:
        arrays["landmarks"] = predictions.landmarks_px
    else:
        arrays |= {"coefficients": faces.coefficients, "roi_box": faces.roi_box}
        arrays[IDENTITY] = json.dumps(face_model_identity(faces.face_model))
    np.savez_compressed(path, **arrays)


def text_of(path: Path, arrays: Mapping[str, np.ndarray], key: str) -> str:
    """A text in the file, or that it has none."""
    if key not in arrays:
        return NOT_STATED
    if arrays[key].shape not in ((), (1,)) or arrays[key].dtype.kind != "U":
        raise ValueError(
            f"{path}: {key} is {arrays[key].shape} {arrays[key].dtype}; expected a text"
        )
    return str(arrays[key].item())


def _read(path: Path) -> dict[str, np.ndarray]:
    arrays = read_npz(path, expected=EXPECTED, only=ARRAYS)
    is_one_kind = ("landmarks" in arrays) != ("coefficients" in arrays)
    complete = "coefficients" not in arrays or "roi_box" in arrays
    if "file_name" not in arrays or not is_one_kind or not complete:
        came = ", ".join(arrays) or "none of its arrays"
        raise ValueError(f"{path} has {came}; {EXPECTED}")
    if arrays["file_name"].ndim != 1 or arrays["file_name"].dtype.kind != "U":
        raise ValueError(
            f"{path}: file_name is {arrays['file_name'].shape} {arrays['file_name'].dtype}; "
            "expected (n,) texts"
        )
    return arrays


def _row_of(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, int]:
    """The file's row of each of its names."""
    names = [str(name) for name in arrays["file_name"]]
    row_of = {name: row for row, name in enumerate(names)}
    if len(row_of) != len(names):
        twice = next(name for row, name in enumerate(names) if row_of[name] != row)
        raise ValueError(f"{path} names {twice} twice; expected one row per face")
    return row_of


def _unknown(row_of: Mapping[str, int], benchmark: Benchmark) -> list[str]:
    known = {*benchmark.file_names, *(face.file_name for face in benchmark.left_out)}
    return [name for name in row_of if name not in known]


def _rows(row_of: Mapping[str, int], benchmark: Benchmark) -> np.ndarray:
    return np.array([row_of[name] for name in benchmark.file_names])


def _of_its_shape(path: Path, arrays: Mapping[str, np.ndarray], key: str) -> np.ndarray:
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
    return array.astype(np.float64)


def _numbers(
    path: Path, arrays: Mapping[str, np.ndarray], key: str, rows: np.ndarray
) -> np.ndarray:
    array, names = _of_its_shape(path, arrays, key)[rows], arrays["file_name"]
    broken = np.flatnonzero(~np.isfinite(array.reshape(len(rows), -1)).all(axis=1))
    if len(broken):
        raise ValueError(
            f"{path}: {key} of {len(broken)} faces hold NaN or infinity, first "
            f"{names[rows[broken[0]]]}; expected a finite prediction for every face, or give "
            f"{ALLOW_MISSING} to leave such faces out"
        )
    return array

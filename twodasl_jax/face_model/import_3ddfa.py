"""Reads BFM as the 3DDFA family keeps it: interleaved ``.npz``, or its folder of files.

*Interleaved* ``.npz``: ``mean (n, 3)``, ``shape_basis (n, 3, 40)``,
``expression_basis (n, 3, 10)``, ``triangles (t, 3)``, ``landmark_vertices (68,)``, and
optionally ``mirror_pairs (m, 2)``, ``uv (n, 2)``, ``coefficient_mean`` and
``coefficient_std (62,)``.

*Folder*: ``u_shp.npy`` and ``u_exp.npy (3n, 1)`` (the mean is their sum), ``w_shp_sim.npy
(3n, ≥40)``, ``w_exp_sim.npy (3n, ≥10)``, rows ``x0 y0 z0 x1 …``; ``keypoints_sim.npy (204,)``
rows of the 68 landmarks in those; ``param_whitening.pkl`` with ``param_mean`` and
``param_std (62,)``; ``tri.mat`` with ``tri (3, t)``, counted from 1.

Both are in micrometres, and hold no colours.
"""

from pathlib import Path

import numpy as np

from twodasl_jax.coefficients import NUM_EXPRESSION, NUM_SHAPE
from twodasl_jax.face_model.mirror import (
    counter_clockwise_triangles,
    cylindrical_uv,
    mirror_by_nearness,
    mirror_from_pairs,
)
from twodasl_jax.face_model.validation import NUM_LANDMARKS, validate_present_arrays
from twodasl_jax.face_model.whitening_file import whitening_of
from twodasl_jax.user_files.array_pickle import load_array_pickle
from twodasl_jax.user_files.arrays import numbers_of, read_npy
from twodasl_jax.user_files.mat_file import read_variables

BFM_UNITS_PER_MILLIMETRE = 1000.0

_EXPECTED = "expected the 3DDFA file of that name (docs/face_models.md)"
_STORED = {"f": np.float32, "i": np.int32, "u": np.int32}

FOLDER_FILES = (
    "u_shp.npy",
    "u_exp.npy",
    "w_shp_sim.npy",
    "w_exp_sim.npy",
    "keypoints_sim.npy",
    "param_whitening.pkl",
    "tri.mat",
)


def is_interleaved(keys: set[str], mean_shape: tuple[int, ...]) -> bool:
    """Whether an ``.npz`` is of the interleaved layout rather than the package's planar one."""
    return "mirror_pairs" in keys or (len(mean_shape) == 2 and mean_shape[1] == 3 != mean_shape[0])


def arrays_from_interleaved(source: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """Converts the interleaved ``.npz`` layout to the package's (``face_model/model.py``).

    Args:
      source: the file's arrays.
      name: of the file, for messages.

    Raises:
      ValueError: where one is missing, not interleaved, or wrong.
    """
    wanted = ("mean", "shape_basis", "expression_basis", "triangles", "landmark_vertices")
    missing = [key for key in wanted if key not in source]
    if missing:
        raise ValueError(f"the interleaved face model {name} lacks {', '.join(missing)}")
    num_vertices = numbers_of(name, source, "mean", (None, 3)).shape[0]
    bases = {
        key: np.transpose(numbers_of(name, source, key, (num_vertices, 3, None)), (2, 1, 0))[:count]
        for key, count in (("shape_basis", NUM_SHAPE), ("expression_basis", NUM_EXPRESSION))
    }
    arrays = {
        "mean": source["mean"].T,
        **bases,
        "triangles": source["triangles"],
        "landmark_vertices": source["landmark_vertices"],
    }
    for key in ("coefficient_mean", "coefficient_std"):
        if key in source:
            arrays[key] = source[key]
    return complete_arrays(
        arrays, name, mirror_pairs=_mirror_pairs(source, name, num_vertices), uv=source.get("uv")
    )


def _mirror_pairs(source: dict[str, np.ndarray], name: str, num_vertices: int) -> np.ndarray | None:
    if "mirror_pairs" not in source:
        return None
    pairs = numbers_of(name, source, "mirror_pairs", (None, 2))
    if pairs.dtype.kind not in "iu" or (pairs < 0).any() or (pairs >= num_vertices).any():
        raise ValueError(
            f"{name}: mirror_pairs is {pairs.dtype} up to {pairs.max(initial=0)}; expected indices "
            f"within 0..{num_vertices - 1}"
        )
    return pairs.astype(np.int64)


def complete_arrays(
    arrays: dict[str, np.ndarray],
    name: str,
    *,
    mirror_pairs: np.ndarray | None = None,
    uv: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Adds mirror table, uv and unit to a BFM's arrays, computing what is not given.

    Args:
      arrays: planar mean and bases, triangles of either winding, landmarks.
      name: of their file or folder, for messages.
      mirror_pairs: ``(m, 2)``; without it the mirror is found by nearness.
      uv: ``(n, 2)``; without it the face is unrolled from a cylinder.

    Raises:
      ValueError: where an array is wrong, or the mirror cannot be found.
    """
    given = arrays if uv is None else {**arrays, "uv": uv}
    validate_present_arrays(given, name)
    mean = arrays["mean"].astype(np.float64)
    arrays = {**arrays, "triangles": counter_clockwise_triangles(mean, arrays["triangles"])}
    if mirror_pairs is None:
        middle = float(mean[0, arrays["landmark_vertices"]].mean())
        try:
            mirror = mirror_by_nearness(mean, middle)
        except ValueError as error:
            raise ValueError(f"face model '{name}': {error}") from error
    else:
        mirror = mirror_from_pairs(mean, mirror_pairs)
    completed = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    completed["mirror_vertices"] = mirror.astype(np.int32)
    completed["uv"] = (cylindrical_uv(mean) if uv is None else uv).astype(np.float32)
    completed["units_per_millimetre"] = np.asarray(BFM_UNITS_PER_MILLIMETRE)
    return completed


def _planar_basis(path: Path, count: int, num_vertices: int) -> np.ndarray:
    rows = read_npy(path, expected=_EXPECTED)
    if rows.ndim != 2 or rows.shape[0] != 3 * num_vertices or rows.shape[1] < count:
        raise ValueError(f"{path} is {rows.shape}, expected ({3 * num_vertices}, {count} or more)")
    return rows[:, :count].reshape(num_vertices, 3, count).transpose(2, 1, 0)


def _landmarks_from_keypoints(path: Path, num_vertices: int) -> np.ndarray:
    keypoints = read_npy(path, expected=_EXPECTED).ravel()
    rows = whole_numbers(path, "keypoints", keypoints)
    if len(rows) != 3 * NUM_LANDMARKS or (rows.reshape(-1, 3) % 3 != [0, 1, 2]).any():
        raise ValueError(
            f"{path} holds {len(rows)} numbers, expected {3 * NUM_LANDMARKS} rows "
            "(3v, 3v + 1, 3v + 2 for each landmark's vertex v)"
        )
    vertices = rows[::3] // 3
    if vertices.min() < 0 or vertices.max() >= num_vertices:
        raise ValueError(f"{path} names vertex {vertices.max()}, but the mean has {num_vertices}")
    return vertices.astype(np.int32)


def whole_numbers(path: str | Path, name: str, array: np.ndarray) -> np.ndarray:
    """Indices that a file may keep as floats, as int64.

    Args:
      path: of the file, for the message.
      name: of the array, likewise.
      array: the numbers.

    Raises:
      ValueError: where they are no numbers, not whole, or beyond any index.
    """
    if array.dtype.kind not in "iuf" or not (np.abs(array.astype(np.float64)) < 2**31).all():
        raise ValueError(f"{path}: {name} is {array.dtype}; expected whole numbers below 2^31")
    whole = array.astype(np.int64)
    if (whole != array).any():
        raise ValueError(f"{path}: {name} holds numbers that are not whole; expected indices")
    return whole


def _whitening(path: Path) -> dict[str, np.ndarray]:
    """The statistics of ``param_whitening.pkl``."""
    mean, std = whitening_of(load_array_pickle(path), source=str(path))
    return {"coefficient_mean": mean, "coefficient_std": std}


def arrays_from_3ddfa_folder(folder: str | Path) -> dict[str, np.ndarray]:
    """Reads the 3DDFA files (layout at the head of this module), any number of vertices.

    Mirror table and uv are not among them, and are computed.

    Raises:
      FileNotFoundError: naming the files that are missing.
      ValueError: where the files do not fit each other.
    """
    folder = Path(folder)
    missing = [name for name in FOLDER_FILES if not (folder / name).exists()]
    if missing:
        raise FileNotFoundError(f"{folder} lacks {', '.join(missing)} of the 3DDFA files")

    def flat(name: str) -> np.ndarray:
        array = read_npy(folder / name, expected=_EXPECTED)
        if array.dtype.kind not in "iuf" or array.size % 3 or not array.size:
            raise ValueError(
                f"{folder / name} is {array.shape} {array.dtype}; expected (3n, 1) numbers"
            )
        return array.ravel().astype(np.float64)

    shape_mean, expression_mean = flat("u_shp.npy"), flat("u_exp.npy")
    if len(shape_mean) != len(expression_mean):
        raise ValueError(
            f"{folder}: u_shp.npy has {len(shape_mean)} numbers and u_exp.npy "
            f"{len(expression_mean)}; expected as many"
        )
    mean = (shape_mean + expression_mean).reshape(-1, 3).T
    num_vertices = mean.shape[1]
    tri = read_variables(folder / "tri.mat", ["tri"], expected="expected tri (3, t) from 1 on")
    triangles = whole_numbers(folder / "tri.mat", "tri", tri.get("tri", np.empty(0, object)))
    arrays = {
        "mean": mean,
        "shape_basis": _planar_basis(folder / "w_shp_sim.npy", NUM_SHAPE, num_vertices),
        "expression_basis": _planar_basis(folder / "w_exp_sim.npy", NUM_EXPRESSION, num_vertices),
        "triangles": triangles.T - 1,
        "landmark_vertices": _landmarks_from_keypoints(folder / "keypoints_sim.npy", num_vertices),
        **_whitening(folder / "param_whitening.pkl"),
    }
    return as_stored(complete_arrays(arrays, str(folder)))


def as_stored(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A face model's arrays in float32 and int32, in which they are kept."""
    return {
        key: array if array.ndim == 0 else array.astype(_STORED[array.dtype.kind])
        for key, array in arrays.items()
    }

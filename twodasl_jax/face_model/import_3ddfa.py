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

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from twodasl_jax.coefficients import NUM_COEFFICIENTS, NUM_EXPRESSION, NUM_SHAPE
from twodasl_jax.face_model.mirror import (
    counter_clockwise_triangles,
    cylindrical_uv,
    mirror_by_nearness,
    mirror_from_pairs,
)
from twodasl_jax.face_model.model import NUM_LANDMARKS

BFM_UNITS_PER_MILLIMETRE = 1000.0

FOLDER_FILES = (
    "u_shp.npy",
    "u_exp.npy",
    "w_shp_sim.npy",
    "w_exp_sim.npy",
    "keypoints_sim.npy",
    "param_whitening.pkl",
    "tri.mat",
)

_PICKLED_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}
"""All that a pickle of numpy arrays needs; anything else in one is refused."""


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles containers of numpy arrays and nothing else: a pickle can run any code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PICKLED_NAMES:
            raise ValueError(
                f"the pickle asks for {module}.{name}; expected numpy arrays only, so it is "
                "refused: fetch the file again from its owner"
            )
        # numpy 2 moved these, and warns at the old address.
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load_array_pickle(path: str | Path) -> Any:
    """Reads a pickle of containers of numpy arrays, running no code from it.

    Raises:
      ValueError: where the pickle holds anything else, or is damaged.
    """
    with Path(path).open("rb") as file:
        try:
            # latin1: pickles written under Python 2 keep array bytes in strings.
            return _ArrayUnpickler(file, encoding="latin1").load()
        except (pickle.UnpicklingError, EOFError) as error:
            raise ValueError(f"{path} is not a readable pickle: {error}") from error


def is_interleaved(keys: set[str], mean_shape: tuple[int, ...]) -> bool:
    """Whether an ``.npz`` is of the interleaved layout rather than the package's planar one."""
    return "mirror_pairs" in keys or (len(mean_shape) == 2 and mean_shape[1] == 3 != mean_shape[0])


def arrays_from_interleaved(source: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Converts the interleaved ``.npz`` layout to the package's (``face_model/model.py``).

    Args:
      source: the file's arrays.

    Raises:
      ValueError: where one is missing or not interleaved.
    """
    wanted = ("mean", "shape_basis", "expression_basis", "triangles", "landmark_vertices")
    missing = [key for key in wanted if key not in source]
    if missing:
        raise ValueError(f"the interleaved face model lacks {', '.join(missing)}")
    mean = np.asarray(source["mean"]).T
    expected = (mean.shape[1], 3)
    for key in ("mean", "shape_basis", "expression_basis"):
        if source[key].shape[:2] != expected:
            raise ValueError(f"{key} is {source[key].shape}, expected {expected} to come first")
    arrays = {
        "mean": mean,
        "shape_basis": np.transpose(source["shape_basis"], (2, 1, 0))[:NUM_SHAPE],
        "expression_basis": np.transpose(source["expression_basis"], (2, 1, 0))[:NUM_EXPRESSION],
        "triangles": counter_clockwise_triangles(mean, source["triangles"]),
        "landmark_vertices": source["landmark_vertices"],
    }
    for key in ("coefficient_mean", "coefficient_std"):
        if key in source:
            arrays[key] = source[key]
    return complete_arrays(arrays, source.get("mirror_pairs"), source.get("uv"))


def complete_arrays(
    arrays: dict[str, np.ndarray],
    mirror_pairs: np.ndarray | None = None,
    uv: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Adds mirror table, uv and unit to a BFM's arrays, computing what is not given.

    Args:
      arrays: planar mean and bases, triangles, landmarks.
      mirror_pairs: ``(m, 2)``; without it the mirror is found by nearness.
      uv: ``(n, 2)``; without it the face is unrolled from a cylinder.
    """
    mean = arrays["mean"].astype(np.float64)
    if mirror_pairs is None:
        mirror = mirror_by_nearness(mean, float(mean[0, arrays["landmark_vertices"]].mean()))
    else:
        mirror = mirror_from_pairs(mean, mirror_pairs)
    completed = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    completed["mirror_vertices"] = mirror.astype(np.int32)
    completed["uv"] = (cylindrical_uv(mean) if uv is None else uv).astype(np.float32)
    completed["units_per_millimetre"] = np.asarray(BFM_UNITS_PER_MILLIMETRE)
    return completed


def _planar_basis(rows: np.ndarray, count: int, name: str, num_vertices: int) -> np.ndarray:
    if rows.ndim != 2 or rows.shape[0] != 3 * num_vertices or rows.shape[1] < count:
        raise ValueError(f"{name} is {rows.shape}, expected ({3 * num_vertices}, {count} or more)")
    return rows[:, :count].reshape(num_vertices, 3, count).transpose(2, 1, 0)


def _landmarks_from_keypoints(keypoints: np.ndarray, num_vertices: int) -> np.ndarray:
    rows = np.asarray(keypoints).astype(np.int64).ravel()
    if len(rows) != 3 * NUM_LANDMARKS or (rows.reshape(-1, 3) % 3 != [0, 1, 2]).any():
        raise ValueError(
            f"keypoints_sim.npy holds {len(rows)} numbers, expected {3 * NUM_LANDMARKS} rows "
            "(3v, 3v + 1, 3v + 2 for each landmark's vertex v)"
        )
    vertices = rows[::3] // 3
    if vertices.min() < 0 or vertices.max() >= num_vertices:
        raise ValueError(
            f"keypoints_sim.npy names vertex {vertices.max()}, but the mean has {num_vertices}"
        )
    return vertices.astype(np.int32)


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

    def array(name: str) -> np.ndarray:
        return np.load(folder / name, allow_pickle=False)

    flat_mean = (array("u_shp.npy").astype(np.float64) + array("u_exp.npy")).ravel()
    if len(flat_mean) % 3:
        raise ValueError(f"u_shp.npy has {len(flat_mean)} rows, expected a multiple of 3")
    mean = flat_mean.reshape(-1, 3).T.astype(np.float32)
    num_vertices = mean.shape[1]
    whitening = load_array_pickle(folder / "param_whitening.pkl")
    statistics = {
        key: np.asarray(whitening[f"param_{name}"], np.float32).ravel()[:NUM_COEFFICIENTS]
        for key, name in (("coefficient_mean", "mean"), ("coefficient_std", "std"))
    }
    triangles = scipy.io.loadmat(folder / "tri.mat")["tri"].astype(np.int64).T - 1
    arrays = {
        "mean": mean,
        "shape_basis": _planar_basis(
            array("w_shp_sim.npy"), NUM_SHAPE, "w_shp_sim.npy", num_vertices
        ),
        "expression_basis": _planar_basis(
            array("w_exp_sim.npy"), NUM_EXPRESSION, "w_exp_sim.npy", num_vertices
        ),
        "triangles": counter_clockwise_triangles(mean, triangles.astype(np.int32)),
        "landmark_vertices": _landmarks_from_keypoints(array("keypoints_sim.npy"), num_vertices),
        **statistics,
    }
    return complete_arrays(arrays)

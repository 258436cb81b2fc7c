"""Reads ``01_MorphableModel.mat`` (Basel Face Model 2009) with ``Exp_Pca.bin``, as distributed.

Tested on generated files of this layout only; the owners' files were not at hand.

- ``01_MorphableModel.mat``: ``shapeMU (3n, 1)``, ``shapePC (3n, 199)`` (orthonormal; not
  multiplied by ``shapeEV``, so that 300W-LP's ``Shape_Para`` are its coefficients), ``tl (t, 3)``
  counted from 1, ``texMU (3n, 1)``, ``texPC (3n, 199)`` and ``texEV (199, 1)`` in 0..255. Rows are
  ``x0 y0 z0 x1 …``, in micrometres; n = 53,490.
- ``Exp_Pca.bin`` (Guo et al., from FaceWarehouse): int32 number of directions d, then float32
  mean ``(3m)``, then d directions of ``3m`` float32 each; m = 53,215.
- ``BFM_exp_idx.mat`` with ``trimIndex (m, 1)`` counted from 1: which of the n vertices the m are.
  Needed where m differs from n; mean, bases and triangles are then restricted to those.
- the 68 landmarks come in no file of these, so their vertex indices must be given, counted from 0
  in the *resulting* mesh.
"""

from pathlib import Path

import numpy as np

from twodasl_jax.coefficients import NUM_EXPRESSION, NUM_SHAPE
from twodasl_jax.face_model.import_3ddfa import as_stored, complete_arrays, whole_numbers
from twodasl_jax.face_model.validation import NUM_LANDMARKS
from twodasl_jax.user_files.arrays import LARGEST_ARRAYS_BYTES, numbers_of, read_npy
from twodasl_jax.user_files.mat_file import read_variables
from twodasl_jax.user_files.opening import read_bytes

SHAPE_FILE = "01_MorphableModel.mat"
EXPRESSION_FILE = "Exp_Pca.bin"
TRIM_FILE = "BFM_exp_idx.mat"

NUM_ALBEDO = 40
"""Directions of colour kept, as many as of shape."""


def load_landmark_vertices(path: str | Path) -> np.ndarray:
    """Reads 68 vertex indices, counted from 0, from a ``.npy`` or a text file.

    Raises:
      ValueError: where there are not 68 whole numbers.
    """
    path, expected = Path(path), f"expected {NUM_LANDMARKS} vertex indices counted from 0"
    if path.suffix == ".npy":
        numbers = read_npy(path, expected=expected).ravel()
    else:
        content = read_bytes(path, expected=expected, at_most=2**20)
        try:
            numbers = np.array([float(word) for word in content.decode().replace(",", " ").split()])
        except ValueError as error:
            raise ValueError(
                f"{path} is no list of numbers ({str(error)[:100]}); {expected}"
            ) from error
    vertices = whole_numbers(path, "the list", numbers)
    if len(vertices) != NUM_LANDMARKS or (vertices < 0).any():
        raise ValueError(
            f"{path} holds {len(vertices)} numbers from {vertices.min(initial=0)} on; {expected}"
        )
    return vertices.astype(np.int32)


def read_expression_file(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads ``Exp_Pca.bin``.

    Args:
      path: the file; the number of vertices follows from its length.

    Returns:
      Mean ``(3, m)`` and directions ``(d, 3, m)``.

    Raises:
      ValueError: where the length fits no number of vertices.
    """
    content = read_bytes(
        path, expected="expected the owners' Exp_Pca.bin", at_most=LARGEST_ARRAYS_BYTES
    )
    directions = int.from_bytes(content[:4], "little", signed=True)
    numbers = (len(content) - 4) // 4
    per_vertex = 3 * (directions + 1)
    if directions < NUM_EXPRESSION or len(content) % 4 or numbers % per_vertex or not numbers:
        raise ValueError(
            f"{path} has {len(content)} bytes and says {directions} directions; expected "
            f"4 + 4·3m·(directions + 1) bytes for m vertices, and {NUM_EXPRESSION} or more"
        )
    rows = np.frombuffer(content, "<f4", offset=4).reshape(directions + 1, -1, 3)
    planar = rows.transpose(0, 2, 1)
    return planar[0], planar[1:]


def _planar(columns: np.ndarray, count: int) -> np.ndarray:
    """The first `count` columns of ``(3n, k)`` interleaved rows as ``(count, 3, n)``."""
    return columns[:, :count].reshape(-1, 3, min(count, columns.shape[1])).transpose(2, 1, 0)


def _trim_triangles(triangles: np.ndarray, kept: np.ndarray, num_vertices: int) -> np.ndarray:
    """Renumbers triangles to the kept vertices, leaving out those that lose a corner."""
    position = np.full(num_vertices, -1)
    position[kept] = np.arange(len(kept))
    renumbered = position[triangles]
    return renumbered[(renumbered >= 0).all(axis=1)]


def _kept_vertices(folder: Path, num_shape: int, num_expression: int) -> np.ndarray:
    if num_shape == num_expression:
        return np.arange(num_shape)
    path = folder / TRIM_FILE
    if not path.exists():
        raise FileNotFoundError(
            f"{SHAPE_FILE} has {num_shape} vertices and {EXPRESSION_FILE} {num_expression}; "
            f"expected {path} to say which ({TRIM_FILE}, beside {EXPRESSION_FILE} where it is "
            "distributed)"
        )
    found = read_variables(path, ["trimIndex"], expected="expected trimIndex (m, 1) from 1 on")
    table = found.get("trimIndex", np.empty(0, object))
    kept = whole_numbers(path, "trimIndex", table.ravel()) - 1
    if len(kept) != num_expression or kept.min() < 0 or kept.max() >= num_shape:
        raise ValueError(
            f"{path}: trimIndex holds {len(kept)} indices up to {kept.max(initial=-1) + 1}; "
            f"expected {num_expression}, counted from 1, up to {num_shape}"
        )
    return kept


def arrays_from_basel_folder(
    folder: str | Path, landmark_vertices: np.ndarray
) -> dict[str, np.ndarray]:
    """Reads the files above from one folder, any number of vertices.

    The model's mean is the sum of the two means, as in the 3DDFA files. Whitening statistics are
    not among the files; mirror table and uv are computed.

    Args:
      folder: holds the files.
      landmark_vertices: ``(68,)``, counted from 0, of the resulting mesh.

    Raises:
      FileNotFoundError: naming the files that are missing.
      ValueError: where the files do not fit each other.
    """
    folder = Path(folder)
    missing = [name for name in (SHAPE_FILE, EXPRESSION_FILE) if not (folder / name).exists()]
    if missing:
        raise FileNotFoundError(f"{folder} lacks {' and '.join(missing)}")
    basel = _read_shape_file(folder / SHAPE_FILE)
    expression_mean, expression_basis = read_expression_file(folder / EXPRESSION_FILE)
    num_vertices = basel["shapeMU"].size // 3
    kept = _kept_vertices(folder, num_vertices, expression_mean.shape[1])
    mean = _planar(basel["shapeMU"].reshape(-1, 1), 1)[0][:, kept] + expression_mean
    triangles = _trim_triangles(basel["tl"], kept, num_vertices)
    deviations = basel["texEV"].ravel()[:NUM_ALBEDO, None, None]
    arrays = {
        "mean": mean,
        "shape_basis": _planar(basel["shapePC"], NUM_SHAPE)[..., kept],
        "expression_basis": expression_basis[:NUM_EXPRESSION],
        "triangles": triangles,
        "landmark_vertices": np.asarray(landmark_vertices, np.int32),
        "albedo_mean": _planar(basel["texMU"].reshape(-1, 1), 1)[0][:, kept] / 255.0,
        "albedo_basis": _planar(basel["texPC"], NUM_ALBEDO)[..., kept] * deviations / 255.0,
    }
    return as_stored(complete_arrays(arrays, str(folder)))


def _read_shape_file(path: Path) -> dict[str, np.ndarray]:
    """The variables of ``01_MorphableModel.mat``; triangles are counted from 0 here."""
    shapes = {"shapeMU": (None, 1), "shapePC": (None, None), "tl": (None, 3)}
    shapes |= {"texMU": (None, 1), "texPC": (None, None), "texEV": (None, 1)}
    found = read_variables(path, list(shapes), expected=f"expected {', '.join(shapes)}")
    rows = numbers_of(path, found, "shapeMU", (None, 1), (1, None)).size
    if rows % 3 or not rows:
        raise ValueError(f"{path}: shapeMU holds {rows} numbers; expected three per vertex")
    for name, least in (("shapePC", NUM_SHAPE), ("texPC", NUM_ALBEDO)):
        columns = numbers_of(path, found, name, (rows, None)).shape[1]
        if columns < least:
            raise ValueError(f"{path}: {name} has {columns} columns; expected {least} or more")
    numbers_of(path, found, "texMU", (rows, 1), (1, rows))
    if numbers_of(path, found, "texEV", (None, 1), (1, None)).size < NUM_ALBEDO:
        raise ValueError(f"{path}: texEV has fewer than {NUM_ALBEDO} numbers")
    corners = whole_numbers(path, "tl", numbers_of(path, found, "tl", (None, 3))) - 1
    if (corners < 0).any() or (corners >= rows // 3).any():
        raise ValueError(f"{path}: tl names vertices beyond 1..{rows // 3}")
    return found | {"tl": corners}

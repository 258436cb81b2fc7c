"""`FaceModel`: everything the package knows about one morphable model, validated on load.

File format (``.npz``, the layout of `save_face_model`): ``mean (3, n)``,
``shape_basis (40, 3, n)``, ``expression_basis (10, 3, n)`` (float16 or float32),
``triangles (t, 3)``, ``landmark_vertices (68,)``, ``mirror_vertices (n,)``, ``uv (n, 2)``
and optionally ``albedo_mean (3, n)`` with ``albedo_basis (k, 3, n)``, and
``coefficient_mean (62,)`` with ``coefficient_std (62,)``, and ``units_per_millimetre``.
"""

import dataclasses
import zlib
from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from twodasl_jax.coefficients import Whitening
from twodasl_jax.face_model.linear import LinearModel
from twodasl_jax.face_model.validation import validate_arrays
from twodasl_jax.file_errors import naming_write_errors
from twodasl_jax.user_files.arrays import read_npz
from twodasl_jax.whole_file import whole_file

OPEN_FACE_FILE = Path(__file__).parent / "open_face" / "open_face.npz"
"""The embedded open face model: no registration, CC0 data (see its README)."""

PHOTO_FACE_FILE = Path(__file__).parent / "photo_face" / "photo_face.npz"
"""The open face model with its mean where photographs show faces, for research only (see its
README; ``tools/open_face/photo_mean.py``)."""

PACKAGED = {"": OPEN_FACE_FILE, "photo_face": PHOTO_FACE_FILE}
"""What configs and commands call the face models that come with the package -> their files."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FaceModel:
    """A 3D morphable face model as a JAX pytree; pass it explicitly, never as a global.

    Attributes:
      linear: mean and planar bases over the ``n`` vertices.
      triangles: ``(t, 3)`` vertex indices, counter-clockwise seen from outside.
      landmark_vertices: ``(68,)`` vertex index of each iBUG-68 landmark.
      mirror_vertices: ``(n,)`` index of each vertex's left-right mirror image (an involution).
      uv: ``(n, 2)`` in [0, 1], v up.
      albedo_mean: ``(3, n)`` RGB in [0, 1], or None where the model has no colours.
      albedo_basis: ``(k, 3, n)`` per unit-variance coefficient, or None.
      whitening: the model's published statistics, or None: then they are computed from the
        training annotations.
      units_per_millimetre: length unit (BFM: 1000, micrometres). Static.
      name: for messages and reports. Static.
    """

    linear: LinearModel
    triangles: Int[Array, "t 3"]
    landmark_vertices: Int[Array, " 68"]
    mirror_vertices: Int[Array, " n"]
    uv: Float[Array, "n 2"]
    albedo_mean: Float[Array, "3 n"] | None
    albedo_basis: Float[Array, "k 3 n"] | None
    whitening: Whitening | None
    units_per_millimetre: float = dataclasses.field(default=1.0, metadata={"static": True})
    name: str = dataclasses.field(default="unnamed", metadata={"static": True})

    @property
    def num_vertices(self) -> int:
        """Number of vertices, n."""
        return self.linear.mean.shape[-1]


def face_model_from_arrays(
    arrays: Mapping[str, np.ndarray], name: str, *, source: str | Path | None = None
) -> FaceModel:
    """Validates a model's arrays and builds the pytree, in float32 and int32.

    Args:
      arrays: the layout at the head of this module.
      name: of the model.
      source: the file that they come from, for messages.

    Raises:
      ValueError: as `validate_arrays`.
    """
    validate_arrays(arrays, name if source is None else str(source))

    def floats(key: str) -> Array:
        return jnp.asarray(arrays[key], jnp.float32)

    def indices(key: str) -> Array:
        return jnp.asarray(arrays[key], jnp.int32)

    has_albedo, has_whitening = "albedo_mean" in arrays, "coefficient_mean" in arrays
    return FaceModel(
        linear=LinearModel(floats("mean"), floats("shape_basis"), floats("expression_basis")),
        triangles=indices("triangles"),
        landmark_vertices=indices("landmark_vertices"),
        mirror_vertices=indices("mirror_vertices"),
        uv=floats("uv"),
        albedo_mean=floats("albedo_mean") if has_albedo else None,
        albedo_basis=floats("albedo_basis") if has_albedo else None,
        whitening=Whitening(floats("coefficient_mean"), floats("coefficient_std"))
        if has_whitening
        else None,
        units_per_millimetre=float(arrays.get("units_per_millimetre", 1.0)),
        name=name,
    )


def face_model_path(name: str | Path | None) -> Path:
    """The file or folder of a face model that a config or a command names.

    Args:
      name: a key of `PACKAGED`, or a path; a file of such a name is meant by ``./photo_face``. None
        is the embedded open face model, as '' is.
    """
    return PACKAGED.get(str(name or "")) or Path(str(name))


def load_face_model(path: str | Path = OPEN_FACE_FILE) -> FaceModel:
    """Reads a face model written by `save_face_model` (or the embedded one) and validates it.

    Raises:
      FileNotFoundError: with the command that imports BFM.
      ValueError: where the file is no ``.npz`` of this layout, or an array is wrong.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"no face model at {path}; leave the path empty for the embedded open face model, or "
            "import your own: python -m twodasl_jax.face_model.import_bfm --help"
        )
    return face_model_from_arrays(read_model_file(path), path.stem, source=path)


def read_model_file(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a face model's ``.npz``, of any layout.

    Raises:
      FileNotFoundError, PermissionError, OSError, ValueError: as `read_npz`.
    """
    return read_npz(path, expected="expected a face model (docs/face_models.md)")


def save_face_model(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Validates `arrays` and writes them as a face model file, atomically.

    Args:
      path: a ``.npz`` path; its folder is made.
      arrays: the layout at the head of this module.

    Raises:
      ValueError: as `validate_arrays`; nothing is written then.
      OSError: where it cannot be written; the old file is left, or none.
    """
    path = Path(path)
    validate_arrays(arrays, str(path))
    with whole_file(path) as unfinished, naming_write_errors(path), unfinished.open("wb") as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]


def face_model_crc(face_model: FaceModel) -> int:
    """A checksum that tells face models apart: coefficients belong to one of them."""
    return zlib.crc32(np.asarray(face_model.linear.shape_basis).tobytes())

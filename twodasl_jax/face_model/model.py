"""`FaceModel`: everything the package knows about one morphable model, validated on load.

File format (``.npz``, the layout of `save_face_model`): ``mean (3, n)``,
``shape_basis (40, 3, n)``, ``expression_basis (10, 3, n)`` (float16 or float32),
``triangles (t, 3)``, ``landmark_vertices (68,)``, ``mirror_vertices (n,)``, ``uv (n, 2)``
and optionally ``albedo_mean (3, n)`` with ``albedo_basis (k, 3, n)``, and
``coefficient_mean (62,)`` with ``coefficient_std (62,)``, and ``units_per_millimetre``.
"""

import dataclasses
import os
import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from twodasl_jax.coefficients import NUM_COEFFICIENTS, NUM_EXPRESSION, NUM_SHAPE, Whitening
from twodasl_jax.face_model.linear import LinearModel

OPEN_FACE_FILE = Path(__file__).parent / "open_face" / "open_face.npz"
"""The embedded open face model: no registration, CC0 data (see its README)."""

NUM_LANDMARKS = 68


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


def _require(condition: bool, name: str, message: str) -> None:
    if not condition:
        raise ValueError(f"face model '{name}': {message}")


def _check_shapes(arrays: dict[str, np.ndarray], name: str) -> None:
    mean = arrays["mean"]
    _require(mean.ndim == 2 and mean.shape[0] == 3, name, f"mean is {mean.shape}, expected (3, n)")
    n = mean.shape[1]
    expected: dict[str, tuple[int | None, ...]] = {
        "shape_basis": (NUM_SHAPE, 3, n),
        "expression_basis": (NUM_EXPRESSION, 3, n),
        "triangles": (None, 3),
        "landmark_vertices": (NUM_LANDMARKS,),
        "mirror_vertices": (n,),
        "uv": (n, 2),
        "albedo_mean": (3, n),
        "albedo_basis": (None, 3, n),
        "coefficient_mean": (NUM_COEFFICIENTS,),
        "coefficient_std": (NUM_COEFFICIENTS,),
    }
    for key, shape in expected.items():
        if key not in arrays:
            continue
        came = arrays[key].shape
        fits = len(came) == len(shape) and all(
            want is None or want == got for want, got in zip(shape, came, strict=True)
        )
        wanted = tuple("*" if size is None else size for size in shape)
        _require(fits, name, f"{key} is {came}, expected {wanted} for {n} vertices")


def _check_indices(arrays: dict[str, np.ndarray], name: str) -> None:
    n = arrays["mean"].shape[1]
    for key in ("triangles", "landmark_vertices", "mirror_vertices"):
        index = arrays[key]
        _require(
            np.issubdtype(index.dtype, np.integer), name, f"{key} is {index.dtype}, expected int"
        )
        low, high = int(index.min()), int(index.max())
        _require(
            low >= 0 and high < n, name, f"{key} spans {low}..{high}, expected within 0..{n - 1}"
        )
    triangles, mirror = arrays["triangles"], arrays["mirror_vertices"]
    repeated = (triangles == np.roll(triangles, 1, axis=1)).any(axis=1).sum()
    _require(repeated == 0, name, f"{repeated} triangles repeat a vertex")
    _require(
        np.array_equal(mirror[mirror], np.arange(n)),
        name,
        "mirror_vertices is not its own inverse; expected mirror[mirror] = identity",
    )


def _check_winding(arrays: dict[str, np.ndarray], name: str) -> None:
    corners = arrays["mean"].astype(np.float64)[:, arrays["triangles"]]
    first, second, third = corners[..., 0], corners[..., 1], corners[..., 2]
    normals = np.cross(second - first, third - first, axis=0)
    # A face is a sheet that looks towards +z: were the winding inverted, most area would look away.
    towards_viewer = normals[2].sum()
    _require(
        bool(towards_viewer > 0),
        name,
        "the triangles wind clockwise seen from the front; expected counter-clockwise "
        "(swap two columns of triangles)",
    )


def validate_arrays(arrays: dict[str, np.ndarray], name: str) -> None:
    """Checks presence, shapes, index ranges, finiteness and winding of a model's arrays.

    Args:
      arrays: as in the file format at the head of this module.
      name: for the message.

    Raises:
      ValueError: one sentence that says which array is wrong, how, and what was expected.
    """
    required = (
        "mean",
        "shape_basis",
        "expression_basis",
        "triangles",
        "landmark_vertices",
        "mirror_vertices",
        "uv",
    )
    missing = [key for key in required if key not in arrays]
    _require(not missing, name, f"lacks {', '.join(missing)}; it has {', '.join(sorted(arrays))}")
    for pair in (("albedo_mean", "albedo_basis"), ("coefficient_mean", "coefficient_std")):
        present = [key for key in pair if key in arrays]
        _require(
            len(present) != 1,
            name,
            f"has {''.join(present)} alone; {' and '.join(pair)} go together",
        )
    _check_shapes(arrays, name)
    for key, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating):
            bad = int((~np.isfinite(array)).sum())
            _require(bad == 0, name, f"{key} holds {bad} values that are not finite")
    if "coefficient_std" in arrays:
        _require(
            bool((arrays["coefficient_std"] > 0).all()), name, "coefficient_std must be positive"
        )
    _check_indices(arrays, name)
    _check_winding(arrays, name)


def face_model_from_arrays(arrays: dict[str, np.ndarray], name: str) -> FaceModel:
    """Validates `arrays` (the file format above) and builds the pytree, in float32 and int32."""
    validate_arrays(arrays, name)

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
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path} is not a readable .npz face model: {error}") from error
    return face_model_from_arrays(arrays, path.stem)


def save_face_model(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Validates `arrays` and writes them as a face model file, atomically.

    Args:
      path: a ``.npz`` path; its folder is made.
      arrays: the layout at the head of this module.

    Raises:
      ValueError: as `validate_arrays`; nothing is written then.
    """
    path = Path(path)
    validate_arrays(arrays, path.stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not the whole name and a suffix: file systems take 255 bytes.
    unfinished = path.with_name(f".{zlib.crc32(os.fsencode(path.name)):08x}.unfinished")
    with unfinished.open("wb") as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    unfinished.replace(path)


def face_model_crc(face_model: FaceModel) -> int:
    """A checksum that tells face models apart: coefficients belong to one of them."""
    return zlib.crc32(np.asarray(face_model.linear.shape_basis).tobytes())

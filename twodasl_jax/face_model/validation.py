"""What the arrays of a face model must be, whoever made them (layout: `face_model.model`)."""

from collections.abc import Mapping

import numpy as np

from twodasl_jax.coefficients import NUM_COEFFICIENTS, NUM_EXPRESSION, NUM_SHAPE

NUM_LANDMARKS = 68

FEWEST_DISTINCT_LANDMARKS = 58
"""Vertices that the 68 landmarks must be: models without an inner lip use some of the outer one's
twice; a table of other numbers falls on few vertices, or on one."""

LARGEST_NUMBER = 1e15
"""Sums of squares over all vertices must stay within float32, whose largest is 3e38."""

SMALLEST_EXTENT = 1e-12
"""Of the mean face along each axis; less is no surface."""

REQUIRED = (
    *("mean", "shape_basis", "expression_basis"),
    *("triangles", "landmark_vertices", "mirror_vertices", "uv"),
)
_PAIRS = (("albedo_mean", "albedo_basis"), ("coefficient_mean", "coefficient_std"))
_INDICES = ("triangles", "landmark_vertices", "mirror_vertices")


def validate_arrays(arrays: Mapping[str, np.ndarray], name: str) -> None:
    """Checks presence, shapes, numbers, index ranges and winding of a model's arrays.

    Args:
      arrays: as in the file format at the head of `face_model.model`; others are not looked at.
      name: of the file or model, for the message.

    Raises:
      ValueError: one sentence that says which array is wrong, how, and what was expected.
    """
    missing = [key for key in REQUIRED if key not in arrays]
    _require(not missing, name, f"lacks {', '.join(missing)}; it has {', '.join(sorted(arrays))}")
    for pair in _PAIRS:
        present = [key for key in pair if key in arrays]
        _require(
            len(present) != 1,
            name,
            f"has {''.join(present)} alone; {' and '.join(pair)} go together",
        )
    validate_present_arrays(arrays, name)
    _check_mirror(arrays, name)
    _check_winding(arrays, name)


def validate_present_arrays(arrays: Mapping[str, np.ndarray], name: str) -> None:
    """Checks shapes, numbers and index ranges of those arrays that are there already.

    Args:
      arrays: ``mean`` at least.
      name: of the file or model, for the message.

    Raises:
      ValueError: as `validate_arrays`.
    """
    _check_shapes(arrays, name)
    _check_numbers(arrays, name)
    _check_indices(arrays, name)


def _require(condition: bool, name: str, message: str) -> None:
    if not condition:
        raise ValueError(f"face model '{name}': {message}")


def _check_shapes(arrays: Mapping[str, np.ndarray], name: str) -> None:
    mean = arrays["mean"]
    _require(
        mean.ndim == 2 and mean.shape[0] == 3 and mean.shape[1] > 0,
        name,
        f"mean is {mean.shape}, expected (3, n)",
    )
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
        "units_per_millimetre": (),
    }
    for key, shape in expected.items():
        if key not in arrays:
            continue
        came = np.shape(arrays[key])
        fits = len(came) == len(shape) and all(
            want is None or want == got for want, got in zip(shape, came, strict=True)
        )
        wanted = tuple("*" if size is None else size for size in shape)
        _require(fits, name, f"{key} is {came}, expected {wanted} for {n} vertices")
    if "triangles" in arrays:
        _require(len(arrays["triangles"]) > 0, name, "it has no triangles")


def _check_numbers(arrays: Mapping[str, np.ndarray], name: str) -> None:
    numbers = [
        key
        for key in (*REQUIRED, *sum(_PAIRS, ()), "units_per_millimetre")
        if key in arrays and key not in _INDICES
    ]
    for key in numbers:
        array = np.asarray(arrays[key])
        _require(array.dtype.kind in "iuf", name, f"{key} is {array.dtype}, expected numbers")
        bad = int((~np.isfinite(array)).sum())
        _require(bad == 0, name, f"{key} holds {bad} values that are not finite")
        largest = float(np.abs(array.astype(np.float64)).max(initial=0.0))
        _require(
            largest <= LARGEST_NUMBER,
            name,
            f"{key} reaches {largest:.3g}, expected at most {LARGEST_NUMBER:.0e}: what is larger "
            "overflows float32 when faces are computed",
        )
    for key in ("shape_basis", "expression_basis"):
        if key in arrays:
            moved = np.atleast_1d(np.asarray(arrays[key]).astype(np.float32).any(axis=(1, 2)))
            _require(
                bool(moved.all()),
                name,
                f"{int((~moved).sum())} of the {len(moved)} directions of {key} are zero, first "
                f"{int(np.argmin(moved))}; expected each to move the face",
            )
    extents = np.ptp(np.asarray(arrays["mean"]).astype(np.float64), axis=1)
    for axis, extent in zip("xyz", extents, strict=True):
        _require(
            extent > SMALLEST_EXTENT,
            name,
            f"the mean spans {extent:.3g} in {axis}; expected the vertices of a face",
        )
    for key in ("coefficient_std", "units_per_millimetre"):
        if key in arrays:
            positive = bool((np.asarray(arrays[key]).astype(np.float32) > 0).all())
            _require(positive, name, f"{key} must be positive")


def _check_indices(arrays: Mapping[str, np.ndarray], name: str) -> None:
    n = arrays["mean"].shape[1]
    for key in _INDICES:
        if key not in arrays:
            continue
        index = arrays[key]
        _require(
            np.issubdtype(index.dtype, np.integer), name, f"{key} is {index.dtype}, expected int"
        )
        low, high = int(index.min()), int(index.max())
        _require(
            low >= 0 and high < n, name, f"{key} spans {low}..{high}, expected within 0..{n - 1}"
        )
    if "triangles" in arrays:
        triangles = arrays["triangles"]
        repeated = (triangles == np.roll(triangles, 1, axis=1)).any(axis=1).sum()
        _require(repeated == 0, name, f"{repeated} triangles repeat a vertex")
    if "landmark_vertices" in arrays:
        distinct = len(np.unique(arrays["landmark_vertices"]))
        _require(
            distinct >= FEWEST_DISTINCT_LANDMARKS,
            name,
            f"its {NUM_LANDMARKS} landmark_vertices are {distinct} different vertices, expected at "
            f"least {FEWEST_DISTINCT_LANDMARKS}: they are no face's",
        )


def _check_mirror(arrays: Mapping[str, np.ndarray], name: str) -> None:
    mirror = arrays["mirror_vertices"]
    _require(
        np.array_equal(mirror[mirror], np.arange(len(mirror))),
        name,
        "mirror_vertices is not its own inverse; expected mirror[mirror] = identity",
    )


def _check_winding(arrays: Mapping[str, np.ndarray], name: str) -> None:
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

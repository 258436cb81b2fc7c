"""Who a face is: head targets and macro targets in narrow ranges, and their PCA."""

import jax.numpy as jnp
import numpy as np
import scipy.sparse

from tools.open_face.assets import Assets
from twodasl_jax.geometry.alignment import similarity_alignment

FOLDERS = ("eyes", "nose", "mouth", "chin", "cheek", "forehead", "eyebrows", "head")
LOCAL_STD = 0.28
"""Of each local target's weight: wider ones look caricatured."""

ASYMMETRY_STD = 0.18
"""Of the weights of targets that make left and right differ."""

RACES, GENDERS = ("african", "asian", "caucasian"), ("female", "male")
_OPPOSITES = {
    "incr": "decr",
    "up": "down",
    "in": "out",
    "forward": "backward",
    "concave": "convex",
    "compress": "uncompress",
    "r": "l",
}


def mean_head(assets: Assets, vertices: np.ndarray) -> np.ndarray:
    """Equal shares of races and genders, young, of average weight: ``(v, 3)`` millimetres."""
    shares = [assets.macro_target(f"{race}-{gender}-young") for race in RACES for gender in GENDERS]
    build = [
        assets.macro_target(f"universal-{gender}-young-averagemuscle-averageweight")
        for gender in GENDERS
    ]
    count = len(vertices)
    return (
        vertices + assets.offsets(shares, count).mean(axis=0) + assets.offsets(build, count).mean(0)
    )


def sample_identities(
    assets: Assets, mean: np.ndarray, weights: scipy.sparse.csr_matrix, *, count: int, seed: int
) -> np.ndarray:
    """Displacements of random people from the mean, without rigid motion or size.

    Args:
      assets: the open wheel.
      mean: ``(v, 3)`` the mean head.
      weights: ``(n, v)`` from base vertices to the face's (`Region.weights`).
      count: number of people.
      seed: of the random numbers.

    Returns:
      ``(count, n, 3)`` float32 millimetres.
    """
    generator = np.random.default_rng(seed)
    num_points, num_vertices = weights.get_shape()
    offsets = np.zeros((count, num_points, 3), np.float32)
    _add_local(offsets, assets, generator, num_vertices, weights)
    _add_macro(offsets, assets, generator, num_vertices, weights)
    points = (weights @ mean).astype(np.float32)
    # Size and pose belong to the camera; left in, they would fill the first components.
    moved = points + offsets
    target = np.broadcast_to(points, moved.shape)
    scale, rotation, translation = similarity_alignment(jnp.asarray(moved), jnp.asarray(target))
    aligned = np.asarray(scale)[:, None, None] * (moved @ np.asarray(rotation).swapaxes(1, 2))
    return aligned + np.asarray(translation)[:, None] - points


def principal_components(
    offsets: np.ndarray, *, count: int, weights: np.ndarray, centred: bool
) -> tuple[np.ndarray, np.ndarray]:
    """PCA by the samples' Gram matrix.

    Args:
      offsets: ``(m, n, 3)``.
      count: components to keep.
      weights: ``(n,)`` say of each vertex in what counts as variance.
      centred: about the samples' mean, else about zero.

    Returns:
      Mean ``(n, 3)`` (zero where not centred) and components ``(count, n, 3)``, scaled so that
      coefficients have unit variance.
    """
    mean = offsets.mean(axis=0) if centred else np.zeros_like(offsets[0])
    rows = (offsets - mean).reshape(len(offsets), -1).astype(np.float64)
    weighted = rows * np.repeat(np.sqrt(weights), 3)
    values, vectors = np.linalg.eigh(weighted @ weighted.T / len(rows))
    order = np.argsort(values)[::-1][:count]
    # A component is the regression of the samples on its unit-variance scores.
    scores = vectors[:, order] * np.sqrt(len(rows))
    components = scores.T @ rows / len(rows)
    # The sign of an eigenvector is an accident of the solver; this makes the file repeatable.
    signs = np.sign(components[np.arange(count), np.abs(components).argmax(axis=1)])
    return mean, (components * signs[:, None]).reshape(count, *offsets.shape[1:])


def _add_local(
    offsets: np.ndarray,
    assets: Assets,
    generator: np.random.Generator,
    num_vertices: int,
    weights: scipy.sparse.csr_matrix,
) -> None:
    count = len(offsets)
    shared: dict[str, np.ndarray] = {}
    for stem, (positive, negative) in _paired(assets).items():
        name = stem.rsplit("/", 1)[1]
        own = generator.normal(size=count)
        if name.startswith(("l-", "r-")):
            # Left and right are nearly the same person.
            common = shared.setdefault(name[2:], generator.normal(size=count))
            value = LOCAL_STD * (0.98 * common + 0.2 * own)
        elif "/asym/" in stem:
            value = ASYMMETRY_STD * own
        else:
            value = LOCAL_STD * own
        value = value.clip(-0.8, 0.8)
        for target, amount in ((positive, value.clip(0)), (negative, (-value).clip(0))):
            if target is not None:
                moved = weights @ assets.offsets([target], num_vertices)[0]
                offsets += (amount[:, None, None] * moved).astype(np.float32)


def _paired(assets: Assets) -> dict[str, tuple[str | None, str | None]]:
    """Stem of a target -> its two directions; a target without an opposite has only one."""
    names = assets.target_names(*FOLDERS, "asym")
    stems = {name: name.removesuffix(".gz").removesuffix(".target") for name in names}
    by_stem = {stem: name for name, stem in stems.items()}
    pairs: dict[str, tuple[str | None, str | None]] = {}
    for stem, name in by_stem.items():
        if "age" in stem or "/asym-ear" in stem:
            continue
        base, _, ending = stem.rpartition("-")
        opposite = by_stem.get(f"{base}-{_OPPOSITES.get(ending, '')}")
        if opposite is not None:
            pairs[base] = (name, opposite)
        elif ending not in _OPPOSITES.values():
            pairs[stem] = (name, None)
    return pairs


def _add_macro(
    offsets: np.ndarray,
    assets: Assets,
    generator: np.random.Generator,
    num_vertices: int,
    weights: scipy.sparse.csr_matrix,
) -> None:
    count = len(offsets)
    races = generator.dirichlet(np.full(len(RACES), 1.2), size=count)
    male = generator.beta(0.8, 0.8, size=count)
    old = generator.uniform(0, 0.35, size=count)
    heavy = generator.normal(scale=0.3, size=count).clip(-0.7, 0.7)

    def add(name: str, amount: np.ndarray) -> None:
        moved = weights @ assets.offsets([assets.macro_target(name)], num_vertices)[0]
        offsets[:] += (amount[:, None, None] * moved).astype(np.float32)

    for gender, share in (("female", 1 - male), ("male", male)):
        for index, race in enumerate(RACES):
            # Minus the equal share that the mean head has already.
            add(f"{race}-{gender}-young", races[:, index] * share * (1 - old) - 1 / 6)
            add(f"{race}-{gender}-old", races[:, index] * share * old)
        average = f"universal-{gender}-young-averagemuscle"
        extreme = np.abs(heavy)
        add(f"{average}-averageweight", share * (1 - extreme) - 1 / 2)
        add(f"{average}-maxweight", share * heavy.clip(0))
        add(f"{average}-minweight", share * (-heavy).clip(0))

"""What a face does: the facial action units, sampled sparsely."""

import numpy as np
import scipy.sparse

from tools.open_face.assets import Assets

LEFT_OUT = ("tongueOut", "mouthClose", "eyeLook")
"""Tongue and gaze are not in the mesh; ``mouthClose`` only undoes ``jawOpen``."""

OFTEN = {"jawOpen": 0.35, "mouthSmile": 0.35, "eyeBlink": 0.2}
"""Share of faces that show a unit; others `RARELY`."""

RARELY = 0.12


def sample_expressions(
    assets: Assets, weights: scipy.sparse.csr_matrix, *, count: int, seed: int
) -> np.ndarray:
    """Displacements of random expressions from the neutral face.

    Left and right halves of a unit act together in four of five faces.

    Args:
      assets: the open wheel.
      weights: ``(n, v)`` from base vertices to the face's (`Region.weights`).
      count: number of expressions.
      seed: of the random numbers.

    Returns:
      ``(count, n, 3)`` float32 millimetres.
    """
    generator = np.random.default_rng(seed)
    num_points, num_vertices = weights.get_shape()
    offsets = np.zeros((count, num_points, 3), np.float32)
    names = [n for n in assets.face_unit_names() if not _unit(n).startswith(LEFT_OUT)]
    together = generator.random(count) < 0.8
    shared: dict[str, np.ndarray] = {}
    for name in names:
        both = _unit(name).removesuffix("Left").removesuffix("Right")
        share = OFTEN.get(both, RARELY)
        own = _strength(generator, count, share)
        common = shared.setdefault(both, _strength(generator, count, share))
        # "mouthLeft" and "mouthRight" exclude each other: they are no two halves.
        has_halves = both not in ("mouth", "jaw")
        amount = np.where(together & has_halves, common, own)
        moved = weights @ assets.offsets([name], num_vertices)[0]
        offsets += (amount[:, None, None] * moved).astype(np.float32)
    return offsets


def _strength(generator: np.random.Generator, count: int, share: float) -> np.ndarray:
    return generator.uniform(0, 1, size=count) * (generator.random(count) < share)


def _unit(name: str) -> str:
    return name.rsplit("/", 1)[1].removesuffix(".target")

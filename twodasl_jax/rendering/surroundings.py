"""What surrounds a turned head in its picture: a membrane over the whole crop.

Where the membrane lies on the head it moves with it, at the crop's border it is held, and between
them its displacement is harmonic. So no part of the new picture comes from outside the old one.
Where it folds, its turned-over parts look away from the viewer and are to be left out: being
continuous with its border fixed, it covers every pixel with an upright part too.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from twodasl_jax.rendering.rasterizer import interpolate, rasterize

GRID = 61
"""Vertices along a side of the membrane: one in two pixels of a crop of 120."""

SOLVER_STEPS = 150
"""Of conjugate gradients, in place of a test of convergence: as many for every face."""


class Surroundings(NamedTuple):
    """The grid over the crop.

    Attributes:
      before: ``(2, g)`` its vertices, raster frame.
      after: ``(3, g)`` where they go.
      depth: ``(GRID, GRID)`` of the head before, ``-inf`` beside it.
      overflow: of the rasteriser.
    """

    before: Array
    after: Array
    depth: Array
    overflow: Array


def move_surroundings(
    before: Float[Array, "3 n"],
    after: Float[Array, "3 n"],
    triangles: Int[Array, "t 3"],
    *,
    size: int,
    capacity: int,
) -> Surroundings:
    """The surroundings of a head before and after it moves.

    Args:
      before: the head's vertices, raster frame.
      after: the same, moved.
      triangles: of the head.
      size: of the crop, pixels.
      capacity: of the rasteriser, for ``GRID²`` pixels.
    """
    # The grid reaches the outer edges of the outermost pixels.
    along = jnp.linspace(-0.5, size - 0.5, GRID)
    grid = jnp.stack(jnp.meshgrid(along, along))
    # The head is rasterised at the grid's vertices: there is one at every whole number then.
    step = size / (GRID - 1)
    scaled = jnp.concatenate([(before[:2] + 0.5) / step, before[2:]])
    raster = rasterize(scaled, triangles, height=GRID, width=GRID, capacity=capacity)
    on_head = raster.triangle_ids >= 0
    moved = interpolate(
        jnp.concatenate([after[:2] - before[:2], after[2:]]), raster, scaled, triangles
    )
    border = jnp.zeros((GRID, GRID), bool).at[jnp.array([0, -1])].set(True)
    border = border | border.T
    depth = jnp.where(on_head, moved[2], jnp.inf).min()
    at_border = jnp.stack([jnp.zeros(()), jnp.zeros(()), depth])[:, None, None]
    solved = membrane(jnp.where(border[None], at_border, moved), on_head | border)
    target = jnp.concatenate([grid + solved[:2], solved[2:]])
    return Surroundings(grid.reshape(2, -1), target.reshape(3, -1), raster.depth, raster.overflow)


def grid_triangles() -> np.ndarray:
    """``(t, 3)`` two triangles for each cell of the surroundings' grid."""
    number = np.arange(GRID * GRID).reshape(GRID, GRID)
    one, two = number[:-1, :-1].ravel(), number[:-1, 1:].ravel()
    three, four = number[1:, :-1].ravel(), number[1:, 1:].ravel()
    return np.concatenate(
        [np.stack([one, three, two], axis=1), np.stack([two, three, four], axis=1)]
    ).astype(np.int32)


def membrane(values: Float[Array, "k g g"], held: Bool[Array, "g g"]) -> Float[Array, "k g g"]:
    """Harmonic values where none are held: each is the mean of its four neighbours.

    Args:
      values: ``k`` fields; those that are not held do not count.
      held: where they are kept; the border must be.
    """
    held = jnp.broadcast_to(held[None], values.shape)
    free = ~held

    def laplacian(field: Array) -> Array:
        padded = jnp.pad(field, ((0, 0), (1, 1), (1, 1)))
        around = (
            padded[:, 2:, 1:-1] + padded[:, :-2, 1:-1] + padded[:, 1:-1, 2:] + padded[:, 1:-1, :-2]
        )
        return 4 * field - around

    known = jnp.where(held, values, 0.0)
    wanted = jnp.where(free, -laplacian(known), 0.0)

    def operator(field: Array) -> Array:
        return jnp.where(free, laplacian(jnp.where(free, field, 0.0)), field)

    found, _ = jax.scipy.sparse.linalg.cg(operator, wanted, tol=0.0, maxiter=SOLVER_STEPS)
    return jnp.where(free, found, known)

"""Which triangles might be seen at which pixels: the first half of the rasteriser.

Each triangle covers a small box of pixels. A cumulative sum over the boxes turns the pairs
(triangle, pixel of its box) into one flat list of *candidates*. The list is never written out:
a chunk of it at a time is read off the marks that its triangles left (`candidates_of_chunk`),
so that the work follows the candidates there are and not the capacity set aside for them.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

OVERFLOW_LIMIT = 2**30
"""Overflow counts saturate here; beyond it the int32 sum of the boxes would wrap."""

CHUNK = 16_384
"""Candidates per turn of the rasteriser's loop: 4,096 to 57,344 measured alike."""

# Bounds float32's rounding of an edge function of coordinates up to 1 px, ten times over.
_ROUNDING = 1e-6


class PixelBoxes(NamedTuple):
    """Per triangle, the rows and columns whose pixel centres its bounding box holds.

    Attributes:
      left: first column; whole numbers, as floats, that gathers and arithmetic mix freely.
      top: first row.
      width: columns.
      height: rows; width·height is 0 where there is nothing to draw.
    """

    left: Float[Array, " t"]
    top: Float[Array, " t"]
    width: Float[Array, " t"]
    height: Float[Array, " t"]


class CandidateList(NamedTuple):
    """The flat list of (triangle, pixel of its box), not yet written out.

    Attributes:
      marks: the number of each non-empty triangle at the place of its first candidate, 0
        elsewhere; whole chunks.
      start: per triangle, the place of its first candidate.
      total: candidates in the list, at most its capacity.
      overflow: candidates beyond the capacity.
    """

    marks: Int[Array, " places"]
    start: Int[Array, " t"]
    total: Int[Array, ""]
    overflow: Int[Array, ""]


def edge_functions(x: Sequence[Array], y: Sequence[Array]) -> tuple[Array, Array, Array]:
    """Twice the signed areas of the three triangles between a point and a triangle's edges.

    Args:
      x: of the three corners, relative to the point, pixels.
      y: the same.

    Returns:
      Entry i belongs to the edge *opposite* corner i; they sum to twice the triangle's signed
      area. Not stacked: on CPUs interpolation through stacks of three took twice the time.
    """
    # Opposite corner 1 runs the edge from 0 to 2, negated: always low corner to high corner,
    # so that an edge gives the same number, but for the sign, in both of its triangles.
    return (
        x[1] * y[2] - y[1] * x[2],
        -(x[0] * y[2] - y[0] * x[2]),
        x[0] * y[1] - y[0] * x[1],
    )


def pixel_boxes(
    corners: Float[Array, "t 3 3"], drawn: Bool[Array, " t"], *, height: int, width: int
) -> PixelBoxes:
    """Boxes of the triangles; off-screen and undrawn ones hold no pixel.

    Of a face model most boxes hold one pixel or none, and of the single pixels three in five are
    missed by their triangle: those are emptied here, before they become candidates.

    Args:
      corners: (triangle, corner, xyz), crop frame, pixels.
      drawn: False for those to leave out.
      height: rows of the picture.
      width: columns of the picture.
    """
    x, y = ([corners[:, corner, axis] for corner in range(3)] for axis in (0, 1))
    left_end, right_end = _smallest(x), _largest(x)
    top_end, bottom_end = _smallest(y), _largest(y)

    def span(lowest: Array, highest: Array, size: int) -> tuple[Array, Array]:
        # Clipped in floats: a float outside int32 casts to anything.
        first = jnp.clip(jnp.ceil(lowest), 0, size)
        last = jnp.clip(jnp.floor(highest), -1, size - 1)
        length = jnp.where(drawn, jnp.maximum(last - first + 1, 0), 0)
        return jnp.where(drawn, first, 0), length

    left, columns = span(left_end, right_end, width)
    top, rows = span(top_end, bottom_end, height)
    edges = edge_functions([corner - left for corner in x], [corner - top for corner in y])
    # Clearly outside only: whether a centre is on an edge, one place alone decides
    # (`rasterize`), for two might round differently and lose a pixel between two triangles.
    reach = jnp.maximum(
        jnp.maximum(right_end - left, left - left_end), jnp.maximum(bottom_end - top, top - top_end)
    )
    rounding = _ROUNDING * reach * reach
    missed = (_smallest(edges) < -rounding) & (_largest(edges) > rounding)
    return PixelBoxes(left, top, jnp.where((columns * rows == 1) & missed, 0, columns), rows)


def _smallest(three: Sequence[Array]) -> Array:
    return jnp.minimum(jnp.minimum(three[0], three[1]), three[2])


def _largest(three: Sequence[Array]) -> Array:
    return jnp.maximum(jnp.maximum(three[0], three[1]), three[2])


def list_candidates(boxes: PixelBoxes, *, capacity: int, chunk: int) -> CandidateList:
    """Gives every triangle its places in the list.

    Args:
      boxes: of all triangles.
      capacity: how many candidates the list may hold.
      chunk: how many of them are read at a time.
    """
    area = boxes.width * boxes.height
    sizes = area.astype(jnp.int32)
    end = _running(jnp.add, sizes, jnp.int32(0))
    start = end - sizes
    overflow = jnp.where(
        area.sum() >= OVERFLOW_LIMIT, OVERFLOW_LIMIT, jnp.maximum(end[-1] - capacity, 0)
    )
    places = -(-capacity // chunk) * chunk
    numbers = jnp.arange(sizes.shape[0], dtype=jnp.int32)
    # A triangle without candidates marks the place of the next that has some, and the higher
    # number stays: cheaper than leaving such triangles out.
    marks = jnp.zeros(places, jnp.int32).at[start].max(numbers, mode="drop")
    return CandidateList(marks, start, jnp.minimum(end[-1], capacity), overflow.astype(jnp.int32))


def candidates_of_chunk(
    boxes: PixelBoxes, candidates: CandidateList, first: Array, previous: Array, *, chunk: int
) -> tuple[Array, Array, Array, Array]:
    """``(triangle, row, column, is_real)`` of the candidates from place `first` on.

    Args:
      boxes: of all triangles.
      candidates: of the same.
      first: place of the chunk's first candidate, a multiple of `chunk`.
      previous: triangle of the last candidate before it, 0 at the beginning.
      chunk: how many, as the list was made for.
    """
    marks = jax.lax.dynamic_slice(candidates.marks, (first,), (chunk,))
    # A triangle's mark stands at its first candidate; a running maximum spreads it.
    triangle = _running(jnp.maximum, marks, previous)
    place = first + jnp.arange(chunk, dtype=jnp.int32)
    within = (place - candidates.start[triangle]).astype(boxes.left.dtype)
    columns = jnp.maximum(boxes.width[triangle], 1)
    # A float division vectorises where int32's does not; the half keeps its floor exact for
    # every count below MAX_PIXELS.
    row = jnp.floor((within + 0.5) / columns)
    column = within - row * columns
    return (
        triangle,
        boxes.top[triangle] + row,
        boxes.left[triangle] + column,
        place < candidates.total,
    )


def _running(
    combine: Callable[[Array, Array], Array], values: Int[Array, " p"], initial: Int[Array, ""]
) -> Array:
    """The running sum or maximum of `values`, begun at `initial`."""

    def step(total: Array, value: Array) -> tuple[Array, Array]:
        total = combine(total, value)
        return total, total

    # Log-depth scans suit accelerators; on CPUs the plain loop is faster.
    def loop(values: Array, initial: Array) -> Array:
        return jax.lax.scan(step, initial, values)[1]

    def scan(values: Array, initial: Array) -> Array:
        return combine(jax.lax.associative_scan(combine, values), initial)

    return jax.lax.platform_dependent(values, initial, cpu=loop, default=scan)

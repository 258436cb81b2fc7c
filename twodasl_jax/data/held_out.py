"""Faces held out of the training data, to validate with; chosen by a fixed rule.

Every k-th face of one source is held out: the choice depends on the data alone, so that a run
that goes on holds out the same ones. What is held out is taken from every other source too that
shows the same faces.
"""

import zlib
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from twodasl_jax.data.source_protocol import AnnotatedSource, Role, Source


class SubsetSource:
    """Some faces of a source; a source itself."""

    def __init__(self, source: Source, rows: np.ndarray) -> None:
        """Chooses faces.

        Args:
          source: see `twodasl_jax.data.source_protocol`.
          rows: ``(n,)`` indices of the faces.
        """
        self._source: Any = source
        self._rows = rows

    @property
    def role(self) -> Role:
        """That of the source."""
        return self._source.role

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> dict[str, np.ndarray]:
        return self._source[self._rows[int(index)]]

    def record_name(self, index: int) -> str:
        """The face's name in its source."""
        row = int(self._rows[int(index)])
        return self._source.record_name(row)

    def identities(self) -> list[str]:
        """As those of the source, of the chosen faces."""
        everyone = self._source.identities()
        return [everyone[row] for row in self._rows]

    @property
    def coefficients(self) -> np.ndarray:
        """``(n, 62)`` raw, of the chosen faces of an annotated source."""
        return self._source.coefficients[self._rows]


def rows_of_part(identities: Sequence[str], part: tuple[float, float]) -> np.ndarray:
    """The faces whose identity's checksum, as a share of the largest one, lies in a part of [0, 1).

    Parts that do not overlap share no face, whatever folder they are of; larger parts hold smaller
    ones.

    Args:
      identities: of all faces.
      part: from where (with it) to where (without it).

    Returns:
      ``(m,)`` ascending indices of faces.

    Raises:
      ValueError: for another part than ``0 <= from < to <= 1``, or one that holds no face.
    """
    first, last = part
    if not 0 <= first < last <= 1:
        raise ValueError(f"part is {tuple(part)}; expected two shares, 0 <= from < to <= 1")
    places = np.array([zlib.crc32(name.encode()) for name in identities]) / 2**32
    rows = np.flatnonzero((places >= first) & (places < last))
    if not len(rows):
        raise ValueError(f"part {tuple(part)} holds none of {len(identities)} faces")
    return rows


def hold_out(source: AnnotatedSource, *, every: int) -> SubsetSource:
    """Every k-th face of a source: those of indices k - 1, 2k - 1, ….

    Args:
      source: of annotated faces.
      every: k, at least 2.

    Raises:
      ValueError: where that leaves nothing to validate with, or nothing to train on.
    """
    require_enough_faces(len(source), every=every)
    return SubsetSource(source, np.arange(every - 1, len(source), every))


def require_enough_faces(count: int, *, every: int) -> None:
    """Refuses to hold every k-th of so many faces out, if none could be, or no other were left.

    Raises:
      ValueError: with both numbers.
    """
    if every < 2 or count < every:
        raise ValueError(
            f"every {every}th of {count} faces cannot be held out; expected at least 2, and at "
            "most as many as there are faces"
        )


def without_faces(sources: Sequence[Source], held_out: Collection[str]) -> list[Source]:
    """The sources without some faces.

    Args:
      sources: of either half.
      held_out: identities.

    Returns:
      As many sources; one that shows none of the faces is the same object.
    """
    left = []
    for source in sources:
        kept = ~np.isin(source.identities(), sorted(held_out))
        left.append(source if kept.all() else SubsetSource(source, np.flatnonzero(kept)))
    return left

"""Faces held out of the training data, to validate with; chosen by a fixed rule.

Every k-th face of one source is held out: the choice depends on the data alone, so that a run
that goes on holds out the same ones. What is held out is taken from every other source too that
shows the same faces.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np


class SubsetSource:
    """Some faces of a source; a source itself."""

    def __init__(self, source: Any, rows: np.ndarray) -> None:
        """Chooses faces.

        Args:
          source: see `twodasl_jax.data.sources`.
          rows: ``(n,)`` indices of the faces.
        """
        self._source, self._rows = source, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> dict[str, np.ndarray]:
        return self._source[self._rows[int(index)]]

    def record_name(self, index: int) -> str:
        """The face's name in its source, else its number there."""
        row = int(self._rows[int(index)])
        name = getattr(self._source, "record_name", None)
        return f"number {row}" if name is None else name(row)

    def identities(self) -> list[str]:
        """As those of the source, of the chosen faces."""
        everyone = self._source.identities()
        return [everyone[row] for row in self._rows]

    @property
    def coefficients(self) -> np.ndarray:
        """``(n, 62)`` raw, of the chosen faces of an annotated source."""
        return self._source.coefficients[self._rows]


def hold_out(source: Any, *, every: int) -> SubsetSource:
    """Every k-th face of a source: those of indices k - 1, 2k - 1, ….

    Args:
      source: can tell its faces' ``identities()``.
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


def without_faces(sources: Sequence[Any], held_out: Collection[str]) -> list[Any]:
    """The sources without some faces.

    Args:
      sources: those that cannot tell ``identities()`` (prepared data sets) are other faces by
        themselves and are left as they are.
      held_out: identities.

    Returns:
      As many sources; one that shows none of the faces is the same object.
    """
    left = []
    for source in sources:
        if not hasattr(source, "identities"):
            left.append(source)
            continue
        kept = ~np.isin(source.identities(), sorted(held_out))
        left.append(source if kept.all() else SubsetSource(source, np.flatnonzero(kept)))
    return left

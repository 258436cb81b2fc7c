"""What a source of training faces owes: random access, names, identities and its half."""

from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

Role = Literal["annotated", "in_the_wild"]
"""The two halves of the training data: faces with coefficients, and faces with 2D labels alone."""


@runtime_checkable
class Source(Protocol):
    """Faces, one at a time, as numpy.

    Every element has ``image`` ``(size, size, 3)`` uint8 RGB, ``landmarks18`` ``(18, 2)`` and
    ``landmark18_weights`` ``(18,)``, and

    - annotated: ``coefficients`` ``(62,)``; where they were fitted to 68 labels, these too, named
      as in the wild;
    - in the wild: ``landmarks`` ``(68, 2)`` and ``landmark_weights`` ``(68,)``.

    Positions are crop pixels, pixel c spanning c to c + 1 (see `augment`); a missing or
    self-occluded point is 0 with weight 0 everywhere. Reading a damaged record raises ValueError
    or OSError.
    """

    @property
    def role(self) -> Role:
        """The half that its elements have the fields of."""
        ...

    def __len__(self) -> int:
        """Number of faces."""
        ...

    def __getitem__(self, index: Any) -> dict[str, Any]:
        """One face."""
        ...

    def record_name(self, index: int) -> str:
        """The face's name in the data set, for messages."""
        ...

    def identities(self) -> list[str]:
        """One string per face, equal in all sources that show the same face."""
        ...


@runtime_checkable
class AnnotatedSource(Source, Protocol):
    """A source whose faces have coefficients."""

    @property
    def coefficients(self) -> np.ndarray:
        """``(m, 62)`` raw, of all faces or of enough for statistics."""
        ...

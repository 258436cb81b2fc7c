"""Keeps account of faces that lack a field which is not needed: told once a field, not per face."""

from collections.abc import Mapping

from twodasl_jax.data.folder_listing import printable

LACKING = "lacking"
"""Key of what the readers give: field of the owners' files -> what is wrong with it, in words. It
is no feature of a prepared data set."""


class IncompleteFaces:
    """Fields that some faces lack: how many, which was the first, and what was wrong there."""

    def __init__(self) -> None:
        """Starts an empty account."""
        self._counts: dict[str, int] = {}
        self._first: dict[str, tuple[str, str]] = {}

    def add(self, file_name: str, lacking: Mapping[str, str]) -> None:
        """Notes one face.

        Args:
          file_name: of the face.
          lacking: its `LACKING`.
        """
        for field, wrong in lacking.items():
            self._counts[field] = self._counts.get(field, 0) + 1
            self._first.setdefault(field, (printable(file_name), wrong))

    def lines(self) -> list[str]:
        """A line per field, in the order in which they were first missed."""
        told = []
        for field, count in self._counts.items():
            name, wrong = self._first[field]
            faces = "1 face has" if count == 1 else f"{count:,} faces have"
            told.append(
                f"{faces} no usable {field}, first {name}: {field} {wrong}. Nothing else of them "
                "is left out"
            )
        return told

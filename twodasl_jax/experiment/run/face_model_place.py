"""Finds a run's face model again: from another folder, on another machine, under another name.

A config has its path as it was typed, which leads somewhere else from another folder. A run
therefore notes where its face model lay and what it was; any file of the same arrays will do.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging

from twodasl_jax.evaluation.report import write_results
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.model import PACKAGED, FaceModel, face_model_path
from twodasl_jax.face_model.model_identity import (
    describe_identity,
    differing_arrays,
    face_model_identity,
    require_same_face_model,
)
from twodasl_jax.user_files.json_file import read_json, require_entries

PLACE_FILE = "face_model.json"
"""In a run's folder: ``{path, absolute, relative, identity}``; relative to that folder."""


def write_place(folder: Path, path: str, found: Path, identity: Mapping[str, Any]) -> None:
    """Notes where a run's face model lies and what it is.

    Args:
      folder: of the run.
      path: as its config has it.
      found: where it was read from.
      identity: from `face_model_identity`.
    """
    places: dict[str, str | None] = {"absolute": None, "relative": None}
    if path not in PACKAGED:  # else it comes with the package
        places["absolute"] = str(found.absolute())
        places["relative"] = os.path.relpath(found.absolute(), folder.absolute())
    write_results(folder / PLACE_FILE, {"path": path, **places, "identity": identity})


def read_place(folder: Path) -> Mapping[str, Any] | None:
    """What `write_place` noted; None for a run that was trained before it did.

    Raises:
      ValueError: where the file is damaged.
    """
    path = folder / PLACE_FILE
    if not path.exists():
        return None
    advice = "delete it, and give the run's face model with --face_model=FILE"
    place = read_json(path, expected=f"expected where a run's face model lies: {advice}")
    text = (str, type(None))
    wanted = {"path": str, "absolute": text, "relative": text, "identity": dict}
    require_entries(path, place, wanted, advice=advice)
    return {key: place[key] for key in wanted}


def find_face_model(
    folder: Path, path: str, *, identity: Mapping[str, Any] | None, given: str | None = None
) -> tuple[FaceModel, Path]:
    """The face model of a run, wherever it lies now.

    Args:
      folder: of the run.
      path: as the run's config has it.
      identity: of the face model that it was trained with; None where the run carries none.
      given: a path that counts instead of all others, from the command line.

    Returns:
      The model, and the file or folder that it was read from.

    Raises:
      FileNotFoundError: where it is nowhere, with the places that were looked at.
      ValueError: for other arrays than those that the run was trained with, naming both models.
    """
    if given is not None and not face_model_path(given).exists():
        raise FileNotFoundError(f"no face model at {given} (--face_model); check the path")
    places = [face_model_path(given)] if given is not None else _places(folder, path)
    there = [place for place in places if place.exists()]
    if identity is None:
        return _find_unchecked(folder, path, there, given)
    refusals: list[Exception] = []
    for place in there:
        try:
            face_model = face_model_from_file(place)
            require_same_face_model(
                identity,
                face_model_identity(face_model),
                owner=f"the run {folder} was trained",
                advice=f"{place} is another one: give the file that it was trained with, "
                "--face_model=FILE",
            )
        except (ValueError, OSError) as error:
            refusals.append(error)
            continue
        return face_model, place
    if refusals:
        raise refusals[0]
    raise FileNotFoundError(_absent(folder, path, places, describe_identity(identity)))


def face_model_of_network(
    identity: Mapping[str, Any], *, owner: str, given: str | None
) -> FaceModel:
    """The face model of a network file, which notes what it is and not where it lies.

    Args:
      identity: of the face model that the network was trained with.
      owner: what the network is called, for messages.
      given: path from the command line; None is whichever of the package's face models it is of.

    Raises:
      FileNotFoundError: where the path leads nowhere, or none was given and the network is of
        a face model that the package lacks.
      ValueError: for a file of other arrays, naming both models.
    """
    if given is not None and not face_model_path(given).exists():
        raise FileNotFoundError(f"no face model at {given} (--face_model); check the path")
    if given is None:
        for name in PACKAGED:
            face_model = face_model_from_file(name)
            if not differing_arrays(identity, face_model_identity(face_model)):
                return face_model
        raise FileNotFoundError(
            f"the network {owner} predicts coefficients of the face model "
            f"{describe_identity(identity)}, which does not come with the package: give its file, "
            "--face_model=FILE (docs/face_models.md)"
        )
    face_model = face_model_from_file(given)
    require_same_face_model(
        identity,
        face_model_identity(face_model),
        owner=f"the network {owner} was trained",
        advice=f"{given} is another one: give the file that it was trained with, --face_model=FILE",
    )
    return face_model


def _places(folder: Path, path: str) -> list[Path]:
    """Where to look, most likely first."""
    if path in PACKAGED:
        return [PACKAGED[path]]
    typed, folder = Path(path), folder.absolute()
    place = read_place(folder) or {}
    looked = [typed]
    if place.get("relative") and place.get("absolute"):
        looked += [folder / place["relative"], Path(place["absolute"])]
    if not typed.is_absolute():
        looked += [parent / typed for parent in (folder, *folder.parents)]
    looked.append(folder / typed.name)
    return list(dict.fromkeys(looked))


def _find_unchecked(
    folder: Path, path: str, there: Sequence[Path], given: str | None
) -> tuple[FaceModel, Path]:
    """Of a run that was trained before runs noted what their face model is."""
    noted = _places(folder, path)
    if not there:
        raise FileNotFoundError(_absent(folder, path, noted, "not noted which"))
    face_model, compared = face_model_from_file(there[0]), "it is taken as it is"
    own = next((place for place in noted if place.exists()), None)
    if given is not None and own is not None:
        compared = f"it is the same as {own}"
        require_same_face_model(
            face_model_identity(face_model_from_file(own)),
            face_model_identity(face_model),
            owner=f"the run {folder} was trained",
            advice="leave --face_model out, or give a file of the same arrays",
        )
    logging.warning(
        "%s carries no identity of its face model (it was trained before runs noted one); %s: %s",
        folder,
        there[0],
        compared,
    )
    return face_model, there[0]


def _absent(folder: Path, path: str, places: Sequence[Path], what: str) -> str:
    looked = ", ".join(str(place) for place in places[:3])
    more = f" and {len(places) - 3} more places" if len(places) > 3 else ""
    name = Path(path).name
    return (
        f"the face model {path} of the run {folder} ({what}) is not there (looked at {looked}"
        f"{more}); say where it is now, --face_model=FILE, or copy it to {folder / name}"
    )

"""Looks for everything that an experiment reads, before anything is made or trained."""

from collections.abc import Iterable
from pathlib import Path

from twodasl_jax.data.fitted_source import SETTINGS_FILE
from twodasl_jax.data.tfds_source import (
    DEFAULT_DATA_DIR,
    WITHOUT_DATA,
    absent_message,
    newest_version,
)
from twodasl_jax.experiment.settings.experiment_settings import FacesSettings
from twodasl_jax.face_model.model import face_model_path
from twodasl_jax.pretrained.names import network_file_named
from twodasl_jax.replaced_files import finish_replacing


def require_inputs(
    faces: Iterable[FacesSettings], *, face_model: str, init_from: str, resumed: bool
) -> None:
    """Stops a run whose data or face model are absent, naming all of them at once.

    Args:
      faces: training data and evaluation sets.
      face_model: as `face_model_path` reads it.
      init_from: the run that is started from, or ''.
      resumed: a run that goes on has its networks, and its face model is looked for.

    Raises:
      FileNotFoundError: one message: what is missing, how to get each, and the way without.
    """
    missing = _missing_data(faces, face_model)
    if not resumed:
        missing = _missing_face_model(face_model) + missing
    if not resumed and init_from and not _is_network(init_from):
        missing.append(f"init_from={init_from} holds no trained run; train it first")
    if missing:
        listed = "\n  - ".join(missing)
        raise FileNotFoundError(
            f"what this experiment needs is not there:\n  - {listed}\n{WITHOUT_DATA}"
        )


def _is_network(name: str) -> bool:
    return network_file_named(name) is not None or (Path(name) / "config.json").exists()


def _missing_face_model(path: str) -> list[str]:
    if face_model_path(path).exists():
        return []
    return [
        f"the face model {path}. Import yours: python -m twodasl_jax.face_model.import_bfm "
        f"--source=FILE_OR_FOLDER --output={path} (docs/face_models.md), or use the embedded one: "
        "--config.face_model.path="
    ]


def _missing_data(faces: Iterable[FacesSettings], face_model: str) -> list[str]:
    missing = []
    for source in faces:
        if source.kind == "tfds":
            root = Path(source.data_dir or DEFAULT_DATA_DIR).expanduser()
            if newest_version(root / source.name) is None:
                missing.append(absent_message(source.name, root))
        elif source.kind == "fits":
            finish_replacing(Path(source.path), marker=SETTINGS_FILE)
            if not (Path(source.path) / SETTINGS_FILE).exists():
                missing.append(
                    f"fitted faces in {source.path}. Make them: python run.py --mode=annotate "
                    f"--images={source.images} --face_model={face_model} --output={source.path}"
                )
        elif source.kind != "rendered" and not (Path(source.path) / "annotations.npz").exists():
            missing.append(
                f"{source.kind} data in {source.path}: a folder with annotations.npz and images "
                "(docs/extending.md)"
            )
    return list(dict.fromkeys(missing))

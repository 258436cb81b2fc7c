"""Looks for everything that an experiment reads, before anything is made or trained."""

from pathlib import Path
from typing import Any

from twodasl_jax.data.fitted_source import SETTINGS_FILE
from twodasl_jax.data.tfds_source import (
    DEFAULT_DATA_DIR,
    WITHOUT_DATA,
    absent_message,
    newest_version,
)
from twodasl_jax.pretrained.names import network_file_named
from twodasl_jax.replaced_files import finish_replacing


def require_inputs(config: Any, *, resumed: bool = False) -> None:
    """Stops a run whose data or face model are absent, naming all of them at once.

    Args:
      config: the experiment.
      resumed: a run that goes on has its networks, and its face model was found already.

    Raises:
      FileNotFoundError: one message: what is missing, how to get each, and the way without.
    """
    missing = _missing_data(config)
    if not resumed:
        missing = _missing_face_model(config) + missing
    if not resumed and config.init_from and not _is_network(config.init_from):
        missing.append(f"init_from={config.init_from} holds no trained run; train it first")
    if missing:
        listed = "\n  - ".join(missing)
        raise FileNotFoundError(
            f"what this experiment needs is not there:\n  - {listed}\n{WITHOUT_DATA}"
        )


def _is_network(name: str) -> bool:
    return network_file_named(name) is not None or (Path(name) / "config.json").exists()


def _missing_face_model(config: Any) -> list[str]:
    path = config.face_model.path
    if not path or Path(path).exists():
        return []
    return [
        f"the face model {path}. Import yours: python -m twodasl_jax.face_model.import_bfm "
        f"--source=FILE_OR_FOLDER --output={path} (docs/face_models.md), or use the embedded one: "
        "--config.face_model.path="
    ]


def _missing_data(config: Any) -> list[str]:
    missing = []
    for source in (*config.data.annotated, *config.data.in_the_wild, *config.evaluation.sets):
        if source.kind == "fits":
            finish_replacing(Path(source.path), marker=SETTINGS_FILE)
        if source.kind == "tfds":
            root = Path(source.data_dir or DEFAULT_DATA_DIR).expanduser()
            if newest_version(root / source.name) is None:
                missing.append(absent_message(source.name, root))
        elif source.kind == "fits" and not (Path(source.path) / SETTINGS_FILE).exists():
            missing.append(
                f"fitted faces in {source.path}. Make them: python run.py --mode=annotate "
                f"--images={source.images} --face_model={config.face_model.path} "
                f"--output={source.path}"
            )
        elif source.kind in ("crops", "aflw2000") and not _is_crops_folder(source.path):
            missing.append(
                f"{source.kind} data in {source.path}: a folder with annotations.npz and images "
                "(docs/extending.md)"
            )
    return list(dict.fromkeys(missing))


def _is_crops_folder(path: str) -> bool:
    return (Path(path) / "annotations.npz").exists()

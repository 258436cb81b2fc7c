"""The settings that a run's ``config.json`` must have to be read back as a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twodasl_jax.user_files.json_file import require_entries

RESTORE = "restore it from a copy, or train again in another folder"

_SETTINGS: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "face_model": {"path": str},
    "models": {
        "backbone": str,
        "batch_norm": str,
        "convolution": str,
        "encoder_width_divisor": int,
        "landmark_map": bool,
    },
    "losses": {"landmark_importance": bool, "num_vertices": int},
    "data": {"annotated": list, "in_the_wild": list},
    "training": {},
    "evaluation": {"sets": list, "num_passes": int, "batch_size": int},
}
_STAGE: Mapping[str, type | tuple[type, ...]] = {
    "num_steps": int,
    "loss_weights": dict,
    "ramp_steps": dict,
    "optimizers": dict,
}


def require_run_settings(path: Path, config: Mapping[str, Any]) -> None:
    """Refuses a config that lacks what reading a run back looks at.

    Args:
      path: of the ``config.json``, for the message.
      config: plain nested values.

    Raises:
      ValueError: naming the first setting that is missing, or of another type.
    """
    require_entries(path, config, dict.fromkeys(_SETTINGS, dict), advice=RESTORE)
    for group, settings in _SETTINGS.items():
        named = {f"{group}.{key}": value for key, value in config[group].items()}
        wanted = {f"{group}.{key}": types for key, types in settings.items()}
        require_entries(path, named, wanted, advice=RESTORE)
    require_stages(path, config)
    for stage in config["stages"]:
        name = f"stage {stage['name']}"
        named = {f"{name}, {key}": value for key, value in stage.items()}
        wanted = {f"{name}, {key}": types for key, types in _STAGE.items()}
        require_entries(path, named, wanted, advice=RESTORE)
        weights = {f"{name}, loss_weights.{k}": v for k, v in stage["loss_weights"].items()}
        require_entries(path, weights, dict.fromkeys(weights, (int, float)), advice=RESTORE)


def require_stages(path: Path, config: Mapping[str, Any]) -> None:
    """Refuses a config without a list of named stages, which tells where a run's files lie.

    Raises:
      ValueError: what is wrong with it.
    """
    require_entries(path, config, {"stages": list}, advice=RESTORE)
    named = [
        isinstance(each, Mapping) and isinstance(each.get("name"), str) for each in config["stages"]
    ]
    if not all(named) or not named:
        raise ValueError(f"{path}: stages is no list of named stages; {RESTORE}")

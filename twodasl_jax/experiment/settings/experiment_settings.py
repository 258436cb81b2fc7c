"""Every setting that an experiment can have, and the type of its value.

Settings are looked up by name. One that nobody looks up is missed by nobody: mistyped, it would
leave the default at work, and the run would not be the experiment that its config says.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

Types = Mapping[str, Any]
"""Setting -> type. One whose name ends in ``?`` may be absent: most of these are younger than runs
that go on."""

_EXPERIMENT: Types = {
    **{"seed": int, "init_from": str, "stages": list},
    **dict.fromkeys(("face_model", "models", "losses", "data", "training", "evaluation"), dict),
}
_GROUPS: Mapping[str, Types] = {
    "face_model": {"path": str},
    "models": {
        **{"backbone": str, "batch_norm": str, "convolution": str},
        **{"encoder_width_divisor": int, "landmark_map": bool},
    },
    "losses": {"landmark_importance": bool, "num_vertices": int},
    "data": {
        **{"annotated": list, "in_the_wild": list, "num_threads": int},
        **{"annotated_batch_size": int, "in_the_wild_batch_size": int},
        **{"augment": dict, "validation?": dict},
    },
    "data.validation": {"source": str, "every": int},
    "training": {
        **{"log_every": int, "checkpoint_every": int, "max_to_keep": (int, type(None))},
        **{"evaluate_every?": int, "best?": dict, "checkpoint?": str},
        **{"on_damaged_checkpoint?": str},
    },
    "training.best": {"metric": str, "mode": str},
    "evaluation": {"sets": list, "num_passes": int, "batch_size": int},
}
_STAGE: Types = {
    **{"name": str, "num_steps": int, "loss_weights": dict, "ramp_steps": dict},
    **{"loss_formula?": str, "optimizers": dict},
}
_SOURCE: Types = {"kind": str, "name?": str, "weight?": float, "flip?": bool}
_RENDERED: Types = {
    **{"kind": str, "name": str, "num_faces": int, "seed": int, "supersample": int},
    **{"weight?": float, "flip?": bool},
}
_SOURCES: Mapping[str, Types] = {
    "rendered": _RENDERED,
    "crops": {**_SOURCE, "path": str, "only_68": bool, "without?": str},
    "fits": {**_SOURCE, "path": str, "images": str},
    "tfds": {**_SOURCE, "name": str, "split": str, "data_dir": str},
}
_SETS: Mapping[str, Types] = {
    "rendered": _RENDERED,
    "aflw2000": {"kind": str, "name": str, "path": str, "landmark_map_source": str},
}

_SAID = {
    **{str: "a text", bool: "True or False", int: "a whole number", float: "a number"},
    **{dict: "a group of settings", list: "a list", (int, type(None)): "a whole number or None"},
}


def require_known_settings(config: Any) -> None:
    """Refuses an experiment that lacks settings, has unknown ones, or some of another type.

    What the numbers and names may be is not asked here.

    Args:
      config: the experiment.

    Raises:
      ValueError: naming the setting, with those that there are.
    """
    _require(config, "the config", _EXPERIMENT)
    for group, wanted in _GROUPS.items():
        above, _, key = group.rpartition(".")
        within = config[above] if above else config
        if key in within:  # else it may be absent
            _require(within[key], group, wanted)
    for index, stage in enumerate(config.stages):
        _require(stage, f"stages[{index}]", _STAGE)
        for network, options in stage.optimizers.items():
            _require_type(options, f"stages[{index}].optimizers.{network}", dict)
    for place, kinds, listed in (
        ("data.annotated", _SOURCES, config.data.annotated),
        ("data.in_the_wild", _SOURCES, config.data.in_the_wild),
        ("evaluation.sets", _SETS, config.evaluation.sets),
    ):
        for index, source in enumerate(listed):
            name = f"{place}[{index}]"
            _require_type(source, name, dict)
            _require_type(source.get("kind"), f"{name}.kind", str)
            if source.kind in kinds:  # else its own check lists the kinds
                _require(source, name, kinds[source.kind])


def _require(group: Any, name: str, wanted: Types) -> None:
    _require_type(group, name, dict)
    types = {key.rstrip("?"): kind for key, kind in wanted.items()}
    unknown = sorted(set(group) - set(types))
    if unknown:
        raise ValueError(f"{name} has no setting '{unknown[0]}'; choose of {', '.join(types)}")
    missing = [key for key in wanted if not key.endswith("?") and key not in group]
    if missing:
        raise ValueError(f"{name} lacks {', '.join(missing)}; it has {', '.join(group)}")
    for key, value in group.items():
        _require_type(value, f"{name}.{key}".removeprefix("the config."), types[key])


def _require_type(value: Any, name: str, wanted: Any) -> None:
    kinds = {dict: (Mapping, ConfigDict), list: (list, tuple), float: (int, float)}
    # In Python a truth value is a whole number as well.
    truth = isinstance(value, bool) and wanted is not bool
    if truth or not isinstance(value, kinds.get(wanted, wanted)):
        plain = value is None or isinstance(value, str | int | float)
        came = repr(value) if plain else f"a {type(value).__name__}"
        raise ValueError(f"{name} is {came}; expected {_SAID[wanted]}")

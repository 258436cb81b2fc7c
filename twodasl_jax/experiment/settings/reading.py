"""The one way from configs and JSON to settings, and the one way back.

A config is read by its names. A setting that nobody looks up is missed by nobody: mistyped, it
would leave the default at work, and the run would not be the experiment that its config says. So
what is unknown, missing or of another type is refused here, by the fields of the settings' classes;
what earlier versions lacked is merged from these fields' defaults. What numbers and names may be is
asked by `experiment_checks`.
"""

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, cast

from ml_collections import ConfigDict

from twodasl_jax.experiment.settings.experiment_settings import ExperimentSettings
from twodasl_jax.methods.registry import family_of

T = TypeVar("T")
Unknown = dict[str, Any]
"""Settings that this version does not know -> their values."""

_SAID = {str: "a text", bool: "True or False", int: "a whole number", float: "a number"}


def experiment_settings(value: Any, *, unknown: Unknown | None = None) -> ExperimentSettings:
    """Reads an experiment.

    Args:
      value: as configs/ have it, as a run's ``config.json`` of any age, or read already.
      unknown: where given, it collects the settings that are not known; else they are refused.

    Raises:
      ValueError: one sentence: the setting, with those that there are, or its value and what was
        expected.
    """
    value = _with_present_names(plain(value))
    own: Mapping[str, Any] = {}
    if isinstance(value, Mapping):
        method = value.get("method", ExperimentSettings.method)
        own = family_of(_read(str, method, "method", None)).settings
    return read_settings(ExperimentSettings, value, own=own, unknown=unknown)


def read_settings(
    kind: type[T],
    value: Any,
    *,
    own: Mapping[str, Any] | None = None,
    unknown: Unknown | None = None,
) -> T:
    """Reads nested values as a dataclass of settings.

    Args:
      kind: a dataclass; its fields say what there is.
      value: a config, or nested dicts and lists.
      own: field -> its type, in place of the one that the class has.
      unknown: as for `experiment_settings`.

    Raises:
      ValueError: as `experiment_settings`.
    """
    return _read_group(kind, plain(value), "", unknown, own or {})


def plain(value: Any) -> Any:
    """Settings or a config as nested dicts and lists, for JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping | ConfigDict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def _with_present_names(value: Any) -> Any:
    """A run of an earlier version goes on by the same command: settings may have got new names."""
    stages = value.get("stages") if isinstance(value, Mapping) else None
    for stage in stages if isinstance(stages, list) else ():
        # 'released' is another loss today: that one stays under its old name, and differs.
        if isinstance(stage, dict) and stage.get("landmark_formula") == "paper":
            stage.setdefault("loss_formula", stage.pop("landmark_formula"))
    return value


def _read(kind: Any, value: Any, name: str, unknown: Unknown | None) -> Any:
    if dataclasses.is_dataclass(kind):
        return _read_group(cast(Any, kind), value, name, unknown, {})
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return _one_of(value, name, inner)
    if origin is tuple:
        if not isinstance(value, list):
            raise _other_type(value, name, "a list")
        return tuple(_read(inner[0], v, f"{name}[{i}]", unknown) for i, v in enumerate(value))
    if origin is Mapping:
        _require_group(value, name)
        # In one order, whoever wrote them: what they lead to is added up in it.
        return {k: _read(inner[1], value[k], _within(name, k), unknown) for k in sorted(value)}
    if origin is types.UnionType and types.NoneType in inner:
        first = next(each for each in inner if each is not types.NoneType)
        return None if value is None else _read_value(first, value, name, said=" or None")
    if origin is types.UnionType:
        return _read_of_kind(inner, value, name, unknown)
    return _read_value(kind, value, name)


def _read_group(
    kind: type[T], value: Any, name: str, unknown: Unknown | None, own: Mapping[str, Any]
) -> T:
    _require_group(value, name or "the config")
    fields = {field.name: field for field in dataclasses.fields(cast(Any, kind))}
    for key in sorted(set(value) - set(fields), key=str):
        if unknown is None:
            raise ValueError(
                f"{name or 'the config'} has no setting '{key}'; choose of {', '.join(fields)}"
            )
        unknown[_within(name, key)] = value[key]
    missing = [key for key, field in fields.items() if key not in value and not _default(field)]
    if missing:
        there = ", ".join(value) or "none"
        raise ValueError(f"{name or 'the config'} lacks {', '.join(missing)}; it has {there}")
    wanted = {**_types(kind), **own}
    given = {
        key: _read(wanted[key], value[key], _within(name, key), unknown)
        for key in fields
        if key in value
    }
    try:
        return kind(**given)
    except ValueError as error:  # begins with the field, as all such classes have it
        raise ValueError(_within(name, str(error))) from error


def _read_of_kind(kinds: tuple[Any, ...], value: Any, name: str, unknown: Unknown | None) -> Any:
    _require_group(value, name)
    by_name = {typing.get_args(_types(each)["kind"])[0]: each for each in kinds}
    return _read(by_name[_one_of(value.get("kind"), f"{name}.kind", by_name)], value, name, unknown)


def _read_value(kind: Any, value: Any, name: str, *, said: str = "") -> Any:
    # In Python a truth value is a whole number as well.
    truth = isinstance(value, bool) and kind is not bool
    if truth or not isinstance(value, int | float if kind is float else kind):
        raise _other_type(value, name, _SAID[kind] + said)
    return float(value) if kind is float else value


def _one_of(value: Any, name: str, choices: Any) -> Any:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} is {_came(value)}; choose one of {', '.join(choices)}")
    return value


def _require_group(value: Any, name: str) -> None:
    if not isinstance(value, Mapping):
        raise _other_type(value, name, "a group of settings")


def _other_type(value: Any, name: str, expected: str) -> ValueError:
    return ValueError(f"{name} is {_came(value)}; expected {expected}")


def _came(value: Any) -> str:
    if value is None or isinstance(value, str | int | float):
        return repr(value)
    return "a group of settings" if isinstance(value, Mapping) else f"a {type(value).__name__}"


def _within(name: str, key: str) -> str:
    return f"{name}.{key}" if name else str(key)


def _default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


@functools.cache
def _types(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)

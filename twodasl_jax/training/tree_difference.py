"""Where two trees (networks, optimizer states, settings) differ, in words."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax

_LIMIT = 8
"""Lines that `first_lines` shows."""


def shapes_by_name(tree: Any) -> dict[str, str]:
    """Type and shape of every array: ``{"params/head/bias": "float32(62,)", ...}``."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): f"{leaf.dtype}{tuple(leaf.shape)}"
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def values_by_name(value: Any, name: str = "") -> dict[str, str]:
    """Every single value of nested dicts and lists: ``{"data.annotated[0].seed": "1", ...}``."""
    if isinstance(value, Mapping):
        inner = {f"{name}.{key}" if name else str(key): each for key, each in value.items()}
    elif isinstance(value, list):
        inner = {f"{name}[{index}]": each for index, each in enumerate(value)}
    else:
        return {name: repr(value)}
    return {
        key: told
        for path, each in inner.items()
        for key, told in values_by_name(each, path).items()
    }


def differences(saved: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """One line ``name: saved | wanted`` for every entry that is not the same in both."""
    return [
        f"{name}: {saved.get(name, 'absent')} | {wanted.get(name, 'absent')}"
        for name in sorted({*saved, *wanted})
        if saved.get(name) != wanted.get(name)
    ]


def first_lines(lines: Sequence[str]) -> str:
    """The first lines as one indented text, and how many more there are."""
    more = [f"... and {len(lines) - _LIMIT} more"] if len(lines) > _LIMIT else []
    return "\n  ".join([*lines[:_LIMIT], *more])

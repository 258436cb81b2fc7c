"""What a setting of a config must be, each check with one sentence: setting, value, expectation."""

import math
from collections.abc import Collection
from typing import Any


def require_one_of(name: str, value: Any, choices: Collection[Any]) -> None:
    """Refuses a value that is none of the choices, which it lists."""
    if value not in choices:
        listed = ", ".join(str(choice) for choice in choices)
        raise ValueError(f"{name} is {value!r}; choose one of {listed}")


def require_whole(name: str, value: Any, *, least: int, most: int | None = None) -> None:
    """Refuses what is no whole number of at least ``least`` and at most ``most``."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        limits = f"at least {least}" if most is None else f"{least} to {most:,}"
        raise ValueError(f"{name} is {value!r}; expected a whole number of {limits}")


def require_positive(name: str, value: Any, *, zero: bool = False) -> None:
    """Refuses what is no finite positive number; ``zero`` allows 0."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        expected = "a number of at least 0" if zero else "a positive number"
        raise ValueError(f"{name} is {value!r}; expected {expected}")


def require_file_name(name: str, value: Any) -> None:
    """Refuses a name that a folder cannot have, or that would lead out of its place."""
    if not isinstance(value, str) or not value.strip(". ") or set(value) & set("/\\\0"):
        raise ValueError(f"{name} is {value!r}; expected one that can name a folder")


def require_unique(name: str, names: list[str]) -> None:
    """Refuses a name that comes twice."""
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        raise ValueError(f"{name} has '{twice[0]}' twice; give each a name of its own")

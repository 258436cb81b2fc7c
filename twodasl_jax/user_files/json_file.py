"""JSON that somebody gives: strict, bounded, and of the expected top-level type."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twodasl_jax.user_files.opening import HEAD_BYTES, kind_of, read_bytes

LARGEST_JSON_BYTES = 2**26
"""The largest of this package's own, the description of a data set, has some 100 kB."""


def read_json(path: str | Path, *, expected: str) -> dict[str, Any]:
    """A JSON object, ``{…}``.

    Args:
      path: the file, UTF-8.
      expected: a clause, ``expected …``, that says what it should hold, for the message.

    Raises:
      FileNotFoundError, PermissionError, OSError: as `open_file`.
      ValueError: where it is no JSON object: also for NaN and infinity, which JSON does not have,
        for a key that comes twice, for nesting that is too deep.
    """
    content = read_bytes(path, expected=expected, at_most=LARGEST_JSON_BYTES)
    return json_object(path, content, expected=expected)


def json_object(path: str | Path, content: bytes, *, expected: str) -> dict[str, Any]:
    """A JSON object of bytes that were read already.

    Args:
      path: of the file that they come from, for the message.
      content: UTF-8.
      expected: as for `read_json`.

    Raises:
      ValueError: as `read_json`.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        came = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "no text in UTF-8"
        raise ValueError(f"{path} is {came}; {expected}, saved as UTF-8") from error
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply; {expected}") from error
    except json.JSONDecodeError as error:
        at_its_end = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        cut = "it is cut short, or no JSON" if at_its_end else "it is no JSON"
        raise ValueError(
            f"{path}, line {error.lineno}: {cut} ({_what(content, error)}); {expected}"
        ) from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {expected}") from error
    if not isinstance(value, dict):
        came = _TYPE_NAMES[type(value)]
        raise ValueError(f"{path} holds {came} instead of an object {{…}}; {expected}")
    return value


def require_entries(
    path: str | Path,
    value: Mapping[str, Any],
    wanted: Mapping[str, type | tuple[type, ...]],
    *,
    advice: str,
) -> None:
    """Refuses a JSON object that lacks entries, or has them of other types.

    Args:
      path: of the file, for the message.
      value: what it holds.
      wanted: key -> type or types, of those that `read_json` gives.
      advice: a clause that says what to do.

    Raises:
      ValueError: naming what is missing, or the first entry of another type.
    """
    missing = [key for key in wanted if key not in value]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; {advice}")
    for key, types in wanted.items():
        allowed = types if isinstance(types, tuple) else (types,)
        # In Python a truth value is a whole number as well.
        is_truth_value = isinstance(value[key], bool) and bool not in allowed
        if is_truth_value or not isinstance(value[key], allowed):
            came = _TYPE_NAMES.get(type(value[key]), "another thing")
            one = _TYPE_NAMES[float if float in allowed else allowed[0]]
            raise ValueError(f"{path}: {key} is {came}; expected {one}: {advice}")


_TYPE_NAMES: dict[type, str] = {
    dict: "an object", list: "a list", str: "a text", int: "a whole number", float: "a number",
    bool: "a truth value", type(None): "null",
}  # fmt: skip


def _what(content: bytes, error: json.JSONDecodeError) -> str:
    if error.pos == 0:
        return f"it is {kind_of(content[:HEAD_BYTES])}"
    return error.msg


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} comes more than once")
    return value


def _no_number(name: str) -> Any:
    raise ValueError(f"it holds {name}, which is no JSON number")

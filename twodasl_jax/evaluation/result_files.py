"""What scoring a benchmark leaves behind, read back: ``results.json`` and ``per_image.csv``."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twodasl_jax.user_files.json_file import read_json, require_entries
from twodasl_jax.user_files.table_file import read_rows

AGAIN = "score the system again: --mode=evaluate"


def read_benchmark_results(path: Path) -> dict[str, Any]:
    """A benchmark's ``results.json``, its entries of the right types.

    Raises:
      FileNotFoundError, OSError: where it cannot be read.
      ValueError: where it is no such result, or damaged.
    """
    results = read_json(path, expected=f"expected a benchmark's results.json: {AGAIN}")
    types: dict[str, type | tuple[type, ...]] = {
        "benchmark": str,
        "conventions": dict,
        "num_images": int,
        "left_out": list,
        "metrics": dict,
    }
    require_entries(path, results, types, advice=f"it is no score on a benchmark: {AGAIN}")
    for key, text in results["conventions"].items():
        if not isinstance(text, str):
            raise ValueError(f"{path}: conventions.{key} is {text!r}; expected a text: {AGAIN}")
    for face in results["left_out"]:
        name = face.get("file_name") if isinstance(face, Mapping) else face
        if not isinstance(name, str):
            raise ValueError(f"{path}: left_out holds {face!r}; expected named faces: {AGAIN}")
    for metric, labels in results["metrics"].items():
        _require_summaries(path, metric, labels)
    return results


def _require_summaries(path: Path, metric: str, labels: Any) -> None:
    """Label set -> number's name -> number or null, with the count of faces among them."""
    summaries = labels if isinstance(labels, Mapping) else {"": None}
    for label, numbers in summaries.items():
        name = f"metrics.{metric}.{label}"
        if not isinstance(numbers, Mapping) or not _is_number(numbers.get("count")):
            raise ValueError(f"{path}: {name} has no count of faces; {AGAIN}")
        for key, value in numbers.items():
            if value is not None and not _is_number(value):
                raise ValueError(f"{path}: {name}.{key} is {value!r}; expected a number: {AGAIN}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_per_image(path: Path) -> dict[str, list[str]]:
    """``per_image.csv``: column -> the text of every face.

    Raises:
      FileNotFoundError, OSError: where it cannot be read.
      ValueError: where it is no such table, or cut short.
    """
    rows = read_rows(path, expected=f"expected a row per face: {AGAIN}")
    if not rows or "file_name" not in rows[0] or any(len(row) != len(rows[0]) for row in rows):
        raise ValueError(f"{path} has no file_name column or is cut short; {AGAIN}")
    columns = {name: [row[index] for row in rows[1:]] for index, name in enumerate(rows[0])}
    for name, texts in columns.items():
        if name.endswith(("_percent", "_degrees")):
            wrong = next((text for text in texts if text and not _is_numeric(text)), None)
            if wrong is not None:
                raise ValueError(f"{path}: {name} holds {wrong!r}; expected numbers: {AGAIN}")
    return columns


def _is_numeric(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False

"""Several systems side by side: only numbers that were made by the same conventions.

Reads the ``results.json`` and ``per_image.csv`` that scoring a benchmark leaves behind.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from twodasl_jax.data.folder_listing import printable
from twodasl_jax.evaluation.result_files import read_benchmark_results, read_per_image

SYSTEM_CONVENTIONS = ("landmark_map_source",)
"""Conventions that are part of a system, not of the protocol: what it is fed beside the image."""

MISSING_FACES = "missing_faces"
"""Convention of a result that left faces out (``allow_missing``). It is compared by the faces'
names, the lists of images left out."""

LEFT_OUT = "the list of images left out"

ERROR_CURVE = "error_curve"
"""Convention of a picture alone: what its curve leaves out. No number hangs on it."""

BENCHMARK_BOXES = "landmarks"
"""The crop source of the 3DDFA family: boxes from the ground truth's landmarks."""

ROLL_SOURCE = "roll_source"
"""Convention of which a benchmark has one: results without it are of an earlier version."""

NOT_STATED = "not stated"

NUM_AFLW2000_3D = 2000

PUBLISHED = {
    "2DASL": (2.75, 3.44, 4.41, 3.53),
    "PRNet": (2.75, 3.51, 4.61, 3.62),
    "3DDFA_V2": (None, None, None, 3.51),
    "SynergyNet": (None, None, None, 3.41),
    "DSFNet": (None, None, None, 3.27),
}
"""AFLW2000-3D, 68 points in x and y, original labels, crops from the ground truth's landmarks:
the three yaw bins and their mean, as published. Nothing here was measured by this package, and no
source gives more than the mean of the last three."""


@dataclasses.dataclass(frozen=True)
class System:
    """What one system got.

    Attributes:
      name: of the folder that holds its results; of a training run also moment and set.
      benchmark: key of the benchmark.
      conventions: name -> what was chosen, in words.
      num_images: scored faces.
      left_out: names of faces that were not scored.
      metrics: metric -> label set (or other variant) -> numbers in % or degrees, None where
        undefined.
      per_image: ``per_image.csv`` beside the results: column -> text of every face.
    """

    name: str
    benchmark: str
    conventions: Mapping[str, str]
    num_images: int
    left_out: tuple[str, ...]
    metrics: Mapping[str, Mapping[str, Mapping[str, float | None]]]
    per_image: Mapping[str, Sequence[str]]


def read_systems(paths: Sequence[str | Path]) -> list[System]:
    """Reads results, each named after its folder; equal names get as many parents as it takes.

    One of a training run's sets is named RUN/MOMENT/SET.

    Raises:
      FileNotFoundError: where a file or the ``per_image.csv`` beside it is missing.
      ValueError: for none, the same file twice, or one that is not a benchmark's result.
    """
    files = [Path(path) for path in paths]
    if not files:
        raise ValueError("no results were given; expected --results=FOLDER/results.json, often")
    resolved = [file.resolve() for file in files]
    if len(set(resolved)) < len(resolved):
        raise ValueError(f"the same file was given twice, among {', '.join(map(str, files))}")
    return [_read_system(file, name) for file, name in zip(files, _names(resolved), strict=True)]


def _names(resolved: Sequence[Path]) -> list[str]:
    folders = [_folder_parts(Path(printable(path)).parent.parts) for path in resolved]
    for depth in range(1, max(len(parts) for parts in folders) + 1):
        names = ["/".join(parts[-depth:]) for parts in folders]
        if len(set(names)) == len(names):
            return names
    # Two results of other names in one folder.
    return [printable(path) for path in resolved]


def _folder_parts(parts: tuple[str, ...]) -> tuple[str, ...]:
    if parts[-3:-2] != ("evaluations",):
        return parts
    return (*parts[:-4], "/".join((*parts[-4:-3], *parts[-2:])))


def _read_system(path: Path, name: str) -> System:
    results = read_benchmark_results(path)
    return System(
        name=name,
        benchmark=results["benchmark"],
        conventions=results["conventions"],
        num_images=results["num_images"],
        left_out=tuple(sorted(_left_out_name(face) for face in results["left_out"])),
        metrics=results["metrics"],
        per_image=read_per_image(path.with_name("per_image.csv")),
    )


def _left_out_name(face: Any) -> str:
    return face["file_name"] if isinstance(face, Mapping) else str(face)


def require_same_conventions(systems: Sequence[System]) -> None:
    """Refuses numbers that must not stand in one column.

    Raises:
      ValueError: one sentence: what differs first, in which systems, and both values.
    """
    first = systems[0]
    for other in systems[1:]:
        for key, one, two in _settings(first, other):
            if one != two and not _both_benchmark_boxes(key, one, two):
                advice = "score both alike"
                if key == LEFT_OUT:
                    advice = "leave the same images out of both (docs/evaluation.md)"
                if NOT_STATED in one + two:
                    advice += "; a predictions file may state it (docs/evaluation.md)"
                raise ValueError(
                    f"{first.name} and {other.name} do not belong in one column: {key} is "
                    f"'{one}' in the first, '{two}' in the second; {advice}"
                )


def _both_benchmark_boxes(key: str, one: str, two: str) -> bool:
    # A predictions file may state them by their short name.
    return (
        key == "crop_source"
        and BENCHMARK_BOXES in (one, two)
        and (one.split(":")[0] == two.split(":")[0])
    )


def _settings(first: System, other: System) -> list[tuple[str, str, str]]:
    """What must agree, the coarsest first: name and both values."""
    keys = [*dict.fromkeys((*first.conventions, *other.conventions))]
    settings = [
        ("the benchmark", first.benchmark, other.benchmark),
        (LEFT_OUT, *_unshared(first.left_out, other.left_out)),
        ("the number of images", str(first.num_images), str(other.num_images)),
        (
            "the list of images scored",
            *_unshared(first.per_image["file_name"], other.per_image["file_name"]),
        ),
    ]
    settings += [
        (key, first.conventions.get(key, NOT_STATED), other.conventions.get(key, NOT_STATED))
        for key in keys
        if key not in (*SYSTEM_CONVENTIONS, MISSING_FACES, ERROR_CURVE, ROLL_SOURCE)
    ]
    for metric, labels in first.metrics.items():
        for label in set(labels) & set(other.metrics.get(metric, {})):
            one, two = (system.metrics[metric][label]["count"] for system in (first, other))
            settings.append((f"the number of faces with {metric} {label}", f"{one}", f"{two}"))
    return settings


def _unshared(first: Sequence[str], other: Sequence[str]) -> tuple[str, str]:
    """Equal texts where both name the same images, else those that only one names."""
    one, two = set(first), set(other)
    return _listed(sorted(one - two)), _listed(sorted(two - one))


def _listed(names: Sequence[str]) -> str:
    if len(names) <= 3:
        return ", ".join(names) or "empty"
    return f"{', '.join(names[:3])} and {len(names) - 3} more"


def shared_columns(systems: Sequence[System]) -> list[tuple[str, str]]:
    """Metrics and label sets that every system has, in the first one's order.

    Raises:
      ValueError: where there is none; with what each has.
    """
    offered = [
        {(metric, label) for metric, labels in system.metrics.items() for label in labels}
        for system in systems
    ]
    shared = set.intersection(*offered)
    if not shared:
        each = "; ".join(
            f"{system.name}: {', '.join(f'{metric} {label}' for metric, label in sorted(has))}"
            for system, has in zip(systems, offered, strict=True)
        )
        raise ValueError(f"no metric with the same label set is in all results: {each}")
    ordered = [
        (metric, label) for metric in systems[0].metrics for label in systems[0].metrics[metric]
    ]
    return [column for column in ordered if column in shared]


def unshared_columns(systems: Sequence[System]) -> dict[str, list[str]]:
    """System -> metrics and label sets that it has and some other has not."""
    shared = set(shared_columns(systems))
    return {
        system.name: [
            f"{metric} {label}"
            for metric, labels in system.metrics.items()
            for label in labels
            if (metric, label) not in shared
        ]
        for system in systems
    }


def errors_per_image(system: System, metric: str, label: str) -> np.ndarray:
    """``(n,)`` errors of one column, fractions; faces without that label are left out.

    Raises:
      ValueError: where ``per_image.csv`` has no such column.
    """
    names = (f"{metric}_{label}_percent", f"nme_{label}_percent")
    found = [name for name in names if name in system.per_image]
    if not found:
        raise ValueError(
            f"per_image.csv of {system.name} has no column {names[0]}; it has "
            f"{', '.join(system.per_image)}: score the system again"
        )
    return np.array([float(text) for text in system.per_image[found[0]] if text]) / 100


def why_no_published_rows(system: System, column: tuple[str, str]) -> str | None:
    """Why the numbers of papers do not belong beside a system's; None where they do.

    Args:
      system: one of those compared; they have the same conventions.
      column: metric and label set.
    """
    if system.benchmark != "aflw2000_3d" or column[0] != "landmarks68_2d":
        return "they are of 68 points in x and y on AFLW2000-3D"
    if column[1] != "original":
        return f"they are of the original labels, these are {column[1]}"
    if system.num_images != NUM_AFLW2000_3D or system.left_out:
        return f"they are of all {NUM_AFLW2000_3D:,} images, these of {system.num_images:,}"
    crop = system.conventions.get("crop_source", NOT_STATED)
    if crop.split(":")[0] != BENCHMARK_BOXES:
        return f"they are of crops from the ground truth's landmarks, these of '{crop}'"
    return None

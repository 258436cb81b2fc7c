"""Writes RESULTS.md from the results.json of finished runs: measured numbers only.

    python benchmarks/results_table.py --output=RESULTS.md \
        --run runs/quickstart/results.json "python run.py --config=configs/quickstart.py ..."

Each ``--run`` takes the file, the command that made it, and the commit where the file does not
record one. A file is a training run's own (its scores at every moment, its stages' seconds) or a
benchmark's (`--mode=evaluate`). What a file does not say is said to be not recorded; no number
comes from anywhere else.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from twodasl_jax.evaluation import report
from twodasl_jax.evaluation.report import NME_HEADINGS
from twodasl_jax.user_files.json_file import read_json

HEADER = """# Results

Written by `python benchmarks/results_table.py` from the `results.json` of the runs named here; do
not edit it by hand. Every number was measured by the command above it. NME in % of sqrt(w·h) of
the box that the conventions name; "mean of bins" is the mean of the three yaw bins, what papers
call the mean ([docs/evaluation.md](docs/evaluation.md)).
"""

NOT_RECORDED = "not recorded"

NME_COLUMNS = {name: NME_HEADINGS[name] for name in ("count", *report.NME_COLUMNS)}
POSE_COLUMNS = {
    "count": "faces",
    "yaw": "yaw, °",
    "pitch": "pitch, °",
    "roll": "roll, °",
    "mean": "mean, °",
}


class Scores(NamedTuple):
    """The numbers of one data set at one moment.

    Attributes:
      moment: ``before``, a stage's name, or '' for a benchmark's result.
      data: name of the data set.
      conventions: what the numbers mean.
      metrics: label -> numbers.
    """

    moment: str
    data: str
    conventions: Mapping[str, str]
    metrics: Mapping[str, Mapping[str, float | None]]


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--run",
        action="append",
        nargs="+",
        required=True,
        metavar=("FILE COMMAND", "COMMIT"),
        help="results.json, the command that made it, and its commit if the file has none",
    )
    parser.add_argument("--output", type=Path, default=Path("RESULTS.md"))
    given = parser.parse_args(arguments)
    for run in given.run:
        if len(run) not in (2, 3):
            parser.error(f"--run takes FILE COMMAND [COMMIT], got {len(run)} values: {run}")
    return given


def read_scores(results: Mapping[str, Any], path: Path) -> list[Scores]:
    """The numbers of a results.json of either shape."""
    if "evaluations" in results:
        return [
            Scores(moment, name, entry["conventions"], entry["metrics"])
            for moment, sets in results["evaluations"].items()
            for name, entry in sets.items()
        ]
    if "benchmark" in results:
        metrics = {
            f"{metric} {label}": numbers
            for metric, labels in results["metrics"].items()
            for label, numbers in labels.items()
        }
        images = f"{results['num_images']}, {len(results['left_out'])} left out"
        conventions = {"images": images, **results["conventions"]}
        return [Scores("", results["benchmark"], conventions, metrics)]
    raise ValueError(
        f"{path} has {', '.join(results)}; expected evaluations (a training run's results.json) or "
        "benchmark (that of --mode=evaluate)"
    )


def wall_time(results: Mapping[str, Any]) -> str:
    """The seconds that a file records, in words."""
    if results.get("stages"):
        return ", ".join(
            f"{name} {stage['seconds']:.0f} s of steps {stage['from_step']} to {stage['steps']}"
            for name, stage in results["stages"].items()
        )
    seconds = results.get("seconds", {})
    if isinstance(seconds, Mapping):
        seconds = seconds.get("all")
    return NOT_RECORDED if seconds is None else f"{seconds:.0f} s"


def commit_of(results: Mapping[str, Any], given: str | None, path: Path) -> str:
    """The commit that a file records, or the one given for a file that records none."""
    recorded = results.get("git_revision")
    if recorded and given and not recorded.startswith(given):
        raise ValueError(f"{path} was made at commit {recorded}, not {given}")
    return recorded or given or NOT_RECORDED


def section(path: Path, command: str, commit: str | None) -> str:
    """What one run measured, as Markdown."""
    results = read_json(path, expected="expected a results.json")
    every = read_scores(results, path)
    if not every:
        raise ValueError(f"{path} holds no scores; a row without a number is no result")
    lines = [
        f"## {path.resolve().parent.name}\n",
        f"- command: `{command}`",
        f"- commit: {commit_of(results, commit, path)}",
        f"- wall time: {wall_time(results)}",
    ]
    for name in dict.fromkeys(scores.data for scores in every):
        conventions = next(scores.conventions for scores in every if scores.data == name)
        lines.append(f"- data: {name}")
        lines += [f"  - {key}: {value}" for key, value in conventions.items()]
    return "\n".join([*lines, "", *_tables(every)])


def _tables(every: Sequence[Scores]) -> list[str]:
    tables = []
    for columns in (NME_COLUMNS, POSE_COLUMNS):
        rows = [
            [scores.moment or "-", scores.data, label, *_texts(numbers, columns)]
            for scores in every
            for label, numbers in scores.metrics.items()
            if label.startswith("head_pose") == (columns is POSE_COLUMNS)
        ]
        if rows:
            headings = ["after", "data", "labels", *columns.values()]
            rule = ["---"] * 3 + ["---:"] * len(columns)
            tables += ["| " + " | ".join(row) + " |" for row in (headings, rule, *rows)]
            tables.append("")
    return tables


def _texts(numbers: Mapping[str, float | None], columns: Mapping[str, str]) -> list[str]:
    texts = []
    for name in columns:
        value = numbers[name]
        if value is None or not math.isfinite(value):
            texts.append("-")
        else:
            texts.append(f"{value:.{0 if name == 'count' else 2}f}")
    return texts


def main(arguments: Sequence[str] | None = None) -> None:
    given = parse_arguments(arguments)
    sections = [section(Path(run[0]), run[1], (run[2:] or [None])[0]) for run in given.run]
    given.output.write_text("\n".join([HEADER, *sections]), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Turns a data set's original files into TFDS records of crops and labels."""

import contextlib
import csv
import importlib
import re
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from twodasl_jax.data.original import aflw2000_3d, aflw_lfpa, umdfaces, w300_lp
from twodasl_jax.data.original.reading import Face
from twodasl_jax.data.tfds_source import DEFAULT_DATA_DIR
from twodasl_jax.experiment.run.folder_lock import hold_folder

BUILDERS = "tfds_builders"

_LEFTOVER = re.compile(r"incomplete\.[A-Z0-9]{6}_\d+\.\d+\.\d+")
"""As TFDS names the folder of a build that is not complete: ``incomplete.AB12CD_1.0.0``."""

PUBLISHED_COUNTS = {
    "w300_lp": w300_lp.NUM_FACES,
    "umdfaces": sum(umdfaces.NUM_FACES.values()),
    "aflw2000_3d": aflw2000_3d.NUM_FACES,
    "aflw_lfpa": aflw_lfpa.NUM_FACES,
}
"""Faces of the whole data set, as its owners publish it."""


def prepare(*, dataset: str, manual_dir: str, data_dir: str | None = None) -> None:
    """Checks the original files, then builds; nothing is downloaded.

    The prepared folder appears when it is complete. What a killed build left behind is removed.

    Args:
      dataset: ``w300_lp``, ``umdfaces``, ``aflw2000_3d`` or ``aflw_lfpa``.
      manual_dir: folder of the original files, as the builder's README.md shows it.
      data_dir: where prepared data sets lie; None is ``~/tensorflow_datasets``.

    Raises:
      FileNotFoundError, ValueError: naming the first thing that is missing or wrong, or where
        more than 1 % of the faces cannot be read.
    """
    console = Console(markup=False, emoji=False)
    root = Path(data_dir or DEFAULT_DATA_DIR).expanduser()
    builder_class = load_builder_class(dataset)
    builder = builder_class(data_dir=root, file_format="array_record")
    folder = Path(builder.data_path)
    if (folder / "dataset_info.json").exists():
        console.print(f"{folder} is there already; remove it to prepare it again")
        return
    if folder.exists():
        raise ValueError(f"{folder} is there and holds no prepared data set; remove it first")
    splits = builder_class.find_faces(Path(manual_dir).expanduser())
    console.print(f"found in {manual_dir}:", layout_table(splits))
    published, found = PUBLISHED_COUNTS[dataset], sum(len(faces) for faces in splits.values())
    if found != published:
        console.print(f"{found:,} faces; the whole data set has {published:,}")
    start = time.perf_counter()
    # Two builds of one set would remove each other's unfinished files.
    with hold_folder(root / dataset, doing=f"prepares {dataset}"):
        remove_leftovers(root / dataset)
        with _progress(console) as progress:
            task = progress.add_task(f"preparing {dataset}", total=found)
            builder.faces = splits
            builder.on_face = lambda: progress.advance(task)
            _build(builder, Path(manual_dir).expanduser())
    _print_summary(builder, folder, time.perf_counter() - start, console)


def load_builder_class(dataset: str) -> Any:
    """The class ``Builder`` of a data set.

    Raises:
      ValueError: for a name that is none; lists those that are.
      FileNotFoundError: where the builders' folder is not there.
    """
    if dataset not in PUBLISHED_COUNTS:
        raise ValueError(
            f"no data set is called '{dataset}'; choose one of {', '.join(PUBLISHED_COUNTS)}"
        )
    try:
        module = importlib.import_module(f"{BUILDERS}.{dataset}.{dataset}_dataset_builder")
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != BUILDERS:
            raise
        raise FileNotFoundError(
            f"no folder {BUILDERS}/{dataset} beside run.py; it is part of the repository, not of "
            "the installed package: run run.py in a checkout"
        ) from error
    return module.Builder


def layout_table(splits: Mapping[str, Sequence[Face]]) -> Table:
    """What was found: faces per split and folder."""
    table = Table("split", "folder")
    table.add_column("faces", justify="right")
    for split, faces in splits.items():
        for group, count in Counter(face.group for face in faces).items():
            table.add_row(split, group, f"{count:,}")
    return table


def remove_leftovers(folder: Path) -> None:
    """Removes what killed builds left in a data set's folder; only folders named as TFDS does."""
    for path in folder.iterdir():
        if _LEFTOVER.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)


def _build(builder: Any, manual_dir: Path) -> None:
    import tensorflow_datasets as tfds  # two seconds, which other modes need not wait

    config = tfds.download.DownloadConfig(manual_dir=manual_dir)
    # TFDS prints that it downloads and how large nothing is.
    with contextlib.redirect_stdout(None):
        builder.download_and_prepare(download_config=config)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(show_speed=True),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _print_summary(builder: Any, folder: Path, seconds: float, console: Console) -> None:
    counts = {name: split.num_examples for name, split in builder.info.splits.items()}
    size = sum(path.stat().st_size for path in folder.iterdir())
    with (folder / "skipped.csv").open(newline="") as file:
        skipped = list(csv.DictReader(file))
    faces = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    console.print(
        f"{faces} faces, {len(skipped)} skipped, {size / 1e6:,.1f} MB, {seconds:,.1f} s, "
        f"{sum(counts.values()) / seconds:,.0f} faces/s: {folder}"
    )
    for line in builder.incomplete.lines():
        console.print(line, highlight=False)
    if skipped:
        console.print(f"skipped faces, with reasons: {folder / 'skipped.csv'}")

"""What a run leaves to look at: scores per image, curves, faces and the table."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from rich.console import Console

from twodasl_jax.crop_frame import image_to_crop
from twodasl_jax.evaluation.loss_curves import write_loss_curves
from twodasl_jax.evaluation.pictures import write_contact_sheet, write_error_curve
from twodasl_jax.evaluation.report import nme_table, write_per_image
from twodasl_jax.evaluation.sets import EvaluationSet
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.training.writers import read_metrics
from twodasl_jax.user_files.arrays import numbers_of, read_npz


@dataclasses.dataclass(frozen=True)
class Scores:
    """What one network got on one evaluation set.

    Attributes:
      metrics: label set -> NME summary, %.
      nme: label set -> ``(n,)`` per face, fractions; NaN where the face has no labels.
      landmarks: ``(n, 68, 2)`` predicted, image pixels.
    """

    metrics: Mapping[str, Mapping[str, float]]
    nme: Mapping[str, np.ndarray]
    landmarks: np.ndarray


def write_scores(workdir: Workdir, moment: str, chosen: EvaluationSet, scores: Scores) -> None:
    """Writes ``per_image.csv`` and the predicted landmarks of one evaluation."""
    folder = workdir.evaluation(moment, chosen.name)
    write_per_image(folder / "per_image.csv", chosen.names, chosen.yaw_degrees, scores.nme)
    np.savez_compressed(
        folder / "predictions.npz",
        landmarks=scores.landmarks,
        **{f"nme_{label}": values for label, values in scores.nme.items()},  # pyright: ignore[reportArgumentType]
    )


def write_pictures(workdir: Workdir, stages: Sequence[str], sets: Sequence[EvaluationSet]) -> None:
    """Loss curves of the stages; for each set and label set its error curves and its faces."""
    logged = {
        stage: read_metrics(workdir.logs(stage)) for stage in stages if workdir.logs(stage).is_dir()
    }
    if any(logged.values()):
        write_loss_curves(
            workdir.folder / "loss_curves.png", logged, title=f"training, {workdir.folder.name}"
        )
    moments = workdir.read_results()["evaluations"]
    for chosen in sets:
        saved = {}
        for moment in moments:
            if chosen.name in moments[moment]:
                saved[moment] = _read_scores(workdir, moment, chosen)
        for label, truth in chosen.labels.items():
            title = f"{chosen.name}, {label} labels"
            write_error_curve(
                workdir.folder / f"error_curve_{chosen.name}_{label}.png",
                {
                    moment: arrays[f"nme_{label}"][np.isfinite(arrays[f"nme_{label}"])]
                    for moment, arrays in saved.items()
                },
                title=title,
            )
            newest = list(saved)[-1]
            known = np.isfinite(saved[newest][f"nme_{label}"])
            write_contact_sheet(
                workdir.folder / f"faces_{chosen.name}_{label}.png",
                chosen.image[known],
                image_to_crop(saved[newest]["landmarks"][known], chosen.roi_box[known]),
                true=image_to_crop(truth[known], chosen.roi_box[known]),
                nme=saved[newest][f"nme_{label}"][known],
                title=f"{title}, {newest}",
            )


def _read_scores(workdir: Workdir, moment: str, chosen: EvaluationSet) -> dict[str, np.ndarray]:
    """What `write_scores` wrote of a set at a moment of the run."""
    path, count = workdir.evaluation(moment, chosen.name) / "predictions.npz", len(chosen.names)
    arrays = read_npz(path, expected="expected scores of this run: evaluate it again")
    numbers_of(path, arrays, "landmarks", (count, 68, 2))
    for label in chosen.labels:
        numbers_of(path, arrays, f"nme_{label}", (count,))
    return arrays


def print_table(workdir: Workdir, console: Console) -> None:
    """The scores of all moments of a run, and how long its stages took."""
    results = workdir.read_results()
    tables: dict[str, dict[tuple[str, ...], Mapping[str, float]]] = {}
    for moment, sets in results["evaluations"].items():
        for name, entry in sets.items():
            for label, metrics in entry["metrics"].items():
                tables.setdefault(f"{name}, {label} labels", {})[(moment,)] = metrics
    for title, rows in tables.items():
        console.print(nme_table(rows, title=title))
    for stage, entry in results["stages"].items():
        console.print(f"{stage}: {entry['steps']} steps, {entry['seconds']:.0f} s")
    console.print(f"everything is in {workdir.folder}")

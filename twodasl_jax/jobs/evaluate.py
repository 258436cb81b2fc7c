"""Scores networks on the evaluation sets of a config: 68 landmarks, NME in %."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from rich.console import Console

from twodasl_jax.crop_frame import CROP_SIZE, crop_to_image
from twodasl_jax.data.sources import RenderedSource
from twodasl_jax.evaluation.aflw2000 import load_aflw2000
from twodasl_jax.evaluation.sets import EvaluationSet
from twodasl_jax.face_model.landmarks import landmarks18_from_68, landmarks_from_coefficients
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.jobs import report
from twodasl_jax.jobs.assembly import Predict, make_predict
from twodasl_jax.jobs.benchmark import score_benchmark
from twodasl_jax.jobs.rendered_data import ensure_rendered
from twodasl_jax.jobs.trained import load_trained_run
from twodasl_jax.jobs.workdir import Workdir
from twodasl_jax.methods import twodasl
from twodasl_jax.metrics.nme import labelled_error, nme_summary


def make_rendered_set(
    config: Any, workdir: Path, face_model: FaceModel, console: Console
) -> EvaluationSet:
    """Held-out renders; every crop is its own image."""
    source = RenderedSource(ensure_rendered(workdir, config, face_model, console))
    count = len(source)
    return EvaluationSet(
        name=config.name,
        names=[f"{config.name}_{index:05d}" for index in range(count)],
        image=source.read_pictures(),
        detected_landmarks=np.full((count, 18, 2), np.nan, np.float32),
        roi_box=np.tile(np.array([0, 0, CROP_SIZE, CROP_SIZE], np.float32), (count, 1)),
        yaw_degrees=source.labels["yaw_degrees"],
        labels={"true": source.labels["landmarks"]},
        conventions={
            "images": f"{count} renders of other faces, seed {config.seed}",
            "crop_source": "ground-truth landmarks, jittered",
            "landmark_map_source": "none (empty map, two passes)",
            "yaw_source": "true",
        },
    )


def make_aflw2000_set(
    config: Any, workdir: Path, face_model: FaceModel, console: Console
) -> EvaluationSet:
    """AFLW2000-3D, or a sample of it, with both label sets."""
    del workdir, face_model, console
    benchmark = load_aflw2000(config.path)
    count = len(benchmark.image)
    detected = np.full((count, 18, 2), np.nan, np.float32)
    source = "none (empty map, two passes)"
    if config.landmark_map_source == "detector":
        if benchmark.detected_landmarks is None:
            raise ValueError(
                f"{config.path}/annotations.npz has no detected_landmarks_crop_px; "
                "set landmark_map_source='none'"
            )
        found = jnp.asarray(benchmark.detected_landmarks, jnp.float32)
        detected = np.asarray(landmarks18_from_68(found))
        source = "detector (annotations.npz: detected_landmarks_crop_px)"
    return EvaluationSet(
        name=config.name,
        names=benchmark.file_names,
        image=benchmark.image,
        detected_landmarks=detected,
        roi_box=benchmark.roi_box,
        yaw_degrees=benchmark.yaw_degrees,
        labels={
            name: points[..., :2]
            for name, points in benchmark.landmarks.items()
            if np.isfinite(points[..., :2]).all(axis=(1, 2)).any()
        },
        conventions={
            "images": f"{count} of AFLW2000-3D",
            "crop_source": "ground-truth landmarks, clipped to the image (benchmark boxes)",
            "landmark_map_source": source,
            "yaw_source": "Pose_Para",
        },
    )


EVALUATION_SETS: dict[str, Callable[..., EvaluationSet]] = {
    "rendered": make_rendered_set,
    "aflw2000": make_aflw2000_set,
}
"""``kind`` of an evaluation set -> how it is made."""


def make_evaluation_sets(
    config: Any, workdir: Path, face_model: FaceModel, console: Console
) -> tuple[EvaluationSet, ...]:
    """The evaluation sets of a config."""
    for chosen in config.evaluation.sets:
        if chosen.kind not in EVALUATION_SETS:
            raise ValueError(
                f"no evaluation set is of kind '{chosen.kind}'; choose one of "
                f"{', '.join(EVALUATION_SETS)}"
            )
    return tuple(
        EVALUATION_SETS[chosen.kind](chosen, workdir, face_model, console)
        for chosen in config.evaluation.sets
    )


def score_set(
    chosen: EvaluationSet, predict: Predict, constants: twodasl.Constants
) -> report.Scores:
    """Predicts one set and scores it against each of its label sets."""
    coefficients = predict(chosen.image, chosen.detected_landmarks)
    crop_landmarks = np.asarray(
        landmarks_from_coefficients(constants.landmarks, jnp.asarray(coefficients))
    )
    landmarks = crop_to_image(crop_landmarks[..., :2], chosen.roi_box)
    nme = {label: labelled_error(landmarks, truth) for label, truth in chosen.labels.items()}
    metrics = {
        label: nme_summary(values[np.isfinite(values)], chosen.yaw_degrees[np.isfinite(values)])
        for label, values in nme.items()
    }
    return report.Scores(metrics=metrics, nme=nme, landmarks=landmarks)


def evaluate_networks(
    workdir: Workdir,
    evaluation: Any,
    moment: str,
    networks: tuple[twodasl.TwoDASL, tuple[Any, Any], twodasl.Constants],
    sets: tuple[EvaluationSet, ...],
    console: Console,
) -> None:
    """Scores all sets at one moment of a run; writes results.json and per-image files.

    Args:
      workdir: of the run.
      evaluation: the config's group.
      moment: ``before``, or the name of the stage just trained.
      networks: method, its parameters and batch statistics, its constants.
      sets: what to score on.
      console: where progress is shown.
    """
    method, variables, constants = networks
    predict = make_predict(
        method,
        variables,
        constants,
        num_passes=evaluation.num_passes,
        batch_size=evaluation.batch_size,
    )
    entry = {}
    for chosen in sets:
        with console.status(f"scoring {chosen.name} ({moment})"):
            scores = score_set(chosen, predict, constants)
        report.write_scores(workdir, moment, chosen, scores)
        entry[chosen.name] = {"conventions": dict(chosen.conventions), "metrics": scores.metrics}
    workdir.add_result("evaluations", moment, entry)


def evaluate(
    config: Any,
    *,
    workdir: str,
    checkpoint: str | None = None,
    predictions: str | None = None,
    face_model: str | None = None,
) -> None:
    """Scores a benchmark where the config names one, else a trained run on its evaluation sets.

    Args:
      config: with a ``benchmark``: see `score_benchmark`. Else its ``evaluation`` group is used,
        or that of the run where None.
      workdir: of a benchmark, the folder to write; else a trained run.
      checkpoint: of a benchmark: a trained run.
      predictions: of a benchmark: a predictions file.
      face_model: of a benchmark: the one of the coefficients in `predictions`.
    """
    given = {"checkpoint": checkpoint, "predictions": predictions, "face_model": face_model}
    if config is not None and "benchmark" in config:
        score_benchmark(config, workdir=workdir, **given)
        return
    named = [flag for flag, value in given.items() if value is not None]
    if named:
        raise ValueError(
            f"--{named[0]} is for a benchmark: --config=configs/evaluation.py "
            "--config.benchmark=aflw2000_3d --config.data_dir=FOLDER"
        )
    console = Console(markup=False, emoji=False)
    run = Workdir(workdir)
    trained = load_trained_run(run)
    if config is not None:
        trained.config.evaluation = config.evaluation
    sets = make_evaluation_sets(trained.config, run.folder, trained.face_model, console)
    if not sets:
        raise ValueError("the config names no evaluation.sets; there is nothing to score")
    evaluate_networks(run, trained.config.evaluation, trained.stage, trained[3:6], sets, console)
    report.write_pictures(run, [stage.name for stage in trained.config.stages], sets)
    report.print_table(run, console)

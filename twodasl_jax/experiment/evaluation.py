"""The evaluation sets of a config, and networks scored on them: 68 landmarks, NME in %."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from rich.console import Console

from twodasl_jax.crop_frame import CROP_SIZE, crop_to_image
from twodasl_jax.data.sources import RenderedSource
from twodasl_jax.evaluation.aflw2000 import load_aflw2000
from twodasl_jax.evaluation.sets import EvaluationSet
from twodasl_jax.experiment import report
from twodasl_jax.experiment.assembly import Predict, make_predict
from twodasl_jax.experiment.rendered_data import ensure_rendered
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.settings.setting_checks import (
    require_file_name,
    require_one_of,
    require_unique,
    require_whole,
)
from twodasl_jax.face_model.landmarks import landmarks18_from_68, landmarks_from_coefficients
from twodasl_jax.face_model.model import FaceModel
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


def make_aflw2000_set(config: Any) -> EvaluationSet:
    """AFLW2000-3D, or a sample of it, with both label sets."""
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


def check_evaluation(config: Any) -> None:
    """Refuses evaluation settings that could not be scored with.

    Raises:
      ValueError: as `check_experiment`.
    """
    evaluation = config.evaluation
    require_whole("evaluation.batch_size", evaluation.batch_size, least=1)
    require_one_of("evaluation.num_passes", evaluation.num_passes, (1, 2))
    require_unique("evaluation.sets", [chosen.name for chosen in evaluation.sets])
    for chosen in evaluation.sets:
        require_file_name("the name of an evaluation set", chosen.name)


def open_given_sets(config: Any) -> dict[str, EvaluationSet]:
    """The evaluation sets of a config that must be there already, by name.

    Raises:
      FileNotFoundError, ValueError: for a set that is absent or damaged.
    """
    return {
        chosen.name: EVALUATION_SETS[chosen.kind](chosen)
        for chosen in config.evaluation.sets
        if chosen.kind != "rendered"
    }


def make_evaluation_sets(
    config: Any,
    workdir: Path,
    face_model: FaceModel,
    console: Console,
    given: Mapping[str, EvaluationSet],
) -> tuple[EvaluationSet, ...]:
    """All evaluation sets of a config; what it renders is rendered now.

    Args:
      config: the experiment.
      workdir: of the run; rendered faces lie there.
      face_model: to render with.
      console: where progress is shown.
      given: from `open_given_sets`.
    """
    return tuple(
        given[chosen.name]
        if chosen.name in given
        else make_rendered_set(chosen, workdir, face_model, console)
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
    step: int,
    networks: tuple[twodasl.TwoDASL, tuple[Any, Any], twodasl.Constants],
    sets: tuple[EvaluationSet, ...],
    console: Console,
) -> None:
    """Scores all sets at one moment of a run; writes results.json and per-image files.

    Args:
      workdir: of the run.
      evaluation: the config's group.
      moment: ``before``, or the name of the stage just trained.
      step: of that stage, that the networks are of.
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
        conventions = dict(chosen.conventions)
        entry[chosen.name] = {"step": step, "conventions": conventions, "metrics": scores.metrics}
    workdir.add_result("evaluations", moment, entry)

"""Sets of labelled crops that networks are scored on while they train, to choose by.

A set is a benchmark like any other, measured by the functions that score it at a run's moments.
Here only its numbers are wanted, every ``training.evaluate_every`` steps.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from twodasl_jax.evaluation.benchmark import Predictions
from twodasl_jax.evaluation.benchmark_metrics import FITS, MANUAL
from twodasl_jax.evaluation.coded_faces import landmarks_in_image
from twodasl_jax.evaluation.network_input import crops_of_size
from twodasl_jax.evaluation.report import NME_COLUMNS, ROLL_HEADINGS
from twodasl_jax.evaluation.sets import EvaluationSet
from twodasl_jax.experiment.scores.report import labels_of, score_set
from twodasl_jax.experiment.settings.experiment_settings import LabelledCropsSettings
from twodasl_jax.methods.method import Method, crop_points
from twodasl_jax.methods.predictor import Predictor
from twodasl_jax.training.state import Networks

NUMBERS = (*NME_COLUMNS, *ROLL_HEADINGS)
"""What is measured of each label set: NME by yaw and by roll, its means, the failures."""

FARTHEST_PX = 1e4
"""A landmark counts at most so far away. The outputs of networks that diverge overflow long before
their parameters do, and an evaluation must not end the run in the loop's place."""


def validation_sets(sets: Iterable[Any]) -> tuple[Any, ...]:
    """The settings of the sets that networks may be chosen by: labelled crops, no benchmark."""
    return tuple(chosen for chosen in sets if isinstance(chosen, LabelledCropsSettings))


def numbers_of_set(chosen: LabelledCropsSettings) -> list[str]:
    """The names of what `make_set_evaluator` measures on a set, where no bin is empty."""
    labels = (MANUAL, FITS) if chosen.fits else (MANUAL,)
    return [f"{chosen.name}/{label}/{number}" for label in labels for number in NUMBERS]


def make_set_evaluator(
    chosen: EvaluationSet, method: Method, constants: Any, *, batch_size: int
) -> Callable[[Networks], Iterable[tuple[str, float]]]:
    """The NME of 68 landmarks on a set, by all of its label sets, with an empty landmark map.

    Args:
      chosen: the set.
      method: that predicts.
      constants: from `MethodFamily.prediction_constants`, of the landmarks alone.
      batch_size: of the compiled prediction, compiled once for all calls; the last is padded.

    Returns:
      Networks -> ``SET/LABELS/NUMBER`` with `NUMBERS`; what is undefined (a bin without faces) is
      left out.
    """
    benchmark, size = chosen.benchmark, method.crop_size
    predictor = Predictor(
        method,
        constants,
        batch_sizes=(batch_size,),
        outputs=lambda predicted: crop_points(predicted, size),
    )
    crops = crops_of_size(benchmark.crops, benchmark.roi_box, benchmark.read_photo, crop_size=size)
    labels = labels_of(benchmark)

    def evaluate(networks: Networks) -> Iterable[tuple[str, float]]:
        found = predictor(networks, crops)
        found = np.clip(np.nan_to_num(found, nan=FARTHEST_PX), -FARTHEST_PX, FARTHEST_PX)
        points = landmarks_in_image(found, benchmark.roi_box, crop_size=size)
        _, results = score_set(benchmark, Predictions(points, None, {}))
        for label, metric in labels.items():
            numbers = results["metrics"][metric][label]
            for number in NUMBERS:
                if np.isfinite(numbers.get(number, np.nan)):
                    yield f"{chosen.name}/{label}/{number}", numbers[number]

    return evaluate

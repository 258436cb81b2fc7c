"""A trained run's predictions on a benchmark; its networks see no label."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console

from twodasl_jax.evaluation.benchmark import Benchmark, Predictions
from twodasl_jax.evaluation.network_input import (
    NetworkInput,
    cut_detected,
    detect_landmarks,
    map_landmarks,
    read_detections,
)
from twodasl_jax.evaluation.predictions_file import predictions_from_coefficients
from twodasl_jax.experiment.assembly import make_predict
from twodasl_jax.experiment.run.trained import TrainedRun
from twodasl_jax.metrics.nme import normalised_mean_error
from twodasl_jax.predict.faces.landmark_detectors import make_landmark_detector
from twodasl_jax.training.progress import ProgressDisplay

LABELS_AGREE = 1e-3
"""Detections this near to labels (median NME over faces, a fraction) are those labels: detectors
and annotators differ by twenty times as much."""

NO_FACE = "the detector found no face"


def predict_benchmark(
    config: Any, trained: TrainedRun, benchmark: Benchmark, console: Console
) -> tuple[Benchmark, Predictions, dict[str, float]]:
    """Cuts crops, draws no label, predicts.

    Args:
      config: sources of crop and landmark map, passes, batch size.
      trained: the run.
      benchmark: its labels are looked at only to refuse detections that are labels.
      console: where progress is shown.

    Returns:
      The benchmark without the faces that were not detected, the predictions, and counts:
      ``compile_seconds``, ``images_per_second`` (without compiling), ``empty_landmark_maps``.
    """
    detections = None
    if "detector" in (config.crop_source, config.landmark_map_source):
        if benchmark.read_photo is None:
            raise ValueError(
                f"this {benchmark.name} holds crops without photographs, where a detector has "
                "nothing to look at; give the original folder"
            )
        detect = make_landmark_detector(config.detector)
        detections = detect_landmarks(benchmark.read_photo, len(benchmark), detect, console)
    if detections is not None and config.crop_source == "detector":
        found = np.isfinite(detections).all(axis=(1, 2))
        benchmark = benchmark.without(np.flatnonzero(~found), f"{NO_FACE} ({config.detector})")
        detections = detections[found]
    given, map_source = _map_detections(config, benchmark, detections)
    inputs = _network_input(config, benchmark, detections, given, console)
    coefficients, seconds, rate = _timed_predict(config, trained, inputs, console)
    predictions = predictions_from_coefficients(
        trained.face_model,
        coefficients,
        inputs.roi_box,
        {"crop_source": _crop_source(config, benchmark), "landmark_map_source": map_source},
    )
    empty = np.isnan(inputs.detected_landmarks).all(axis=(1, 2)).sum()
    told = {
        "compile_seconds": seconds,
        "images_per_second": rate,
        "empty_landmark_maps": int(empty),
    }
    return benchmark, predictions, told


def _crop_source(config: Any, benchmark: Benchmark) -> str:
    if config.crop_source == "landmarks":
        return benchmark.conventions["crop_source"]
    return f"detector: the training crop's rule on {config.detector}'s 68 points, padded"


def _map_detections(
    config: Any, benchmark: Benchmark, detections: np.ndarray | None
) -> tuple[np.ndarray | None, str]:
    if config.landmark_map_source == "none":
        return None, f"none: an empty map, {config.num_passes} passes"
    if config.landmark_map_source == "detector":
        return detections, f"detector: {config.detector}; an empty map where it found no face"
    if config.landmarks_file:
        given = read_detections(config.landmarks_file, benchmark.file_names, benchmark.roi_box)
    else:
        given = benchmark.published_detections
    if given is None:
        raise ValueError(
            f"{benchmark.name} has no detected landmarks of its own here; give "
            "--config.landmarks_file=FILE.npz, or landmark_map_source none or detector"
        )
    refuse_labels(given, benchmark.truth)
    origin = "landmarks_file" if config.landmarks_file else "the benchmark's annotations"
    return given, f"file: detections of {origin}; an empty map where there are none"


def refuse_labels(detected_px: np.ndarray, truth: Mapping[str, np.ndarray]) -> None:
    """Stops ground truth that comes as detections: it would leak the answer into the input.

    Args:
      detected_px: ``(n, 68, 2)`` image pixels, NaN where unknown.
      truth: of the benchmark; label sets of 68 points are compared.

    Raises:
      ValueError: naming the label set.
    """
    for name, labels in truth.items():
        if labels.ndim != 3 or labels.shape[1] != 68:
            continue
        both = np.isfinite(labels).all(axis=(1, 2)) & np.isfinite(detected_px).all(axis=(1, 2))
        if not both.any():
            continue
        target = labels[both][..., :2]
        nme = np.median(normalised_mean_error(detected_px[both], target, target))
        if nme < LABELS_AGREE:
            raise ValueError(
                f"the given landmarks lie {100 * nme:.3f} % from the {name} labels: they are the "
                "ground truth, which must not reach the network; give a detector's"
            )


def _network_input(
    config: Any,
    benchmark: Benchmark,
    detections: np.ndarray | None,
    given: np.ndarray | None,
    console: Console,
) -> NetworkInput:
    crops, roi_box = benchmark.crops, benchmark.roi_box
    if config.crop_source == "detector":
        assert detections is not None
        assert benchmark.read_photo is not None
        crops, roi_box = cut_detected(benchmark.read_photo, detections, console)
    return NetworkInput(crops, map_landmarks(given, roi_box), roi_box)


def _timed_predict(
    config: Any, trained: TrainedRun, inputs: NetworkInput, console: Console
) -> tuple[np.ndarray, float, float]:
    """Coefficients, seconds of compiling, and images per second without it."""
    count = len(inputs.crops)
    with ProgressDisplay(console, "predicting", 0, count) as display:
        predict = make_predict(
            trained.method,
            trained.networks,
            trained.constants,
            num_passes=config.num_passes,
            batch_size=config.batch_size,
            on_batch=display.advance,
        )
        start = time.perf_counter()
        predict(inputs.crops[:1], inputs.detected_landmarks[:1])  # a padded batch: compiles
        compiled = time.perf_counter()
        coefficients = predict(inputs.crops, inputs.detected_landmarks)
    return coefficients, compiled - start, count / (time.perf_counter() - compiled)

"""A trained run's predictions on a benchmark; its networks see no label."""

import time
from collections.abc import Callable, Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from rich.console import Console

from twodasl_jax.evaluation.benchmark import Benchmark, Predictions
from twodasl_jax.evaluation.coded_faces import CodedFaces, landmarks_in_image
from twodasl_jax.evaluation.network_input import (
    InputSources,
    NetworkInput,
    crops_of_size,
    cut_detected,
    detect_landmarks,
    map_landmarks,
    read_detections,
)
from twodasl_jax.experiment.run.trained import TrainedRun
from twodasl_jax.geometry.camera import project_to_crop
from twodasl_jax.methods.method import Faces
from twodasl_jax.methods.predictor import Predictor
from twodasl_jax.metrics.nme import normalised_mean_error
from twodasl_jax.predict.faces.landmark_detectors import make_landmark_detector
from twodasl_jax.training.progress import ProgressDisplay

LABELS_AGREE = 1e-3
"""Detections this near to labels (median NME over faces, a fraction) are those labels: detectors
and annotators differ by twenty times as much."""

NO_FACE = "the detector found no face"


def make_predictor(trained: TrainedRun, *, batch_size: int) -> Predictor:
    """The run's networks on crops: 68 landmarks in crop pixels, cameras and codes."""

    def outputs(faces: Faces) -> tuple[Array, Array, Array]:
        crop = project_to_crop(faces.camera, faces.points, crop_size=trained.method.crop_size)
        return jnp.swapaxes(crop, -1, -2), faces.camera, faces.code

    return trained.predictor(batch_sizes=(batch_size,), dense=False, outputs=outputs)


def predict_benchmark(
    trained: TrainedRun,
    benchmark: Benchmark,
    sources: InputSources,
    *,
    num_passes: int,
    batch_size: int,
    console: Console,
) -> tuple[Benchmark, Predictions, dict[str, float]]:
    """Cuts crops, draws no label, predicts.

    Args:
      trained: the run, whose method makes so many passes.
      benchmark: its labels are looked at only to refuse detections that are labels.
      sources: of crops and landmark map.
      num_passes: how often a face without landmarks is shown to the network.
      batch_size: of the compiled prediction.
      console: where progress is shown.

    Returns:
      The benchmark without the faces that were not detected, the predictions, and counts:
      ``compile_seconds``, ``images_per_second`` (without compiling), ``empty_landmark_maps``.
    """
    predictor = make_predictor(trained, batch_size=batch_size)
    benchmark, inputs, conventions = make_input(
        benchmark,
        sources,
        num_passes=num_passes,
        crop_size=trained.method.crop_size,
        console=console,
    )
    count = len(inputs.crops)
    with ProgressDisplay(console, "predicting", 0, count) as display:
        start = time.perf_counter()
        # A padded batch: compiles.
        predictor(trained.networks, inputs.crops[:1], inputs.detected_landmarks[:1])
        compiled = time.perf_counter()
        predictions = predict_input(
            trained, predictor, inputs, conventions, on_batch=display.advance
        )
        seconds = time.perf_counter() - compiled
    empty = np.isnan(inputs.detected_landmarks).all(axis=(1, 2)).sum()
    told = {
        "compile_seconds": compiled - start,
        "images_per_second": count / seconds,
        "empty_landmark_maps": int(empty),
    }
    return benchmark, predictions, told


def predict_input(
    trained: TrainedRun,
    predictor: Predictor,
    inputs: NetworkInput,
    conventions: Mapping[str, str],
    *,
    on_batch: Callable[[int], None] = lambda _: None,
) -> Predictions:
    """What the networks say about crops; meshes are decoded where a metric asks for them.

    Args:
      trained: the run.
      predictor: of its networks, from `make_predictor`.
      inputs: from `make_input`.
      conventions: the same.
      on_batch: told how many crops are done.

    Raises:
      ValueError: where a landmark is not finite.
    """
    landmarks, camera, code = predictor(
        trained.networks, inputs.crops, inputs.detected_landmarks, on_batch=on_batch
    )
    method, size = trained.method, trained.method.crop_size

    def decode(
        constants: tuple, camera: Float[Array, "b 3 4"], code: Float[Array, "b k"]
    ) -> Float[Array, "b 3 n"]:
        networks, of_prediction = constants
        return method.decode(networks, of_prediction, camera, code).points

    of_prediction = trained.family.prediction_constants(trained.face_model, trained.arrays)
    faces = CodedFaces(
        camera=camera,
        code=code,
        roi_box=inputs.roi_box,
        face_model=trained.face_model,
        decode=decode,
        constants=(trained.networks, of_prediction),
        code_layout=method.code_layout,
        crop_size=size,
    )
    points = landmarks_in_image(landmarks, inputs.roi_box, crop_size=size)
    return Predictions(points, faces, conventions)


def make_input(
    benchmark: Benchmark,
    sources: InputSources,
    *,
    num_passes: int,
    crop_size: int,
    console: Console,
) -> tuple[Benchmark, NetworkInput, dict[str, str]]:
    """What the network is shown of a benchmark.

    Args:
      benchmark: whose labels do not reach the network.
      sources: of crops and landmark map.
      num_passes: how often a face without landmarks is shown to the network.
      crop_size: side of the network's crops, pixels.
      console: where progress is shown.

    Returns:
      The benchmark without the faces whose crop is not known, the input, and ``crop_source`` and
      ``landmark_map_source`` in words.

    Raises:
      FileNotFoundError, ValueError: where detections are absent, or are the labels.
    """
    detections = None
    if "detector" in (sources.crop_source, sources.landmark_map_source):
        if benchmark.read_photo is None:
            raise ValueError(
                f"this {benchmark.name} holds crops without photographs, where a detector has "
                "nothing to look at; give the original folder"
            )
        detect = make_landmark_detector(sources.detector)
        detections = detect_landmarks(benchmark.read_photo, len(benchmark), detect, console)
    crop_source = benchmark.conventions["crop_source"]
    if detections is not None and sources.crop_source == "detector":
        found = np.isfinite(detections).all(axis=(1, 2))
        benchmark = benchmark.without(np.flatnonzero(~found), f"{NO_FACE} ({sources.detector})")
        detections = detections[found]
        crop_source = (
            f"detector: the training crop's rule on {sources.detector}'s 68 points, padded"
        )
    given, map_source = _map_detections(sources, benchmark, detections, num_passes)
    if sources.crop_source == "detector":
        assert detections is not None
        assert benchmark.read_photo is not None
        crops, boxes = cut_detected(
            benchmark.read_photo, detections, crop_size=crop_size, console=console
        )
    else:
        boxes = benchmark.roi_box
        crops = crops_of_size(benchmark.crops, boxes, benchmark.read_photo, crop_size=crop_size)
    detected = map_landmarks(given, boxes, crop_size=crop_size)
    conventions = {"crop_source": crop_source, "landmark_map_source": map_source}
    return benchmark, NetworkInput(crops, detected, boxes), conventions


def _map_detections(
    sources: InputSources, benchmark: Benchmark, detections: np.ndarray | None, num_passes: int
) -> tuple[np.ndarray | None, str]:
    if sources.landmark_map_source == "none":
        return None, f"none: an empty map, {num_passes} passes"
    if sources.landmark_map_source == "detector":
        return detections, f"detector: {sources.detector}; an empty map where it found no face"
    if sources.landmarks_file:
        given = read_detections(sources.landmarks_file, benchmark.file_names, benchmark.roi_box)
    else:
        given = benchmark.published_detections
    if given is None:
        raise ValueError(
            f"{benchmark.name} has no detected landmarks of its own here; give "
            "--config.landmarks_file=FILE.npz, or landmark_map_source none or detector"
        )
    refuse_labels(given, benchmark.truth)
    origin = "landmarks_file" if sources.landmarks_file else "the benchmark's annotations"
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

"""The benchmarks' metrics: each a function of labels and predictions to one error per face.

A metric has *variants* (label sets, alignments); each gives ``(n,)`` fractions, NaN for a face
without that label. `twodasl_jax.evaluation.benchmark_kinds` says which benchmark has which.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from twodasl_jax.evaluation.benchmark import Benchmark, CannotMeasureError, Predictions
from twodasl_jax.evaluation.coded_faces import (
    CodedFaces,
    faces_from_coefficients,
    landmarks_from_face_model,
)
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.landmark_tables import LANDMARKS_21_FROM_68
from twodasl_jax.metrics.head_pose import head_pose_errors
from twodasl_jax.metrics.nme import (
    align_depth,
    box_size,
    labelled_error,
    normalised_mean_error,
    visible_mean_error,
)
from twodasl_jax.metrics.reconstruction import reconstruction_error

Errors = Mapping[str, np.ndarray]
Metric = Callable[[Benchmark, Predictions], Errors]

LARGEST_MODEL_RESIDUAL = 0.02
"""Of the annotated coefficients' landmarks from the labels, mean NME: 0.66 % with the Basel model
that they were made with (truncated to 40 + 10), many times this with any other."""

MANUAL, FITS = "manual", "fits"
"""Labels of a folder of crops: visible manual points, ``(n, 68 + 21, 2)``, and all 68 of fits."""

LARGEST_ANGLE = 99.0
"""Degrees; the field leaves faces beyond it out of head pose figures (31 of AFLW2000-3D)."""


def landmarks68_2d(benchmark: Benchmark, predictions: Predictions) -> Errors:
    """68 landmarks in x and y, under every label set."""
    if not benchmark.label_sets:
        raise CannotMeasureError("nobody labelled all 68 points; --config.fits=FOLDER gives fits'")
    predicted, errors = predictions.landmarks_px[..., :2], {}
    for name in scored_labels(benchmark):
        errors[name] = labelled_error(predicted, benchmark.truth[name][..., :2])
    if not errors:
        raise CannotMeasureError("no face has all of its 68 labels")
    return errors


def scored_labels(benchmark: Benchmark) -> list[str]:
    """The label sets of 68 points that some face has all of, in x and y."""
    return [
        name for name in benchmark.label_sets if known_faces(benchmark.truth[name][..., :2]).any()
    ]


def known_faces(labels: np.ndarray) -> np.ndarray:
    """``(n,)`` which faces have all numbers of a label, ``(n, ...)``."""
    return np.asarray(np.isfinite(labels).reshape(len(labels), -1).all(axis=1))


def _of_all(known: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Errors of the known faces among all, NaN for the others."""
    everywhere = np.full(len(known), np.nan)
    everywhere[known] = errors
    return everywhere


def landmarks68_3d(benchmark: Benchmark, predictions: Predictions) -> Errors:
    """68 landmarks in x, y and z against the original labels, z aligned in both ways."""
    predicted, truth = predictions.landmarks_px, benchmark.truth["original"]
    if predicted.shape[-1] != 3:
        raise CannotMeasureError("the predicted landmarks have no depth")
    known = known_faces(truth)
    if not known.any():
        raise CannotMeasureError("no face has all of its 68 labels with their depth")
    errors = _in_3d(predicted[known], truth[known], truth[known])
    return {name: _of_all(known, values) for name, values in errors.items()}


def _in_3d(predicted: np.ndarray, truth: np.ndarray, box_landmarks: np.ndarray) -> Errors:
    return {
        f"z_{by}": normalised_mean_error(
            align_depth(predicted, by=by), align_depth(truth, by=by), box_landmarks
        )
        for by in ("minimum", "mean")
    }


def dense_2d(benchmark: Benchmark, predictions: Predictions) -> Errors:
    """All vertices in x and y, against the mesh of the annotated coefficients."""
    box, known = benchmark.truth["original"], known_meshes(benchmark, with_box=True)
    errors = [
        normalised_mean_error(predicted[..., :2], true[..., :2], box[rows])
        for rows, predicted, true in mesh_batches(benchmark, predictions, known)
    ]
    return {"annotated": _of_all(known, np.concatenate(errors))}


def dense_3d(benchmark: Benchmark, predictions: Predictions) -> Errors:
    """All vertices in x, y and z, z aligned in both ways."""
    box, known = benchmark.truth["original"], known_meshes(benchmark, with_box=True)
    errors = [
        _in_3d(predicted, true, box[rows])
        for rows, predicted, true in mesh_batches(benchmark, predictions, known)
    ]
    return {
        name: _of_all(known, np.concatenate([batch[name] for batch in errors]))
        for name in errors[0]
    }


def reconstruction_icp(benchmark: Benchmark, predictions: Predictions) -> Errors:
    """Distances after rigid ICP, by both definitions; see `metrics.reconstruction`."""
    known = known_meshes(benchmark, with_box=False)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        errors = [
            error
            for _, predicted, true in mesh_batches(benchmark, predictions, known)
            for error in threads.map(reconstruction_error, predicted, true)
        ]
    return {
        name: _of_all(known, np.array([getattr(error, name) for error in errors]))
        for name in ("same_vertex", "nearest_point")
    }


def known_meshes(benchmark: Benchmark, *, with_box: bool) -> np.ndarray:
    """``(n,)`` which faces have annotated coefficients, and labels whose box normalises."""
    known = known_faces(benchmark.truth["coefficients"])
    return known & known_faces(benchmark.truth["original"][..., :2]) if with_box else known


def head_pose(benchmark: Benchmark, predictions: Predictions) -> Errors:
    """Absolute errors of yaw, pitch and roll, ``(n, 3)`` degrees; NaN for faces beyond 99°."""
    faces = require_faces(predictions)
    pose = benchmark.truth["pose_para"]
    if not known_faces(pose).any():
        raise CannotMeasureError("no face has an annotated pose")
    errors = head_pose_errors(_camera_in_image(faces), pose)
    near = np.abs(np.degrees(pose[:, :3])).max(axis=1) <= LARGEST_ANGLE
    return {
        "all_images": errors,
        "within_99_degrees": np.where(near[:, None], errors, np.nan),
    }


def _camera_in_image(faces: CodedFaces) -> np.ndarray:
    """The crops' cameras in image pixels: a box clipped to an oblong had bent their rotation."""
    sides = faces.roi_box[:, 2:] - faces.roi_box[:, :2]
    scales = np.concatenate([sides, sides.mean(axis=1, keepdims=True)], axis=1) / faces.crop_size
    return np.asarray(faces.camera, np.float32) * scales[:, :, None]


def landmarks34_2d(benchmark: Benchmark, predictions: Predictions) -> Errors:
    """AFLW-LFPA's 34 points, the visible ones."""
    truth, box = benchmark.truth["landmarks34_px"], benchmark.truth["face_box"]
    predicted = predicted34(benchmark, predictions)
    return {"visible": visible_mean_error(predicted, truth, box_size(box.reshape(-1, 2, 2)))}


def predicted34(benchmark: Benchmark, predictions: Predictions) -> np.ndarray:
    """``(n, 34, 2)`` image pixels: the face model's vertices named by the index table."""
    table = benchmark.landmark_vertices
    if table is None:
        raise CannotMeasureError(
            "no public table maps AFLW-LFPA's 34 points to vertices; give yours as "
            "--config.landmark_vertices=FILE.npy, (34,) indices"
        )
    faces = require_faces(predictions)
    if table.max() >= faces.face_model.num_vertices:
        raise ValueError(
            f"landmark_vertices names vertex {table.max()}; '{faces.face_model.name}' has "
            f"{faces.face_model.num_vertices:,}"
        )
    batches = faces.vertices(np.arange(len(benchmark)), table)
    return np.concatenate([points[..., :2] for _, points in batches])


def landmarks21_2d(benchmark: Benchmark, predictions: Predictions) -> Errors:
    """AFLW's 21 points, the visible ones, by averages of the 68."""
    truth, size = benchmark.truth["landmarks21_px"], benchmark.truth["size"]
    seen: np.ndarray = np.asarray(np.isfinite(truth).all(axis=-1).any(axis=-1))
    if not seen.any():
        raise CannotMeasureError("no face has a visible one of 21 labels")
    predicted = predicted21(benchmark, predictions)
    errors = visible_mean_error(predicted[seen], truth[seen], size[seen])
    return {"visible": _of_all(seen, errors)}


def visible_2d(benchmark: Benchmark, predictions: Predictions) -> Errors:
    """The visible manual points: those of 68 where a face has them, else those of 21."""
    truth, size = benchmark.truth[MANUAL], benchmark.truth["size"]
    return {MANUAL: visible_mean_error(predicted_manual(benchmark, predictions), truth, size)}


def predicted_manual(benchmark: Benchmark, predictions: Predictions) -> np.ndarray:
    """``(n, 68 + 21, 2)`` image pixels: the points that a face may have manual labels of."""
    del benchmark
    return with_21(predictions.landmarks_px[..., :2])


def predicted21(benchmark: Benchmark, predictions: Predictions) -> np.ndarray:
    """``(n, 21, 2)`` image pixels."""
    del benchmark
    return with_21(predictions.landmarks_px[..., :2])[:, 68:]


def with_21(landmarks: np.ndarray) -> np.ndarray:
    """``(n, 68, 2)`` landmarks, and behind them AFLW's 21 as averages of them: ``(n, 89, 2)``."""
    of_21 = [landmarks[:, list(rows)].mean(axis=1) for rows in LANDMARKS_21_FROM_68]
    return np.concatenate([landmarks, np.stack(of_21, axis=1)], axis=1)


def predicted68(benchmark: Benchmark, predictions: Predictions) -> np.ndarray:
    """``(n, 68, 2)`` image pixels."""
    del benchmark
    return predictions.landmarks_px[..., :2]


def model_residual(benchmark: Benchmark, face_model: FaceModel) -> float:
    """Mean NME, a fraction, of the annotated coefficients' landmarks from the original labels.

    Raises:
      CannotMeasureError: where no face has both.
    """
    known = known_meshes(benchmark, with_box=True)
    if not known.any():
        raise CannotMeasureError("no face has annotated coefficients and its 68 labels")
    faces = faces_from_coefficients(
        face_model, benchmark.truth["coefficients"][known], benchmark.roi_box[known]
    )
    points = landmarks_from_face_model(faces)
    truth = benchmark.truth["original"][known][..., :2]
    return float(normalised_mean_error(points[..., :2], truth, truth).mean())


def require_annotated_model(benchmark: Benchmark, face_model: FaceModel) -> None:
    """Refuses a face model that the annotated coefficients do not belong to.

    Args:
      benchmark: AFLW2000-3D.
      face_model: to be checked.

    Raises:
      CannotMeasureError: naming vertex count or residual.
    """
    num_vertices = benchmark.annotated_vertices
    if num_vertices and face_model.num_vertices != num_vertices:
        raise CannotMeasureError(
            f"the face model '{face_model.name}' has {face_model.num_vertices:,} vertices; "
            f"expected the {num_vertices:,} of the model that the benchmark is annotated with "
            "(docs/face_models.md)"
        )
    residual = model_residual(benchmark, face_model)
    if not residual <= LARGEST_MODEL_RESIDUAL:
        raise CannotMeasureError(
            f"with the face model '{face_model.name}' the annotated coefficients' landmarks lie "
            f"{100 * residual:.3g} % from the labels; expected about 0.7 %, as with the Basel "
            "model that they were made with: is it another one?"
        )


def require_faces(predictions: Predictions) -> CodedFaces:
    """Cameras and codes; CannotMeasureError where there are landmarks only."""
    if predictions.faces is None:
        raise CannotMeasureError("the predictions hold landmarks only, no camera and no mesh")
    return predictions.faces


def mesh_batches(
    benchmark: Benchmark, predictions: Predictions, known: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows, predicted and true vertices ``(b, vertices, 3)`` in image pixels, batch by batch.

    Args:
      benchmark: with annotated coefficients.
      predictions: with cameras and codes.
      known: ``(n,)`` of which faces.

    Raises:
      CannotMeasureError: for landmarks only, or where theirs is not the annotated face model.
    """
    predicted = require_faces(predictions)
    require_annotated_model(benchmark, predicted.face_model)
    true = faces_from_coefficients(
        predicted.face_model, benchmark.truth["coefficients"], benchmark.roi_box
    )
    chosen = np.flatnonzero(known)
    for (rows, mesh), (_, true_mesh) in zip(
        predicted.vertices(chosen), true.vertices(chosen), strict=True
    ):
        yield rows, mesh, true_mesh

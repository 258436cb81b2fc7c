"""The benchmarks' metrics: literal definitions, the truth scored, what cannot change them."""

import dataclasses

import numpy as np
import pytest

from twodasl_jax.evaluation import benchmark_metrics as measure
from twodasl_jax.evaluation.benchmark import Benchmark, CannotMeasureError, Predictions
from twodasl_jax.evaluation.benchmark_faces import open_aflw2000_3d
from twodasl_jax.evaluation.benchmark_kinds import BENCHMARKS
from twodasl_jax.evaluation.predictions_file import predictions_from_coefficients
from twodasl_jax.face_model.import_bfm import face_model_from_file

METRICS = BENCHMARKS["aflw2000_3d"].metrics


def rotation_literal(pitch, yaw, roll):
    """Method.md section 1, factor by factor."""
    c, s = np.cos, np.sin
    x = np.array([[1, 0, 0], [0, c(pitch), s(pitch)], [0, -s(pitch), c(pitch)]])
    y = np.array([[c(yaw), 0, -s(yaw)], [0, 1, 0], [s(yaw), 0, c(yaw)]])
    z = np.array([[c(roll), s(roll), 0], [-s(roll), c(roll), 0], [0, 0, 1]])
    return x @ y @ z


def literal_mesh(face_model, coefficients, box):
    """One face's vertices in image pixels, in float64, by the formulas."""
    linear = [np.asarray(array, np.float64) for array in face_model.linear]
    points = linear[0] + np.tensordot(coefficients[12:52], linear[1], 1)
    points = points + np.tensordot(coefficients[52:], linear[2], 1)
    camera = coefficients[:12].reshape(3, 4)
    view = camera[:, :3] @ points + camera[:, 3:]
    width, height = box[2] - box[0], box[3] - box[1]
    return np.stack(
        [
            view[0] * width / 120 + box[0],
            (121 - view[1]) * height / 120 + box[1],
            view[2] * (width + height) / 240,
        ],
        axis=1,
    )


@pytest.fixture(scope="module")
def literal(benchmark, predictions, open_face):
    """Per face: predicted mesh, true mesh, sqrt(w·h) of the labels."""
    found, faces = [], predictions.faces
    for row in range(len(benchmark)):
        predicted = literal_mesh(open_face, faces.coefficients[row], faces.roi_box[row])
        true = literal_mesh(
            open_face, benchmark.truth["coefficients"][row].astype(float), benchmark.roi_box[row]
        )
        box = benchmark.truth["original"][row][:, :2]
        size = np.sqrt(np.prod(box.max(axis=0) - box.min(axis=0)))
        found.append((predicted, true, size))
    return found


def test_dense_metrics_equal_the_literal_definition(benchmark, predictions, literal):
    flat = [np.linalg.norm((p - t)[:, :2], axis=1).mean() / s for p, t, s in literal]
    # Float32 vertices of some hundred pixels against errors of some pixels.
    np.testing.assert_allclose(
        measure.dense_2d(benchmark, predictions)["annotated"], flat, rtol=1e-4
    )
    solid = measure.dense_3d(benchmark, predictions)
    for name, of in (("z_minimum", np.min), ("z_mean", np.mean)):
        expected = []
        for p, t, s in literal:
            p, t = p - [0, 0, of(p[:, 2])], t - [0, 0, of(t[:, 2])]
            expected.append(np.linalg.norm(p - t, axis=1).mean() / s)
        np.testing.assert_allclose(solid[name], expected, rtol=1e-4)


def test_landmarks_equal_the_literal_definition(benchmark, predictions, literal, open_face):
    flat = measure.landmarks68_2d(benchmark, predictions)
    solid = measure.landmarks68_3d(benchmark, predictions)
    assert list(flat) == ["original"]  # the made-up data have no other labels
    vertices = np.asarray(open_face.landmark_vertices)
    for row, (mesh, _, size) in enumerate(literal):
        predicted, truth = mesh[vertices], benchmark.truth["original"][row]
        distance = np.linalg.norm((predicted - truth)[:, :2], axis=1).mean()
        # Float32 landmarks of some hundred pixels.
        assert flat["original"][row] == pytest.approx(distance / size, rel=1e-4)
        for name, of in (("z_minimum", np.min), ("z_mean", np.mean)):
            moved = predicted - truth
            moved[:, 2] -= of(predicted[:, 2]) - of(truth[:, 2])
            expected = np.linalg.norm(moved, axis=1).mean() / size
            assert solid[name][row] == pytest.approx(expected, rel=1e-4)


def test_the_truth_scores_zero(benchmark, open_face):
    truth = predictions_from_coefficients(
        open_face, benchmark.truth["coefficients"], benchmark.roi_box, {}
    )
    for name, metric in METRICS.items():
        limit = 1e-5  # of the face: float32 through the .mat files and two changes of frame
        if name == "head_pose":
            limit = 1e-2  # degrees; float32 Euler angles
        if name.startswith("landmarks"):
            limit = 2e-4  # the labels were written by another program, in pixels of some hundred
        for variant, errors in metric(benchmark, truth).items():
            assert np.nanmax(errors) < limit, (name, variant)


def test_an_oblong_box_does_not_bend_the_head_pose(benchmark, open_face):
    box = benchmark.roi_box.copy()
    box[:, 3] -= 0.25 * (box[:, 3] - box[:, 1])
    coefficients = benchmark.truth["coefficients"].astype(np.float64).copy()
    # The same camera, seen in a crop whose y is stretched: rows of y grow, depth by the mean.
    width, height = (box[:, 2] - box[:, 0]), (box[:, 3] - box[:, 1])
    coefficients[:, 4:7] *= (width / height)[:, None]
    coefficients[:, 8:11] *= (2 * width / (width + height))[:, None]
    bent = predictions_from_coefficients(open_face, coefficients, box, {})
    # Degrees; float32 Euler angles.
    assert measure.head_pose(benchmark, bent)["all_images"].max() < 1e-2


def test_head_pose_equals_the_literal_difference_of_angles(benchmark, open_face):
    turns = np.radians([[3.0, -4.0, 5.0], [-7, 2, 1], [0, 10, -20], [1, -1, 2]])
    coefficients = benchmark.truth["coefficients"].astype(np.float64).copy()
    for row, (pitch, yaw, roll) in enumerate(benchmark.truth["pose_para"][:, :3] + turns):
        camera = coefficients[row, :12].reshape(3, 4)
        scale = np.linalg.norm(camera[0, :3])
        camera[:, :3] = scale * rotation_literal(pitch, yaw, roll)
    predicted = predictions_from_coefficients(open_face, coefficients, benchmark.roi_box, {})
    errors = measure.head_pose(benchmark, predicted)["all_images"]
    # Degrees: float32 Euler angles; boxes of a clipped pixel or two are a little oblong.
    np.testing.assert_allclose(errors, np.degrees(np.abs(turns))[:, [1, 0, 2]], atol=0.2)


def test_faces_beyond_99_degrees_are_apart(benchmark, predictions):
    pose = benchmark.truth["pose_para"].copy()
    pose[2, 0] = np.radians(120)
    turned = dataclasses.replace(benchmark, truth={**benchmark.truth, "pose_para": pose})
    errors = measure.head_pose(turned, predictions)
    assert np.isfinite(errors["all_images"]).all()
    near = np.isfinite(errors["within_99_degrees"]).all(axis=1)
    assert near.tolist() == [True, True, False, True]


@pytest.mark.parametrize("name", METRICS)
def test_the_order_of_faces_does_not_matter(benchmark, predictions, name):
    order = np.array([2, 0, 3, 1])
    shuffled = dataclasses.replace(
        benchmark,
        file_names=tuple(benchmark.file_names[row] for row in order),
        roi_box=benchmark.roi_box[order],
        yaw_degrees=benchmark.yaw_degrees[order],
        truth={key: array[order] for key, array in benchmark.truth.items()},
    )
    moved = dataclasses.replace(
        predictions,
        landmarks_px=predictions.landmarks_px[order],
        faces=dataclasses.replace(
            predictions.faces,
            camera=predictions.faces.camera[order],
            code=predictions.faces.code[order],
            roi_box=predictions.faces.roi_box[order],
        ),
    )
    before, after = METRICS[name](benchmark, predictions), METRICS[name](shuffled, moved)
    for variant, errors in before.items():
        # The same numbers but for the order of float32 sums.
        np.testing.assert_allclose(after[variant], errors[order], rtol=1e-4)


@pytest.mark.parametrize("name", METRICS)
def test_a_shift_of_image_and_prediction_does_not_matter(benchmark, predictions, open_face, name):
    shift = np.array([40.0, -25.0])
    boxes = benchmark.roi_box + np.tile(shift, 2)
    original = benchmark.truth["original"] + np.array([*shift, 0.0])
    moved = dataclasses.replace(
        benchmark, roi_box=boxes, truth={**benchmark.truth, "original": original}
    )
    predicted = predictions_from_coefficients(open_face, predictions.faces.coefficients, boxes, {})
    before, after = METRICS[name](benchmark, predictions), METRICS[name](moved, predicted)
    for variant, errors in before.items():
        # Float32 vertices of some hundred pixels.
        np.testing.assert_allclose(after[variant], errors, rtol=1e-3, atol=1e-6)


def test_landmarks_alone_are_scored_as_far_as_they_go(benchmark, predictions):
    flat = Predictions(predictions.landmarks_px[..., :2], None, {})
    np.testing.assert_array_equal(
        measure.landmarks68_2d(benchmark, flat)["original"],
        measure.landmarks68_2d(benchmark, predictions)["original"],
    )
    with pytest.raises(CannotMeasureError, match="have no depth"):
        measure.landmarks68_3d(benchmark, flat)
    for name in ("dense_2d", "dense_3d", "reconstruction_icp", "head_pose"):
        with pytest.raises(CannotMeasureError, match="hold landmarks only"):
            METRICS[name](benchmark, flat)


def test_faces_without_the_second_labels_are_not_scored_under_them(benchmark, predictions):
    labels = benchmark.truth["original"][..., :2] + 1.0
    labels[1] = np.nan
    partly = dataclasses.replace(benchmark, truth={**benchmark.truth, "reannotated": labels})
    errors = measure.landmarks68_2d(partly, predictions)
    assert np.isnan(errors["reannotated"]).tolist() == [False, True, False, False]
    assert np.isfinite(errors["original"]).all()


def test_another_face_model_is_refused(benchmark, predictions, small_face_model):
    with pytest.raises(CannotMeasureError, match=r"'small' .* lie .* % from the labels"):
        measure.require_annotated_model(benchmark, small_face_model)
    counted = dataclasses.replace(benchmark, annotated_vertices=53_215)
    with pytest.raises(CannotMeasureError, match="'small' has 121 vertices; expected the 53,215"):
        measure.require_annotated_model(counted, small_face_model)
    faces = dataclasses.replace(predictions.faces, face_model=small_face_model)
    foreign = dataclasses.replace(predictions, faces=faces)
    with pytest.raises(CannotMeasureError, match="'small'"):
        measure.dense_2d(benchmark, foreign)


def points_benchmark(**truth):
    count = len(next(iter(truth.values())))
    return Benchmark(
        name="points",
        file_names=tuple(str(row) for row in range(count)),
        crops=np.zeros((count, 120, 120, 3), np.uint8),
        roi_box=np.tile([0.0, 0.0, 120.0, 120.0], (count, 1)),
        yaw_degrees=np.zeros(count),
        truth=truth,
        label_sets=(),
        published_detections=None,
        read_photo=None,
    )


def test_21_points_are_averages_of_the_68():
    random = np.random.default_rng(0)
    landmarks = random.uniform(0, 120, (2, 68, 3))
    truth = random.uniform(0, 120, (2, 21, 2))
    truth[0, 12], truth[1, 16] = np.nan, np.nan
    size = np.array([80.0, 60.0])
    benchmark = points_benchmark(landmarks21_px=truth, size=size)
    errors = measure.landmarks21_2d(benchmark, Predictions(landmarks, None, {}))
    for row, points in enumerate(landmarks[..., :2]):
        named = {
            **dict(zip(range(6), points[[17, 19, 21, 22, 24, 26]], strict=True)),
            **{6: points[36], 7: points[36:42].mean(0), 8: points[39]},
            **{9: points[42], 10: points[42:48].mean(0), 11: points[45]},
            **{12: points[2], 13: points[31], 14: points[30], 15: points[35], 16: points[14]},
            **{17: points[48], 18: points[60:68].mean(0), 19: points[54], 20: points[8]},
        }
        seen = [k for k in range(21) if np.isfinite(truth[row, k]).all()]
        distances = [np.hypot(*(named[k] - truth[row, k])) for k in seen]
        # Float64 rounding.
        assert errors["visible"][row] == pytest.approx(np.mean(distances) / size[row])


def test_34_points_are_vertices_of_the_table(predictions, open_face):
    table = np.arange(34) * 7
    meshes = [
        literal_mesh(open_face, q, box)[table, :2]
        for q, box in zip(predictions.faces.coefficients, predictions.faces.roi_box, strict=True)
    ]
    truth = np.stack(meshes) + np.array([3.0, 4.0])
    truth[0, :30] = np.nan
    face_box = np.tile([10.0, 20.0, 110.0, 45.0], (len(truth), 1))
    benchmark = points_benchmark(landmarks34_px=truth, face_box=face_box)
    with pytest.raises(CannotMeasureError, match="no public table"):
        measure.landmarks34_2d(benchmark, predictions)
    with_table = dataclasses.replace(benchmark, landmark_vertices=table)
    errors = measure.landmarks34_2d(with_table, predictions)["visible"]
    # 5 px over sqrt(100·25) px; float32 vertices of some hundred pixels.
    np.testing.assert_allclose(errors, 0.1, rtol=1e-4)
    beyond = dataclasses.replace(benchmark, landmark_vertices=table + open_face.num_vertices)
    with pytest.raises(ValueError, match="landmark_vertices names vertex"):
        measure.landmarks34_2d(beyond, predictions)


@pytest.mark.shared_data
def test_the_annotated_coefficients_reach_the_floor_on_real_faces(shared_data, console):
    real = open_aflw2000_3d(shared_data / "aflw2000_3d_sample", console)
    bfm = face_model_from_file(shared_data / "bfm" / "bfm2009_53215.npz")
    measure.require_annotated_model(real, bfm)
    truth = predictions_from_coefficients(bfm, real.truth["coefficients"], real.roi_box, {})
    flat = 100 * measure.landmarks68_2d(real, truth)["original"]
    # Provenance: method.md section 2, the floor of 40 + 10 coefficients; three decimals given.
    assert flat.mean() == pytest.approx(0.663, abs=0.001)
    assert flat.max() == pytest.approx(1.598, abs=0.001)
    for errors in measure.landmarks68_3d(real, truth).values():
        # The same truncation seen with depth; a wrong sign or scale of z would give some 20 %.
        assert 100 * errors.mean() < 1.0
    assert measure.dense_3d(real, truth)["z_mean"].max() == 0.0
    angles = measure.head_pose(real, truth)["within_99_degrees"]
    # Degrees; float32 Euler angles of exact rotations.
    assert np.nanmax(angles) < 1e-3
    assert np.isfinite(angles).all(axis=1).sum() == 39

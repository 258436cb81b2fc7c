"""`metrics/nme.py`: literal values, invariances, the edges of bins."""

import numpy as np
import pytest

from twodasl_jax.metrics.nme import (
    align_depth,
    box_size,
    labelled_error,
    nme_summary,
    normalised_mean_error,
    roll_summary,
    visible_mean_error,
)


@pytest.fixture
def faces() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    target = random.uniform(50, 200, (5, 68, 2))
    return target + random.normal(size=target.shape), target


def test_equals_the_literal_definition(faces):
    predicted, target = faces
    expected = []
    for x, g in zip(predicted, target, strict=True):
        width = max(p[0] for p in g) - min(p[0] for p in g)
        height = max(p[1] for p in g) - min(p[1] for p in g)
        distances = [np.hypot(*(a - b)) for a, b in zip(x, g, strict=True)]
        expected.append(sum(distances) / 68 / np.sqrt(width * height))
    # Float64 rounding.
    np.testing.assert_allclose(
        normalised_mean_error(predicted, target, target), expected, rtol=1e-12
    )


def test_does_not_change_with_joint_translation_scale_mirroring_or_quarter_turns(faces):
    predicted, target = faces
    before = normalised_mean_error(predicted, target, target)
    for change in (
        lambda points: points + np.array([300.0, -40.0]),
        lambda points: points * 3.7,
        lambda points: points * np.array([-1.0, 1.0]),
        lambda points: points[..., ::-1],
        lambda points: points[:, np.random.default_rng(1).permutation(68)],
    ):
        changed = change(target)
        after = normalised_mean_error(change(predicted), changed, changed)
        # Float64 rounding.
        np.testing.assert_allclose(after, before, rtol=1e-10)


def test_changes_with_a_joint_rotation_because_the_box_is_axis_aligned(faces):
    predicted, target = faces
    half = np.sqrt(0.5)
    turn = np.array([[half, -half], [half, half]])
    before = normalised_mean_error(predicted, target, target)
    after = normalised_mean_error(predicted @ turn, target @ turn, target @ turn)
    assert (np.abs(after / before - 1) > 0.01).all()


def test_is_linear_in_the_error_and_zero_for_the_truth(faces):
    predicted, target = faces
    once = normalised_mean_error(predicted, target, target)
    twice = normalised_mean_error(target + 2 * (predicted - target), target, target)
    # Float64 rounding.
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-10)
    np.testing.assert_array_equal(normalised_mean_error(target, target, target), 0.0)


def test_dense_points_are_normalised_by_the_landmark_box(faces):
    _, target = faces
    dense = np.zeros((5, 1000, 3))
    moved = dense + np.array([3.0, 4.0, 0.0])
    nme = normalised_mean_error(moved, dense, target)
    sides = np.ptp(target, axis=1)
    # Float64 rounding.
    np.testing.assert_allclose(nme, 5 / np.sqrt(sides.prod(1)), rtol=1e-12)


def test_shapes_that_do_not_fit_and_empty_boxes_are_refused(faces):
    predicted, target = faces
    with pytest.raises(ValueError, match="expected"):
        normalised_mean_error(predicted[:, :18], target, target)
    with pytest.raises(ValueError, match="box of face 0"):
        normalised_mean_error(predicted, target, np.zeros_like(target))


def test_the_summary_names_every_mean():
    nme = np.array([0.01, 0.03, 0.04, 0.2])
    summary = nme_summary(nme, np.array([30.0, -30.1, 60.0, -60.5]))
    # Float64 rounding.
    approximately = pytest.approx
    assert summary["bin_0_30"] == approximately(1.0)
    assert summary["bin_30_60"] == approximately(3.5)
    assert summary["bin_60_90"] == approximately(20.0)
    assert summary["mean_of_bins"] == approximately(24.5 / 3)
    assert summary["std_of_bins"] == approximately(np.std([1.0, 3.5, 20.0]))
    assert summary["mean_of_images"] == approximately(7.0)
    assert summary["failure_rate_10"] == approximately(25.0)
    assert summary["auc_10"] == approximately(100 * (0.9 + 0.7 + 0.6) / 4)
    assert summary["count"] == 4
    assert [summary[f"count_{name}"] for name in ("0_30", "30_60", "60_90")] == [1, 2, 1]
    assert np.isnan(summary["mean_without_worst_20"])


def test_the_twenty_worst_are_left_out():
    nme = np.concatenate([np.full(20, 0.5), np.full(30, 0.02)])
    # Float64 rounding.
    assert nme_summary(nme, np.zeros(50))["mean_without_worst_20"] == pytest.approx(2.0)


def test_an_empty_bin_is_nan_and_so_is_the_mean_of_bins():
    summary = nme_summary(np.array([0.02, 0.03]), np.array([0.0, 45.0]))
    assert np.isnan(summary["bin_60_90"])
    assert np.isnan(summary["mean_of_bins"])
    # Float64 rounding.
    assert summary["mean_of_images"] == pytest.approx(2.5)


def test_the_summary_by_roll():
    nme = np.array([0.01, 0.03, 0.04, 0.2, 0.3, 0.5])
    summary = roll_summary(nme, np.array([15.0, -0.5, -15.1, 90.0, -179.0, np.nan]))
    # Float64 rounding.
    expected = {"0_15": 2.0, "15_45": 4.0, "45_90": 20.0, "90_180": 30.0}
    assert {name: summary[f"roll_{name}"] for name in expected} == pytest.approx(expected)
    assert [summary[f"count_roll_{name}"] for name in expected] == [2, 1, 1, 1]
    assert np.isnan(roll_summary(nme[:1], np.zeros(1))["roll_90_180"])


@pytest.mark.parametrize("summary", [nme_summary, roll_summary])
def test_unequal_lengths_are_refused(summary):
    with pytest.raises(ValueError, match=r"expected \(b,\) twice"):
        summary(np.zeros(3), np.zeros(4))


def test_only_visible_points_count():
    random = np.random.default_rng(5)
    predicted, target = random.uniform(0, 100, (2, 4, 21, 2))
    size = np.array([10.0, 20.0, 30.0, 40.0])
    target[1, 3:9] = np.nan
    target[2, 0, 1] = np.nan  # half a point is none
    expected = []
    for x, g, s in zip(predicted, target, size, strict=True):
        distances = [np.hypot(*(a - b)) for a, b in zip(x, g, strict=True) if not np.isnan(b).any()]
        expected.append(sum(distances) / len(distances) / s)
    # Float64 rounding.
    np.testing.assert_allclose(visible_mean_error(predicted, target, size), expected, rtol=1e-12)


def test_a_face_without_a_visible_point_is_refused():
    points = np.zeros((2, 21, 2))
    hidden = np.stack([points[0], np.full((21, 2), np.nan)])
    with pytest.raises(ValueError, match="face 1 has 0 visible points"):
        visible_mean_error(points, hidden, np.ones(2))
    with pytest.raises(ValueError, match="face 0 has 21 visible points and size 0"):
        visible_mean_error(points, points, np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match=r"expected \(b, n, d\) twice"):
        visible_mean_error(points, points[:, :5], np.ones(2))


def test_depth_is_aligned_by_its_minimum_or_its_mean():
    points = np.random.default_rng(6).normal(size=(3, 10, 3))
    by_minimum, by_mean = (align_depth(points, by=by) for by in ("minimum", "mean"))
    # Float64 rounding.
    np.testing.assert_allclose(by_minimum[..., 2].min(axis=1), 0.0, atol=1e-12)
    np.testing.assert_allclose(by_mean[..., 2].mean(axis=1), 0.0, atol=1e-12)
    np.testing.assert_array_equal(by_mean[..., :2], points[..., :2])
    moved = points + np.array([0.0, 0.0, 7.0])
    np.testing.assert_allclose(align_depth(moved, by="mean"), by_mean, atol=1e-12)


def test_the_box_is_that_of_x_and_y():
    points = np.array([[[1.0, 2.0, 900.0], [5.0, 11.0, -900.0], [3.0, 3.0, 0.0]]])
    np.testing.assert_array_equal(box_size(points), [6.0])


def test_faces_without_all_labels_have_no_error():
    generator = np.random.default_rng(0)
    target = generator.uniform(0, 100, (3, 68, 2))
    predicted = target + generator.normal(size=target.shape)
    expected = normalised_mean_error(predicted, target, target)
    target[1, 7] = np.nan
    errors = labelled_error(predicted, target)
    np.testing.assert_array_equal(errors[[0, 2]], expected[[0, 2]])
    assert np.isnan(errors[1])
    assert np.isnan(labelled_error(predicted, np.full_like(target, np.nan))).all()
    with pytest.raises(ValueError, match="expected the same"):
        labelled_error(predicted[:2], target)


def test_visible_points_ask_for_one_size_per_face(faces):
    predicted, target = faces
    with pytest.raises(ValueError, match=r"size \(4,\); expected"):
        visible_mean_error(predicted, target, np.ones(4))
    with pytest.raises(ValueError, match=r"expected \(b, n, d\) twice"):
        visible_mean_error(predicted[0], target[0], np.ones(68))

"""`metrics/nme.py`: literal values, invariances, the edges of bins."""

import numpy as np
import pytest

from twodasl_jax.metrics.nme import nme_summary, normalised_mean_error


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


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match=r"expected \(b,\) twice"):
        nme_summary(np.zeros(3), np.zeros(4))

import numpy as np
import pytest

from twodasl_jax.data.detector_noise import DetectorNoise, detector_like

NOTHING = DetectorNoise(0, 0, 0, 0, 0, 0)
POINTS = np.random.default_rng(0).uniform(40, 80, (18, 2)).astype(np.float32)


def many(noise, points=POINTS, count=2000):
    generator = np.random.default_rng(1)
    return np.stack([detector_like(points, generator, noise) for _ in range(count)])


def test_without_noise_points_stay():
    np.testing.assert_array_equal(many(NOTHING, count=1)[0], POINTS)


def test_unknown_points_stay_unknown():
    points = POINTS.copy()
    points[3] = np.nan
    found = many(DetectorNoise(failure_probability=0, miss_probability=0), points, 50)
    assert np.isnan(found[:, 3]).all()
    assert np.isfinite(np.delete(found, 3, axis=1)).all()


def test_jitter_and_offset_have_the_stated_spread():
    errors = many(DetectorNoise(2.0, 0, 0, 0, 0, 0)) - POINTS
    # Per face σ is uniform in [0, 2]: the mean variance is 4/3; 72,000 draws.
    assert errors.var() == pytest.approx(4 / 3, rel=0.05)
    errors = many(DetectorNoise(0, 0.7, 0, 0, 0, 0)) - POINTS
    # One offset per face; 4,000 draws.
    assert errors.std() == pytest.approx(0.7, rel=0.05)
    # All points of a face share it, to float32.
    assert np.ptp(errors, axis=1).max() < 1e-4


def test_misses_failures_and_outliers_have_the_stated_shares():
    missed = np.isnan(many(DetectorNoise(0, 0, 0.1, 0, 0, 0)))[..., 0]
    # 36,000 draws.
    assert missed.mean() == pytest.approx(0.1, rel=0.1)
    failed = np.isnan(many(DetectorNoise(0, 0, 0, 0, 0, 0.3)))[..., 0]
    assert (failed.all(axis=1) == failed.any(axis=1)).all()
    # 2,000 faces: 3 standard deviations are 0.03.
    assert failed.any(axis=1).mean() == pytest.approx(0.3, abs=0.03)
    far = np.linalg.norm(many(DetectorNoise(0, 0, 0, 0.1, 10, 0)) - POINTS, axis=2) > 0
    assert far.mean() == pytest.approx(0.1, rel=0.1)


def test_found_points_stay_in_the_crop():
    found = many(DetectorNoise(0, 0, 0, 1, 200, 0), count=20)
    assert found.min() == 0
    assert found.max() == 119


def test_a_faces_outcome_does_not_shift_the_draws_of_the_next():
    first, second = np.random.default_rng(2), np.random.default_rng(2)
    detector_like(POINTS, first, NOTHING)
    detector_like(POINTS, second, DetectorNoise())
    assert first.random() == second.random()


@pytest.mark.parametrize("shape", [(18, 3), (2, 18, 2), (36,)])
def test_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"expected \(n, 2\)"):
        detector_like(np.zeros(shape), np.random.default_rng(0), NOTHING)


@pytest.mark.parametrize(
    "options",
    [{"jitter_px": -1}, {"miss_probability": 1.5}, {"outlier_px": np.nan}, {"offset_px": np.inf}],
)
def test_refuses_impossible_options(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is .*; expected 0 ≤"):
        DetectorNoise(**options)

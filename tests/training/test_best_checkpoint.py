"""The best checkpoint: what replaces it, and what it survives."""

import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.training.best_checkpoint import BestCheckpoint
from twodasl_jax.training.prediction_checkpoint import restore_for_prediction
from twodasl_jax.training.run_description import RunDescription
from twodasl_jax.training.state import Networks

ARRAYS = {"mean": np.arange(62, dtype=np.float32)}


def networks(value):
    return Networks({"regressor": jnp.full(3, value)}, {"regressor": {"mean": jnp.full(2, value)}})


def open_best(folder, *, metric="error", mode="min"):
    return BestCheckpoint(folder, RunDescription({"seed": 1}, ARRAYS), metric=metric, mode=mode)


def offer_all(best, values, *, metric="error"):
    return [best.offer(step, networks(float(step)), {metric: v}) for step, v in values]


def test_only_a_better_value_replaces_it_and_the_folder_stays_small(tmp_path):
    with open_best(tmp_path) as best:
        taken = offer_all(best, [(1, 3.0), (2, 2.0), (3, 2.0), (4, 2.5), (5, float("nan"))])
        assert best.step == 2
    assert taken == [True, True, False, False, False]
    assert [path.name for path in tmp_path.iterdir() if path.name.isdigit()] == ["2"]


def test_a_value_that_is_not_finite_is_never_the_best(tmp_path):
    with open_best(tmp_path, mode="max") as best:
        assert offer_all(best, [(1, float("nan")), (2, float("inf")), (3, -1.0)]) == [
            False,
            False,
            True,
        ]


def test_it_is_read_like_any_checkpoint_for_prediction(tmp_path):
    with open_best(tmp_path, mode="max") as best:
        offer_all(best, [(10, 1.0), (20, 5.0), (30, 4.0)])
    read = restore_for_prediction(tmp_path)
    assert read.step == 20
    assert read.settings_json == {"seed": 1}
    np.testing.assert_array_equal(read.params["regressor"], np.full(3, 20.0))
    np.testing.assert_array_equal(read.batch_stats["regressor"]["mean"], np.full(2, 20.0))
    np.testing.assert_array_equal(read.arrays["mean"], ARRAYS["mean"])


def test_a_run_that_goes_on_compares_with_the_best_before(tmp_path):
    with open_best(tmp_path) as best:
        offer_all(best, [(2, 3.0), (4, 2.0)])
    with open_best(tmp_path) as best:
        assert best.step == 4
        # Steps 3 and 4 are met again; the machine may even round them otherwise.
        assert offer_all(best, [(3, 2.5), (4, 1.9), (5, 2.1), (6, 1.0)]) == [
            False,
            False,
            False,
            True,
        ]
    assert restore_for_prediction(tmp_path).step == 6


def test_the_best_by_another_metric_is_not_compared(tmp_path):
    with open_best(tmp_path) as best:
        offer_all(best, [(1, 1.0)])
    with pytest.raises(ValueError, match=r"holds the best by error \(min\).*asks for auc \(max\)"):
        open_best(tmp_path, metric="auc", mode="max")


def test_a_metric_that_was_not_measured_is_told_with_those_that_were(tmp_path):
    with (
        open_best(tmp_path) as best,
        pytest.raises(ValueError, match="'error', which was not measured; choose one of auc"),
    ):
        best.offer(1, networks(1.0), {"auc": 1.0})


def test_an_unknown_mode_is_refused(tmp_path):
    with pytest.raises(ValueError, match="mode is 'low'; choose one of min, max"):
        open_best(tmp_path, mode="low")

"""What becomes of the numbers of steps, without a run around them."""

import jax.numpy as jnp
import pytest

from twodasl_jax.training.progress import ProgressDisplay
from twodasl_jax.training.run_description import RunSoFar
from twodasl_jax.training.state import Networks
from twodasl_jax.training.step_log import NonFiniteError, StepLog


class Rows:
    """A writer that keeps what it is given."""

    def __init__(self):
        self.rows = []

    def write(self, step, scalars):
        self.rows.append((step, dict(scalars)))


class Best:
    """Keeps what it is offered."""

    def __init__(self):
        self.offered = []

    def offer(self, step, networks, scores):
        self.offered.append((step, networks, dict(scores)))


@pytest.fixture
def rows():
    return Rows()


def log_of(rows, so_far=None):
    return StepLog(rows, ProgressDisplay(None, "", 0, 9), 10, so_far or RunSoFar())


def losses(*values):
    return [{"loss": jnp.float32(value)} for value in values]


def test_means_are_of_the_steps_since_the_last_log_point(rows):
    log = log_of(rows)
    for step, metrics in enumerate(losses(1, 3, 10), start=1):
        log.add(step, metrics)
        if step >= 2:
            log.write_means(step)
    assert [(step, row["loss"]) for step, row in rows.rows] == [(2, 2.0), (3, 10.0)]
    assert all(row["images_per_second"] > 0 for _, row in rows.rows)


def test_a_stop_carries_what_is_not_logged_yet(rows):
    log = log_of(rows)
    for step, metrics in enumerate(losses(1, 3), start=1):
        log.add(step, metrics)
    log.fetch(2)
    so_far = log.so_far()
    assert so_far.unlogged == ({"loss": 1.0}, {"loss": 3.0})
    assert rows.rows == []
    later = log_of(rows, so_far)
    later.add(3, losses(8)[0])
    later.write_means(3)
    assert rows.rows[0][1]["loss"] == 4.0
    assert later.so_far().seconds >= so_far.seconds


def test_bad_numbers_are_named_with_the_step_that_they_began_at(rows):
    log = log_of(rows)
    for step, metrics in enumerate(losses(1, float("nan"), float("inf")), start=4):
        log.add(step, metrics)
    with pytest.raises(NonFiniteError, match=r"started at step 5 in \['loss'\].*\(2 of the last 3"):
        log.write_means(6)
    assert rows.rows == []


def test_scores_of_all_evaluators_are_written_and_offered_together(rows):
    networks, best = Networks({"a": 1}, {}), Best()
    evaluators = [lambda given: [("size", given.params["a"] + 0.5)], lambda _: [("other", 2.0)]]
    log_of(rows).write_scores(7, networks, evaluators, best)
    assert rows.rows == [(7, {"size": 1.5, "other": 2.0})]
    assert best.offered == [(7, networks, {"size": 1.5, "other": 2.0})]


def test_without_a_writer_nothing_fails():
    log = log_of(None)
    log.add(1, losses(1)[0])
    log.write_means(1)
    log.write_scores(1, Networks({}, {}), [], None)

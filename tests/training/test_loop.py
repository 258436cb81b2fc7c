"""The loop on a step that only counts: order, averages, evaluators and errors."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from twodasl_jax.training.best_checkpoint import BestCheckpoint
from twodasl_jax.training.checkpoint import Checkpointer
from twodasl_jax.training.loop import Intervals, train
from twodasl_jax.training.optimizer import OptimizerOptions, make_optimizer
from twodasl_jax.training.prediction_checkpoint import restore_for_prediction
from twodasl_jax.training.run_description import RunDescription
from twodasl_jax.training.state import create_state
from twodasl_jax.training.step_log import NonFiniteError
from twodasl_jax.training.writers import MetricWriter, read_metrics


class Counting:
    """Batches 0, 1, 2, ... and the position after the last one."""

    def __init__(self):
        self.given = 0

    def __next__(self):
        self.given += 1
        return np.asarray(self.given - 1, np.float32)

    def get_state(self):
        return {"given": self.given}


def make_state():
    optimizer = make_optimizer({"a": OptimizerOptions(name="sgd", learning_rate=1.0)})
    return create_state({"a": jnp.zeros(2)}, {}, optimizer)


@jax.jit
def step_fn(state, batch):
    return state.replace(step=state.step + 1), {"seen": batch}


def run(**options):
    defaults = {
        "num_steps": 6,
        "place_batch": jnp.asarray,
        "batch_size": 1,
        "intervals": Intervals(
            log=2,
            checkpoint=options.pop("checkpoint_every", 2),
            evaluate=options.pop("evaluate_every", 0),
        ),
    }
    defaults.update({"state": make_state(), "step_fn": step_fn, "batches": Counting()})
    arguments = defaults | options
    return train(
        arguments.pop("state"), arguments.pop("step_fn"), arguments.pop("batches"), **arguments
    )


def test_log_points_are_means_of_all_steps_between(tmp_path):
    with MetricWriter(tmp_path) as writer:
        run(writer=writer, num_steps=5)
    # The last step is a log point too, alone in its window here.
    assert read_metrics(tmp_path)["seen"] == [(2, 0.5), (4, 2.5), (5, 4.0)]


def test_saved_position_is_that_of_the_consumed_batches(tmp_path):
    with Checkpointer(tmp_path, RunDescription({})) as checkpointer:
        run(checkpointer=checkpointer)
        positions = {
            step: checkpointer.restore(make_state(), step=step).position for step in (2, 4, 6)
        }
    assert positions == {step: {"given": step} for step in (2, 4, 6)}


def test_no_batch_beyond_the_last_step_is_read():
    batches = Counting()
    run(batches=batches)
    assert batches.given == 6


@jax.jit
def moving_step(state, batch):
    """Parameters that tell the step they are of."""
    state, metrics = step_fn(state, batch)
    return state.replace(params={"a": state.params["a"] + 1}), metrics


def test_evaluators_see_the_networks_at_their_steps_and_the_last(tmp_path):
    def evaluate(networks):
        yield "eval/first", float(networks.params["a"][0])

    def another(networks):
        yield "eval/sum", float(networks.params["a"].sum())

    with MetricWriter(tmp_path) as writer:
        run(
            writer=writer,
            step_fn=moving_step,
            num_steps=7,
            evaluate_every=4,
            evaluators=[evaluate, another],
        )
    assert read_metrics(tmp_path)["eval/first"] == [(4, 4.0), (7, 7.0)]
    assert read_metrics(tmp_path)["eval/sum"] == [(4, 8.0), (7, 14.0)]


def test_without_evaluate_every_nothing_is_evaluated():
    def evaluate(_networks):
        raise AssertionError("asked to evaluate")
        yield

    run(evaluators=[evaluate])


@pytest.mark.parametrize(("mode", "best_step"), [("min", 4), ("max", 7)])
def test_the_best_networks_are_kept_apart_from_the_newest(tmp_path, mode, best_step):
    def evaluate(networks):
        yield "distance", abs(float(networks.params["a"][0]) - 4)

    with (
        Checkpointer(tmp_path / "newest", RunDescription({}), max_to_keep=1) as checkpointer,
        BestCheckpoint(tmp_path / "best", RunDescription({}), metric="distance", mode=mode) as best,
    ):
        run(
            step_fn=moving_step,
            checkpointer=checkpointer,
            best=best,
            num_steps=7,
            evaluate_every=2,
            evaluators=[evaluate],
        )
    read = restore_for_prediction(tmp_path / "best")
    # The distances of steps 2, 4, 6 and 7 are 2, 0, 2 and 3.
    assert read.step == best_step
    np.testing.assert_array_equal(read.params["a"], np.full(2, read.step))
    assert restore_for_prediction(tmp_path / "newest").step == 7


def test_evaluation_does_not_move_the_batches(tmp_path):
    seen = {}
    for every in (0, 2):
        with MetricWriter(tmp_path / str(every)) as writer:
            run(writer=writer, evaluate_every=every, evaluators=[lambda _: [("eval", 1.0)]])
        seen[every] = read_metrics(tmp_path / str(every))
    assert seen[0]["seen"] == seen[2]["seen"]
    assert "eval" not in seen[0]
    assert len(seen[2]["eval"]) == 3


def test_networks_that_are_not_finite_are_not_evaluated():
    @jax.jit
    def poisoning(state, batch):
        state, metrics = step_fn(state, batch)
        return state.replace(params={"a": state.params["a"] + jnp.nan}), metrics

    def evaluate(_networks):
        raise AssertionError("asked to evaluate NaN")
        yield

    with pytest.raises(NonFiniteError, match=r"after step 2 .*'params/a'"):
        run(step_fn=poisoning, evaluate_every=2, evaluators=[evaluate])


def test_a_finished_run_does_nothing():
    state = make_state()
    done = state.replace(step=jnp.asarray(6, jnp.int32))
    batches = Counting()
    assert run(state=done, batches=batches) is done
    assert batches.given == 0


def test_non_finite_parameters_under_a_finite_loss_are_not_saved(tmp_path):
    @jax.jit
    def poisoning(state, batch):
        state, metrics = step_fn(state, batch)
        bad = jnp.where(state.step == 4, jnp.nan, state.params["a"])
        return state.replace(params={"a": bad}), metrics

    with Checkpointer(tmp_path, RunDescription({})) as checkpointer:
        with pytest.raises(NonFiniteError, match=r"after step 4 .*'params/a'.*a gradient is not"):
            run(checkpointer=checkpointer, step_fn=poisoning)
        assert checkpointer.latest_step() == 2


def test_all_bad_terms_are_named_and_the_first_apart():
    @jax.jit
    def poisoning(state, batch):
        state, _ = step_fn(state, batch)
        return state, {
            "first": jnp.where(state.step >= 3, jnp.inf, 0.0),
            "later": jnp.where(state.step >= 4, jnp.nan, 0.0),
            "good": batch,
        }

    with pytest.raises(NonFiniteError) as error:
        run(step_fn=poisoning)
    assert "started at step 3 in ['first']" in str(error.value)
    assert "later first at step 4" in str(error.value)
    assert "good" not in str(error.value).replace("good checkpoint", "")


def test_progress_shows_losses_and_throughput_without_a_terminal():
    text = io.StringIO()
    run(console=Console(file=text, width=200), description="stage 1", num_steps=2)
    assert "stage 1 2/2  seen 0.5  images_per_second" in text.getvalue()


def test_progress_bar_on_a_terminal():
    text = io.StringIO()
    run(console=Console(file=text, width=200, force_terminal=True), description="stage 1")
    assert "6/6" in text.getvalue()
    assert "seen 4.5" in text.getvalue()


@pytest.mark.parametrize("name", ["checkpoint_every", "evaluate_every"])
def test_what_happens_between_log_points_is_refused(name):
    with pytest.raises(ValueError, match=rf"{name} \(3\) must be a multiple"):
        run(**{name: 3})

"""A run that is cut and continued ends with the very parameters of one that was not."""

import functools
import importlib
import signal
from pathlib import Path

import chex
import flax.linen as nn
import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from twodasl_jax.training import parallel, step_log
from twodasl_jax.training.best_checkpoint import BestCheckpoint
from twodasl_jax.training.checkpoint import Checkpointer
from twodasl_jax.training.fall_back import restore_newest_whole
from twodasl_jax.training.loop import Intervals, train
from twodasl_jax.training.optimizer import OptimizerOptions, make_optimizer
from twodasl_jax.training.prediction_checkpoint import restore_for_prediction
from twodasl_jax.training.run_description import RunDescription
from twodasl_jax.training.state import apply_gradients, create_state
from twodasl_jax.training.step_log import NonFiniteError
from twodasl_jax.training.stop_request import TrainingInterrupted
from twodasl_jax.training.writers import MetricWriter, read_metrics


class Regressor(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(4, (3, 3))(x)
        x = nn.BatchNorm(use_running_average=False)(x)
        return nn.Dense(3)(nn.relu(x).mean((1, 2)))


class Critic(nn.Module):
    @nn.compact
    def __call__(self, p):
        return nn.Dense(1)(nn.relu(nn.Dense(5)(p)))[..., 0]


def make_optimizer_of_test():
    return make_optimizer(
        {
            "regressor": OptimizerOptions(
                name="sgd",
                learning_rate=0.05,
                schedule="exponential_decay",
                decay_steps=2,
                decay_rate=0.5,
                weight_decay=5e-4,
            ),
            "critic": OptimizerOptions(name="adam", learning_rate=1e-2),
        }
    )


@functools.cache  # Compiled once for all runs of this file; states are made anew.
def make_run():
    mesh = parallel.make_mesh(num_devices=2)
    regressor, critic, optimizer = Regressor(), Critic(), make_optimizer_of_test()
    variables = regressor.init(jax.random.key(0), jnp.zeros((1, 6, 6, 1)))
    critic_params = critic.init(jax.random.key(1), jnp.zeros((1, 3)))["params"]

    def fresh_state():
        state = create_state(
            {"regressor": variables["params"], "critic": critic_params},
            {"regressor": variables["batch_stats"]},
            optimizer,
        )
        return parallel.replicate(state, mesh)

    def step(state, batch, constants):
        noise = jax.random.normal(jax.random.fold_in(jax.random.key(7), state.step), (8, 3))

        def loss(params):
            predicted, changed = regressor.apply(
                {"params": params["regressor"], "batch_stats": state.batch_stats["regressor"]},
                batch["image"],
                mutable=["batch_stats"],
            )
            fit = jnp.mean((predicted - batch["target"] + 0.1 * noise) ** 2)
            logits = critic.apply({"params": params["critic"]}, jax.lax.stop_gradient(predicted))
            adversarial = optax.sigmoid_binary_cross_entropy(logits, jnp.ones_like(logits)).mean()
            poison = jnp.where(state.step + 1 == constants["poisoned_step"], jnp.nan, 0.0)
            metrics = {"fit": fit + poison, "adversarial": adversarial}
            return metrics["fit"] + adversarial, (metrics, changed["batch_stats"])

        gradients, (metrics, batch_stats) = jax.grad(loss, has_aux=True)(state.params)
        new = apply_gradients(state, gradients, optimizer, batch_stats={"regressor": batch_stats})
        return new, metrics

    return mesh, fresh_state, parallel.compile_step(step, mesh)


def make_batches():
    random = np.random.default_rng(3)
    images = random.normal(size=(24, 6, 6, 1)).astype(np.float32)
    targets = random.normal(size=(24, 3)).astype(np.float32)
    return iter(
        grain.MapDataset.range(24)
        .shuffle(seed=5)
        .repeat()
        .map(lambda i: {"image": images[i], "target": targets[i]})
        .batch(8)
        .to_iter_dataset()
    )


def run(
    folder: Path,
    num_steps,
    *,
    poisoned_step=-1,
    on_step=None,
    log_every=1,
    evaluate_every=0,
    **options,
):
    """What one invocation of the command does: fresh objects, continue if there is something."""
    mesh, fresh_state, compiled = make_run()
    state = fresh_state()
    constants = parallel.replicate({"poisoned_step": jnp.asarray(poisoned_step)}, mesh)
    batches = make_batches()

    def step_fn(state, batch):
        result = compiled(state, batch, constants)
        if on_step:
            on_step()
        return result

    with Checkpointer(folder / "checkpoints", RunDescription({"seed": 1})) as checkpointer:
        resumed_step = checkpointer.latest_step() or 0
        so_far = None
        if resumed_step:
            restored = checkpointer.restore(state)
            state, so_far = restored.state, restored.so_far
            batches.set_state(restored.position)
        with MetricWriter(folder, resumed_step=resumed_step) as writer:
            return train(
                state,
                step_fn,
                batches,
                num_steps=num_steps,
                place_batch=lambda batch: parallel.shard_batch(batch, mesh),
                batch_size=8,
                checkpointer=checkpointer,
                writer=writer,
                so_far=so_far,
                intervals=Intervals(log=log_every, checkpoint=3, evaluate=evaluate_every),
                **options,
            )


def losses(folder):
    return {k: v for k, v in read_metrics(folder).items() if k != "images_per_second"}


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Folder and last state of six steps without a cut."""
    folder = tmp_path_factory.mktemp("straight")
    return folder, run(folder, 6)


def test_six_straight_is_three_and_three(tmp_path, straight):
    run(tmp_path / "cut", 3)
    continued = run(tmp_path / "cut", 6)
    assert int(continued.step) == 6
    # Equal to the last bit, not close: the same program on the same numbers.
    chex.assert_trees_all_equal(straight[1], continued)
    assert losses(straight[0]) == losses(tmp_path / "cut")
    _, _, compiled = make_run()
    assert compiled._cache_size() == 1, "compiled again after the resume"


def test_unfinished_run_continues_over_a_later_unsaved_part(tmp_path, straight):
    """Killed after step 5 with a checkpoint of step 3: steps 4, 5 are done and written again."""

    class KilledError(Exception):
        pass

    countdown = iter(range(6))

    def kill_at_the_sixth():
        if next(countdown) == 5:
            raise KilledError

    with pytest.raises(KilledError):
        run(tmp_path / "cut", 6, on_step=kill_at_the_sixth)
    assert [step for step, _ in losses(tmp_path / "cut")["fit"]] == [1, 2, 3, 4, 5]
    continued = run(tmp_path / "cut", 6)
    chex.assert_trees_all_equal(straight[1], continued)
    assert losses(straight[0]) == losses(tmp_path / "cut")


def test_non_finite_loss_names_term_and_step_and_keeps_the_good_checkpoint(tmp_path, straight):
    with pytest.raises(NonFiniteError, match=r"started at step 5 in \['fit'\]"):
        run(tmp_path, 9, poisoned_step=5, log_every=3)
    assert not any(np.isnan(value) for _, value in losses(tmp_path)["fit"])
    # Cured, the run goes on from step 3 as if nothing had been.
    continued = run(tmp_path, 6)
    chex.assert_trees_all_equal(straight[1], continued)


def test_sigterm_saves_and_leaves(tmp_path, straight):
    countdown = iter(range(9))

    def terminate_in_the_second():
        if next(countdown) == 1:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(TrainingInterrupted, match="stopped at step 2 and saved"):
        run(tmp_path / "cut", 6, on_step=terminate_in_the_second)
    continued = run(tmp_path / "cut", 6)
    chex.assert_trees_all_equal(straight[1], continued)


def kernel_size(networks):
    """A number that any change of the networks changes; it fetches, as a real evaluator does."""
    yield (
        "eval/size",
        float(np.square(jax.device_get(networks.params["critic"]["Dense_0"])["kernel"]).sum()),
    )


def evaluated(folder, num_steps, **options):
    with BestCheckpoint(
        folder / "best", RunDescription({}), metric="eval/size", mode="max"
    ) as best:
        return run(
            folder,
            num_steps,
            evaluate_every=1,
            evaluators=[kernel_size],
            best=best,
            **options,
        )


def test_a_run_that_is_evaluated_and_cut_is_still_the_same(tmp_path, straight):
    whole = evaluated(tmp_path / "whole", 6)
    chex.assert_trees_all_equal(straight[1], whole)
    countdown = iter(range(9))

    def terminate_in_the_fifth():
        if next(countdown) == 4:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(TrainingInterrupted, match="stopped at step 5"):
        evaluated(tmp_path / "cut", 6, on_step=terminate_in_the_fifth)
    continued = evaluated(tmp_path / "cut", 6)
    chex.assert_trees_all_equal(straight[1], continued)
    assert losses(tmp_path / "whole") == losses(tmp_path / "cut")
    assert len(losses(tmp_path / "cut")["eval/size"]) == 6
    best = [restore_for_prediction(tmp_path / name / "best") for name in ("whole", "cut")]
    assert best[0].step == best[1].step
    chex.assert_trees_all_equal(best[0].params, best[1].params)


@pytest.mark.parametrize(
    ("moment", "count", "stopped_at", "saved"),
    [
        ("step_log.StepLog.add", 1, 1, [1]),
        ("step_log.StepLog.write_scores", 1, 4, [3, 4]),
        ("checkpoint.Checkpointer.save", 2, 6, [3, 6]),
        ("checkpoint.Checkpointer.wait", 1, 6, [3, 6]),
    ],
)
def test_whenever_the_signal_comes_what_is_told_is_true(
    tmp_path, straight_by_threes, monkeypatch, moment, count, stopped_at, saved
):
    """Between log points too: a straight run's rows are those of the pieces, to the last bit."""
    module, owner, name = moment.split(".")
    cls = getattr(importlib.import_module(f"twodasl_jax.training.{module}"), owner)
    usual, countdown = getattr(cls, name), iter(range(100))

    def interrupted(*arguments):
        if next(countdown) == count - 1:
            signal.raise_signal(signal.SIGTERM)
        return usual(*arguments)

    monkeypatch.setattr(cls, name, interrupted)
    with pytest.raises(TrainingInterrupted, match=rf"stopped at step {stopped_at} and saved"):
        by_threes(tmp_path / "cut")
    steps = sorted(int(p.name) for p in (tmp_path / "cut" / "checkpoints").iterdir())
    assert steps == saved
    continued = by_threes(tmp_path / "cut")
    chex.assert_trees_all_equal(straight_by_threes[1], continued)
    assert losses(tmp_path / "cut") == losses(straight_by_threes[0])


def by_threes(folder):
    """Six steps, logged, evaluated and saved at the third and the last."""
    return run(folder, 6, log_every=3, evaluate_every=3, evaluators=[kernel_size])


@pytest.fixture(scope="module")
def straight_by_threes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight_by_threes")
    return folder, by_threes(folder)


def test_a_loss_that_is_not_finite_is_not_saved_by_a_stop(tmp_path):
    countdown = iter(range(9))

    def terminate_in_the_second():
        if next(countdown) == 1:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(NonFiniteError, match=r"started at step 2 in \['fit'\]"):
        run(tmp_path, 6, poisoned_step=2, on_step=terminate_in_the_second, log_every=3)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_seconds_are_those_of_all_pieces(tmp_path, monkeypatch):
    """A clock that goes on by one second with every look."""
    looks = iter(range(10_000))
    monkeypatch.setattr(step_log.time, "perf_counter", lambda: float(next(looks)))
    run(tmp_path, 3)
    first = seconds_of(tmp_path)
    run(tmp_path, 6)
    # The second piece looks as often as the first.
    assert seconds_of(tmp_path) == pytest.approx(2 * first, abs=2)


def seconds_of(folder):
    _, fresh_state, _ = make_run()
    with Checkpointer(folder / "checkpoints", RunDescription({"seed": 1})) as checkpointer:
        return checkpointer.restore(fresh_state()).so_far.seconds


def test_a_run_falls_back_from_a_damaged_checkpoint_to_the_same_end(tmp_path, straight):
    """The rows after the whole checkpoint go too, and are written again."""
    run(tmp_path, 6)
    (tmp_path / "checkpoints" / "6" / "networks" / "manifest.ocdbt").write_bytes(b"")
    _, fresh_state, _ = make_run()
    with Checkpointer(tmp_path / "checkpoints", RunDescription({"seed": 1})) as checkpointer:
        restored = restore_newest_whole(checkpointer, fresh_state(), on_damaged="fall_back")
    assert restored is not None
    assert int(restored.state.step) == 3
    continued = run(tmp_path, 6)
    chex.assert_trees_all_equal(straight[1], continued)
    assert losses(straight[0]) == losses(tmp_path)

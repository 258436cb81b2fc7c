"""A run that is cut and continued ends with the very parameters of one that was not."""

import functools
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

from twodasl_jax.training import parallel
from twodasl_jax.training.best_checkpoint import BestCheckpoint
from twodasl_jax.training.checkpoint import Checkpointer, restore_for_prediction
from twodasl_jax.training.loop import train
from twodasl_jax.training.optimizer import OptimizerOptions, make_optimizer
from twodasl_jax.training.state import apply_gradients, create_state, step_key
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
        noise = jax.random.normal(step_key(jax.random.key(7), state), (8, 3))

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


def run(folder: Path, num_steps, *, poisoned_step=-1, on_step=None, **options):
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

    with Checkpointer(folder / "checkpoints", config={"seed": 1}) as checkpointer:
        resumed_step = checkpointer.latest_step() or 0
        if resumed_step:
            restored = checkpointer.restore(state)
            state = restored.state
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
                **{"log_every": 1, "checkpoint_every": 3} | options,
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
    with BestCheckpoint(folder / "best", metric="eval/size", mode="max", config={}) as best:
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

"""Trains the stages of a config in order, scoring before, between and after them."""

import contextlib
import functools
import time
from typing import Any

import jax
from rich.console import Console

from twodasl_jax.array_types import AnnotatedBatch, Batch, InTheWildBatch
from twodasl_jax.experiment.run.assembly import Stage, intervals_of
from twodasl_jax.experiment.run.trained import TrainedRun
from twodasl_jax.experiment.run.workdir import Workdir, checkpoint_steps
from twodasl_jax.experiment.scores import report
from twodasl_jax.experiment.scores.evaluation import evaluate_networks
from twodasl_jax.experiment.scores.while_training import make_set_evaluator, validation_sets
from twodasl_jax.experiment.settings.experiment_settings import ExperimentSettings
from twodasl_jax.experiment.sources.training_data import in_the_wild_batch_size, make_batches
from twodasl_jax.experiment.sources.validation import make_validation_evaluator
from twodasl_jax.experiment.start.experiment_checks import BEFORE
from twodasl_jax.experiment.start.run_start import Run, start_run
from twodasl_jax.face_model.landmarks import landmark_model
from twodasl_jax.jobs.predict import check_photo, reconstruct_photo
from twodasl_jax.methods.method import Method
from twodasl_jax.training import parallel
from twodasl_jax.training.best_checkpoint import BestCheckpoint
from twodasl_jax.training.checkpoint import Checkpointer
from twodasl_jax.training.fall_back import restore_newest_whole
from twodasl_jax.training.loop import train as run_steps
from twodasl_jax.training.prediction_checkpoint import restore_for_prediction
from twodasl_jax.training.run_description import RunSoFar
from twodasl_jax.training.state import Networks, TrainState, create_state
from twodasl_jax.training.step_log import Evaluator
from twodasl_jax.training.writers import MetricWriter


def train(
    config: ExperimentSettings | None,
    *,
    workdir: str,
    image: list[str] | None = None,
    box: Any = None,
    face_model: str | None = None,
) -> None:
    """Trains all stages; a stopped run goes on where it was.

    Args:
      config: the experiment, or None to go on with the one in the workdir.
      workdir: where everything is written.
      image: photograph to reconstruct at the end, instead of the config's.
      box: the face in it.
      face_model: where the face model lies, before what the config says.

    Raises:
      ValueError, OSError: settings that are wrong, data or face model absent or broken, or
        another process that trains here; nothing is written then. Later, where no checkpoint is
        whole, or something cannot be written.
      TrainingInterrupted: after SIGTERM or Ctrl-C in the steps of a stage, which is saved then;
        at other moments the signal is `run_mode`'s.
    """
    check_photo(image, box)
    parallel.enable_compilation_cache()
    with contextlib.ExitStack() as held:
        run, networks = start_run(
            config,
            Workdir(workdir),
            Console(markup=False, emoji=False),
            face_model=face_model,
            held=held,
        )
        _train_stages(run, networks, image=image, box=box)


def _train_stages(
    run: Run, networks: Networks | None, *, image: list[str] | None, box: Any
) -> None:
    for index, stage in enumerate(run.stages):
        if index == 0:
            _evaluate_once(run, BEFORE, stage, networks)
        networks = _train_stage(run, stage, networks)
        _evaluate_once(run, stage.name, stage, networks)
    report.write_pictures(run.workdir, [stage.name for stage in run.stages], run.sets)
    report.print_table(run.workdir, run.console)
    try:
        reconstruct_photo(run.workdir, image=image, box=box, console=run.console)
    except ValueError as error:
        # The training is done and scored; networks that saw little may see no face in a photograph.
        run.console.print(f"no picture of the photograph: {error}", style="red", markup=False)


def _starting_networks(seed: int, method: Method, earlier: Networks | None) -> Networks:
    """Fresh networks, replaced by those of an earlier stage where there are any."""
    # rbg: threefry's own arithmetic, once per kernel, takes three times as long to compile.
    params, batch_stats = method.init(jax.random.key(seed, impl="rbg"))
    if earlier is not None:
        params |= {name: earlier.params[name] for name in params if name in earlier.params}
        batch_stats |= {
            name: earlier.batch_stats[name] for name in batch_stats if name in earlier.batch_stats
        }
    return Networks(params, batch_stats)


def _train_stage(run: Run, stage: Stage, earlier: Networks | None) -> Networks:
    """One stage, from its newest checkpoint if it has any; gives what the next one starts from."""
    mesh, method, num_steps = parallel.make_mesh(), stage.method, stage.settings.num_steps
    started = _starting_networks(run.seed, method, earlier)
    state = parallel.replicate(create_state(*started, stage.optimizer), mesh)
    constants = parallel.replicate(run.constants, mesh)
    batches = make_batches(
        run.data,
        run.sources,
        stage,
        seed=run.seed,
        coefficient_mirror=run.coefficient_mirror,
    )
    compiled = parallel.compile_step(
        functools.partial(method.step, optimizer=stage.optimizer), mesh
    )
    checkpoints = Checkpointer(
        run.workdir.checkpoints(stage.name), run.description, max_to_keep=run.training.max_to_keep
    )
    so_far = RunSoFar()
    with checkpoints as checkpointer, _open_best(run, stage.name) as best:
        restored = restore_newest_whole(
            checkpointer, state, on_damaged=run.training.on_damaged_checkpoint
        )
        if restored is not None:
            state, so_far = restored.state, restored.so_far
            # A finished stage reads nothing more, whatever has become of its data.
            if int(state.step) < num_steps:
                batches.set_state(restored.position)
        first_step, start = int(state.step), time.perf_counter()
        with MetricWriter(run.workdir.logs(stage.name), resumed_step=first_step) as writer:
            state = run_steps(
                state,
                lambda state, batch: compiled(state, batch, constants),
                batches,
                num_steps=num_steps,
                place_batch=lambda batch: parallel.shard_batch(_typed(batch), mesh),
                batch_size=run.data.annotated_batch_size + in_the_wild_batch_size(run.data, method),
                intervals=intervals_of(run.training),
                evaluators=_evaluators(run, method),
                checkpointer=checkpointer,
                best=best,
                writer=writer if parallel.is_primary_process() else None,
                so_far=so_far,
                console=run.console,
                description=stage.name,
            )
    # A stop at the last step leaves a finished stage that nothing was written of.
    if first_step < num_steps or stage.name not in run.workdir.read_results()["stages"]:
        seconds = round(so_far.seconds + time.perf_counter() - start, 1)
        told = {"steps": num_steps, "from_step": so_far.from_step, "seconds": seconds}
        run.workdir.add_result("stages", stage.name, told)
    return _networks_to_hand_on(run, stage.name, state)


def _open_best(run: Run, stage: str) -> contextlib.AbstractContextManager[BestCheckpoint | None]:
    if not run.training.evaluate_every:
        return contextlib.nullcontext()
    chosen = run.training.best
    return BestCheckpoint(
        run.workdir.best(stage), run.description, metric=chosen.metric, mode=chosen.mode
    )


def _evaluators(run: Run, method: Method) -> tuple[Evaluator, ...]:
    if not run.training.evaluate_every:
        return ()
    evaluation, face_model = run.evaluation, run.face_model
    method = method.with_passes(evaluation.num_passes)
    arrays, size = run.description.arrays, evaluation.batch_size
    constants = run.family.prediction_constants(face_model, arrays, dense=False)
    chosen = {settings.name for settings in validation_sets(evaluation.sets)}
    evaluators = [
        make_set_evaluator(each, method, constants, batch_size=size)
        for each in run.sets
        if each.name in chosen
    ]
    if run.validation_faces is not None:
        held_out = make_validation_evaluator(
            run.validation_faces, method, constants, landmark_model(face_model), batch_size=size
        )
        evaluators.append(held_out)
    return tuple(evaluators)


def _networks_to_hand_on(run: Run, stage: str, state: TrainState) -> Networks:
    if run.training.checkpoint == "newest":
        return state.networks
    best = restore_for_prediction(run.workdir.best(stage))
    run.console.print(f"{stage}: best by validation at step {best.step}; going on from there")
    return Networks(best.params, best.batch_stats)


def _step_handed_on(run: Run, stage: Stage) -> int:
    if run.training.checkpoint == "newest":
        return stage.settings.num_steps
    return max(checkpoint_steps(run.workdir.best(stage.name)))


def _typed(batch: dict[str, dict[str, Any]]) -> Batch:
    """The pipeline's dicts as the step's types."""
    wild, size = batch.get("in_the_wild"), batch["annotated"]["image"].shape[1]
    return Batch(
        AnnotatedBatch(**batch["annotated"]),
        InTheWildBatch.empty(crop_size=size) if wild is None else InTheWildBatch(**wild),
    )


def _evaluate_once(run: Run, moment: str, stage: Stage, networks: Networks | None) -> None:
    """Scores all sets, unless results.json has this moment already (a run that goes on).

    A stage that was scored on the way (``--mode=evaluate`` of a stopped run) is scored again.
    """
    step = 0 if moment == BEFORE else _step_handed_on(run, stage)
    scored = run.workdir.read_results()["evaluations"].get(moment)
    # Earlier versions noted no step.
    if not run.sets or (scored and all(s.get("step", step) == step for s in scored.values())):
        return
    trained = TrainedRun(
        run.description.settings_json,
        stage.name,
        step,
        run.face_model,
        run.family,
        stage.method.with_passes(run.evaluation.num_passes),
        _starting_networks(run.seed, stage.method, networks),
        run.description.arrays,
    )
    evaluate_networks(
        run.workdir, trained, run.sets, run.console, moment=moment, evaluation=run.evaluation
    )

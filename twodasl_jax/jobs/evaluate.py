"""Scores networks on the evaluation sets of a config: 68 landmarks, NME in %."""

import dataclasses
import functools
from pathlib import Path

from rich.console import Console

from twodasl_jax.experiment.run.folder_lock import hold_folder, hold_output
from twodasl_jax.experiment.run.trained import load_trained_run
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.scores import report
from twodasl_jax.experiment.scores.benchmark import score_benchmark
from twodasl_jax.experiment.scores.evaluation import (
    check_evaluation,
    evaluate_networks,
    make_evaluation_sets,
    open_given_sets,
)
from twodasl_jax.experiment.settings.benchmark_settings import BenchmarkSettings
from twodasl_jax.experiment.settings.experiment_settings import ExperimentSettings
from twodasl_jax.experiment.sources.rendered_data import check_rendered, ensure_rendered


def evaluate(
    config: ExperimentSettings | BenchmarkSettings | None,
    *,
    workdir: str,
    checkpoint: str | None = None,
    predictions: str | None = None,
    face_model: str | None = None,
) -> None:
    """Scores a benchmark where the config names one, else a trained run on its evaluation sets.

    Args:
      config: with a ``benchmark``: see `score_benchmark`. Else its ``evaluation`` group is used,
        its ``training.checkpoint`` and ``face_model.path`` as for `predict`; or those of the run
        where None.
      workdir: of a benchmark, the folder to write; else a trained run.
      checkpoint: of a benchmark: a trained network (`open_trained`).
      predictions: of a benchmark: a predictions file.
      face_model: where the run's face model lies now; or the one of the coefficients in
        `predictions`.
    """
    given = {"checkpoint": checkpoint, "predictions": predictions}
    if isinstance(config, BenchmarkSettings):
        with hold_output(Path(workdir), doing="writes scores there"):
            score_benchmark(config, workdir=workdir, face_model=face_model, **given)
        return
    named = [flag for flag, value in given.items() if value is not None]
    if named:
        raise ValueError(
            f"--{named[0]} is for a benchmark: --config=configs/evaluation.py "
            "--config.benchmark=aflw2000_3d --config.data_dir=FOLDER"
        )
    run = Workdir(workdir)
    own = run.read_config()  # a folder that holds no run is not made one by its lock
    with hold_folder(run.folder, doing="scores this run"):
        _evaluate_run(own, config or own, run, face_model)


def _evaluate_run(
    own: ExperimentSettings, asked: ExperimentSettings, run: Workdir, face_model: str | None
) -> None:
    console, evaluation = Console(markup=False, emoji=False), asked.evaluation
    trained = load_trained_run(
        run, asked.run_choice, face_model=face_model, num_passes=evaluation.num_passes
    )
    own = dataclasses.replace(own, evaluation=evaluation)
    check_evaluation(evaluation)
    check_rendered(own.faces)
    if not evaluation.sets:
        raise ValueError("the config names no evaluation.sets; there is nothing to score")
    render = functools.partial(
        ensure_rendered,
        run.folder,
        face_model=trained.face_model,
        console=console,
        crop_size=trained.method.crop_size,
    )
    given = open_given_sets(evaluation.sets)
    sets = make_evaluation_sets(evaluation.sets, given, render=render)
    evaluate_networks(run, trained, sets, console, moment=trained.stage, evaluation=evaluation)
    report.write_pictures(run, [stage.name for stage in own.stages], sets)
    report.print_table(run, console)

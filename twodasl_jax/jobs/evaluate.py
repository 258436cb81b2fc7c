"""Scores networks on the evaluation sets of a config: 68 landmarks, NME in %."""

import dataclasses
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
from twodasl_jax.experiment.sources.rendered_data import check_rendered


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
    run.read_config()  # a folder that holds no run is not made one by its lock
    with hold_folder(run.folder, doing="scores this run"):
        _evaluate_run(config, run, face_model, Console(markup=False, emoji=False))


def _evaluate_run(
    config: ExperimentSettings | None, run: Workdir, face_model: str | None, console: Console
) -> None:
    num_passes = None if config is None else config.evaluation.num_passes
    trained = load_trained_run(run, config, face_model=face_model, num_passes=num_passes)
    if config is not None:
        scored = dataclasses.replace(trained.config, evaluation=config.evaluation)
        trained = trained._replace(config=scored)
    check_evaluation(trained.config)
    check_rendered(trained.config)
    if not trained.config.evaluation.sets:
        raise ValueError("the config names no evaluation.sets; there is nothing to score")
    given = open_given_sets(trained.config)
    sets = make_evaluation_sets(trained.config, run.folder, trained.face_model, console, given)
    evaluate_networks(run, trained, sets, console, moment=trained.stage)
    report.write_pictures(run, [stage.name for stage in trained.config.stages], sets)
    report.print_table(run, console)

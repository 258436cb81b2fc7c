"""The modes of the command line and the flags that each takes.

Mode ``x`` is the function ``x`` of the module ``twodasl_jax.jobs.x``, unless it names another. It
is imported when it runs:
``--help`` answers at once, and processes that a mode starts load only what they need.
"""

import contextlib
import importlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from twodasl_jax.experiment.run.folder_lock import hold_output
from twodasl_jax.training.stop_request import stopping_at_once

if TYPE_CHECKING:
    from twodasl_jax.experiment.settings.benchmark_settings import BenchmarkSettings
    from twodasl_jax.experiment.settings.experiment_settings import ExperimentSettings

EXPERIMENT, BENCHMARK = "experiment", "benchmark"
"""Kinds of configs: something to train, and something to score on."""

EVERYTHING = ("",)
"""As `Mode.settings`: the mode reads the whole config."""


class Mode(NamedTuple):
    """The flags that a job takes.

    Attributes:
      about: what it does, in a line.
      required: flags that must be given.
      optional: flags that may be.
      configs: kinds of ``--config`` that it reads; none: it reads no config.
      settings: which settings of an experiment it reads.
      replaces: flag of a folder that it writes as a whole: one process at a time.
      stopped: what a stop signal leads to outside the steps of a training; '' is no way of its own.
      keeps_memory: whether it runs one program many times (`keep_freed_memory`).
      job: module and function, where the mode's name cannot be theirs.
    """

    about: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    settings: tuple[str, ...] = EVERYTHING
    replaces: str | None = None
    stopped: str = ""
    keeps_memory: bool = False
    job: str = ""


_OF_NETWORKS = (
    *("crop_source", "landmark_map_source", "detector", "landmarks_file"),
    *("stage", "num_passes", "batch_size"),
)
"""Settings of a benchmark that predictions of other systems have no use for."""

_RUN_SETTINGS = ("training.checkpoint", "face_model.path")
"""What a trained run still takes from a config."""

MODES: dict[str, Mode] = {
    "train": Mode(
        "trains an experiment: all of its stages, or what is left of them",
        ("workdir",),
        ("image", "box", "face_model"),
        (EXPERIMENT,),
        stopped="stopped; all that was finished before is kept: run it again to go on",
        keeps_memory=True,
    ),
    "evaluate": Mode(
        "scores a network, or any system's predictions, on a benchmark",
        ("workdir",),
        ("checkpoint", "predictions", "face_model"),
        (EXPERIMENT, BENCHMARK),
        (*_RUN_SETTINGS, "evaluation"),
    ),
    "predict": Mode(
        "reconstructs the faces of photographs, of a video or of a camera",
        (),
        (
            "workdir",
            "checkpoint",
            "image",
            "video",
            "camera",
            "box",
            "outputs",
            "mesh_formats",
            "output",
            "detector",
            "num_passes",
            "max_frames",
            "smooth",
            "face_model",
        ),
        (EXPERIMENT,),
        _RUN_SETTINGS,
    ),
    "serve": Mode(
        "the same as a page of this machine, for uploads",
        (),
        (
            *("workdir", "checkpoint", "host", "port", "max_upload_megabytes"),
            *("detector", "num_passes", "face_model"),
        ),
        (EXPERIMENT,),
        _RUN_SETTINGS,
    ),
    "prepare": Mode(
        "prepares a data set from its owners' files, for training or scoring",
        ("dataset", "manual_dir"),
        ("data_dir",),
    ),
    "annotate": Mode(
        "fits 3D coefficients to photographs that have 2D landmarks",
        ("images", "output"),
        ("landmarks", "detector", "face_model", "contour", "prior", "prior_weight", "max_residual"),
        replaces="output",
    ),
    "retarget": Mode(
        "turns fits of BFM into fits of the open face model, or back",
        ("images", "face_model", "output"),
        ("open_face", "max_residual"),
        replaces="output",
    ),
    "profile": Mode(
        "turns fitted photographs to larger yaw, for training on profiles",
        ("fits", "output"),
        ("face_model", "max_residual", "num_faces"),
        replaces="output",
    ),
    "import": Mode(
        "turns weights of PyTorch into a folder that is read as a training's",
        ("torch", "kind", "workdir"),
        ("whitening", "face_model"),
        job="import_weights",
    ),
    "pack": Mode(
        "writes the networks of a training into one file, to predict with elsewhere",
        ("checkpoint", "output", "licence", "card"),
        ("images", "face_model"),
        (EXPERIMENT,),
        _RUN_SETTINGS,
    ),
    "compare": Mode(
        "compares systems that were scored on a benchmark",
        ("results",),
        ("output", "published", "without_worst", "set_name", "over_seeds"),
    ),
    "doctor": Mode(
        "shows what is here and what is missing, and how to get it", (), ("workdir",), (EXPERIMENT,)
    ),
}
"""``--mode`` -> its flags."""


def job_of(name: str) -> Callable[..., None]:
    """The function of a mode: ``job(flag=value, ...)``, settings first where it reads a config."""
    job = MODES[name].job or name  # `import` is a word of Python's own
    return getattr(importlib.import_module(f"twodasl_jax.jobs.{job}"), job)


def run_mode(
    name: str, config: Any, options: Mapping[str, Any], given: Collection[str] = ()
) -> None:
    """Runs one mode with its own share of the command line's flags.

    Args:
      name: key of `MODES`.
      config: what ``--config`` gave, or None; a job that reads one takes it as settings.
      options: every flag's value; None where it was not given.
      given: flags that stand on the command line, ``config.…`` for settings of a config.

    Raises:
      ValueError: naming a flag that the mode needs and did not get, or got and does not read; or a
        setting that is unknown, missing or of another type.
      TrainingInterrupted: after SIGTERM or Ctrl-C, where the mode is one that goes on afterwards.
    """
    mode = MODES[name]
    taken = (*mode.required, *mode.optional)
    _refuse_unread_flags(name, [flag for flag in given if flag in options and flag not in taken])
    changed = [flag for flag in given if flag.startswith("config.")]
    _check_config(name, config, changed, predicted="predictions" in given)
    missing = [flag for flag in mode.required if options[flag] is None]
    if missing:
        needed = ", ".join(f"--{flag}" for flag in mode.required)
        raise ValueError(f"no --{missing[0]} was given; this mode needs {needed} (--help)")
    with contextlib.ExitStack() as held:
        if mode.stopped:  # from here on: its imports alone take seconds
            held.enter_context(stopping_at_once(mode.stopped))
        job = job_of(name)
        if mode.replaces is not None:
            folder = Path(options[mode.replaces])
            held.enter_context(hold_output(folder, doing=f"writes it (--mode={name})"))
        settings = (_read_config(config),) if mode.configs else ()
        job(*settings, **{flag: options[flag] for flag in taken})


def _refuse_unread_flags(name: str, unread: Collection[str]) -> None:
    for flag in unread:
        readers = [
            other for other, mode in MODES.items() if flag in (*mode.required, *mode.optional)
        ]
        raise ValueError(
            f"--mode={name} does not read --{flag}, which is for --mode={', '.join(readers)}; "
            "leave it out, or choose that mode"
        )


def _check_config(name: str, config: Any, changed: Collection[str], *, predicted: bool) -> None:
    """Refuses a config that the mode does not read, one of another kind, and unread settings."""
    if config is None:
        return
    mode = MODES[name]
    if not mode.configs:
        readers = ", ".join(other for other, each in MODES.items() if each.configs)
        raise ValueError(f"--mode={name} does not read --config, which is for --mode={readers}")
    kind = BENCHMARK if _is_benchmark(config) else EXPERIMENT
    if kind not in mode.configs:
        raise ValueError(
            f"--config names a benchmark to score on (--mode=evaluate), and --mode={name} needs an "
            "experiment, such as configs/quickstart.py"
        )
    if kind == BENCHMARK:
        if predicted:
            _refuse_settings_of_networks(changed)
        return
    for setting in changed:
        key = setting.removeprefix("config.")
        if not any(_is_under(key, read) for read in mode.settings):
            raise ValueError(
                f"--mode={name} does not read --{setting}: of an experiment it reads "
                f"{', '.join(mode.settings)}, all else is that of the trained run; leave it out"
            )


def _refuse_settings_of_networks(changed: Collection[str]) -> None:
    for setting in changed:
        if setting.removeprefix("config.") in _OF_NETWORKS:
            raise ValueError(
                f"--{setting} says what a trained run is shown (--checkpoint), and --predictions "
                "are scored as they are; leave it out"
            )


def _read_config(config: Any) -> "ExperimentSettings | BenchmarkSettings | None":
    if config is None:
        return None
    # Not at the head: --help answers without JAX.
    from twodasl_jax.experiment.settings.benchmark_settings import BenchmarkSettings
    from twodasl_jax.experiment.settings.reading import experiment_settings, read_settings

    if _is_benchmark(config):
        return read_settings(BenchmarkSettings, config)
    return experiment_settings(config)


def _is_benchmark(config: Any) -> bool:
    return "benchmark" in config


def _is_under(key: str, read: str) -> bool:
    """Whether a setting is one that is read, or lies in a group of these."""
    return (read,) == EVERYTHING or key == read or key.startswith((f"{read}.", f"{read}["))

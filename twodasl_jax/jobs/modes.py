"""The modes of run.py: each a job and the flags that it takes."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from twodasl_jax.jobs.annotate import annotate
from twodasl_jax.jobs.compare import compare
from twodasl_jax.jobs.doctor import doctor
from twodasl_jax.jobs.evaluate import evaluate
from twodasl_jax.jobs.predict import predict
from twodasl_jax.jobs.prepare import prepare
from twodasl_jax.jobs.train import train


@dataclasses.dataclass(frozen=True)
class Mode:
    """One job and the flags that it takes, beside the config.

    Attributes:
      job: called as ``job(config, flag=value, ...)``.
      required: flags that must be given.
      optional: flags that may be.
    """

    job: Callable[..., None]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


MODES: dict[str, Mode] = {
    "train": Mode(train, ("workdir",), ("image", "box")),
    "evaluate": Mode(evaluate, ("workdir",), ("checkpoint", "predictions", "face_model")),
    "predict": Mode(
        predict,
        ("workdir",),
        ("image", "box", "outputs", "mesh_formats", "output", "detector", "num_passes"),
    ),
    "prepare": Mode(prepare, ("dataset", "manual_dir"), ("data_dir",)),
    "annotate": Mode(
        annotate,
        ("images", "output"),
        ("landmarks", "detector", "face_model", "contour", "max_residual"),
    ),
    "compare": Mode(compare, ("results",), ("output", "published")),
    "doctor": Mode(doctor, (), ("workdir",)),
}
"""``--mode`` -> job."""


def run_mode(name: str, config: Any, options: Mapping[str, Any]) -> None:
    """Runs one mode with its own share of the command line's flags.

    Args:
      name: key of `MODES`.
      config: the experiment, or None.
      options: every flag's value; None where it was not given.

    Raises:
      ValueError: naming a flag that the mode needs and did not get.
    """
    mode = MODES[name]
    missing = [flag for flag in mode.required if options[flag] is None]
    if missing:
        needed = ", ".join(f"--{flag}" for flag in mode.required)
        raise ValueError(f"no --{missing[0]} was given; this mode needs {needed}")
    mode.job(config, **{flag: options[flag] for flag in (*mode.required, *mode.optional)})

"""The modes of run.py and the flags that each takes.

Mode ``x`` is the function ``x`` of the module ``twodasl_jax.jobs.x``. It is imported when it runs:
``--help`` answers at once, and processes that a mode starts load only what they need.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Mode(NamedTuple):
    """The flags that a job takes, beside the config.

    Attributes:
      required: flags that must be given.
      optional: flags that may be.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


MODES: dict[str, Mode] = {
    "train": Mode(("workdir",), ("image", "box")),
    "evaluate": Mode(("workdir",), ("checkpoint", "predictions", "face_model")),
    "predict": Mode(
        ("workdir",),
        (
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
        ),
    ),
    "serve": Mode(("workdir",), ("host", "port", "max_upload_megabytes", "detector", "num_passes")),
    "prepare": Mode(("dataset", "manual_dir"), ("data_dir",)),
    "annotate": Mode(
        ("images", "output"), ("landmarks", "detector", "face_model", "contour", "max_residual")
    ),
    "compare": Mode(("results",), ("output", "published", "without_worst")),
    "doctor": Mode((), ("workdir",)),
}
"""``--mode`` -> its flags."""


def job_of(name: str) -> Callable[..., None]:
    """The function of a mode, called as ``job(config, flag=value, ...)``."""
    return getattr(importlib.import_module(f"twodasl_jax.jobs.{name}"), name)


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
        raise ValueError(f"no --{missing[0]} was given; this mode needs {needed} (--help)")
    job = job_of(name)
    job(config, **{flag: options[flag] for flag in (*mode.required, *mode.optional)})

"""What run.py can do: the only modules that read a config."""

from collections.abc import Callable

from twodasl_jax.jobs.doctor import doctor
from twodasl_jax.jobs.evaluate import evaluate
from twodasl_jax.jobs.predict import predict
from twodasl_jax.jobs.train import train

MODES: dict[str, Callable[..., None]] = {
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "doctor": doctor,
}
"""``--mode`` -> job."""

NEEDS_WORKDIR = {"train", "evaluate", "predict"}
"""Modes that read or write a run: without ``--workdir`` they have none."""

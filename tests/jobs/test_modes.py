"""Modes and flags: every mode has its function, which takes exactly its flags; all is light."""

import inspect
import subprocess
import sys

import pytest

from twodasl_jax.jobs.modes import MODES, job_of, run_mode
from twodasl_jax.jobs.options import OPTIONS


@pytest.mark.parametrize("name", sorted(MODES))
def test_a_mode_is_a_function_of_its_flags(name):
    mode = MODES[name]
    taken = list(inspect.signature(job_of(name)).parameters)
    assert taken[1:] == [*mode.required, *mode.optional]
    assert set(taken[1:]) <= {option.name for option in OPTIONS}


def test_every_flag_belongs_to_a_mode():
    taken = {flag for mode in MODES.values() for flag in (*mode.required, *mode.optional)}
    assert taken == {option.name for option in OPTIONS}


def test_a_missing_flag_is_named():
    with pytest.raises(ValueError, match="no --manual_dir was given; this mode needs --dataset"):
        run_mode("prepare", None, {"dataset": "w300_lp", "manual_dir": None})


def test_what_help_needs_is_light(repository):
    """Processes that a mode starts import run.py again, and must not import JAX with it."""
    code = "import run, sys; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=repository, check=False).returncode == 0

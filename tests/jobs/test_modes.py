"""Modes and flags: every mode has its function, which takes exactly its flags; all is light."""

import inspect
import subprocess
import sys

import pytest

from configs import base, evaluation, quickstart
from twodasl_jax.jobs import modes
from twodasl_jax.jobs.modes import MODES, Mode, job_of, run_mode
from twodasl_jax.jobs.options import OPTIONS

ALL_FLAGS = [option.name for option in OPTIONS]
NOTHING = dict.fromkeys(ALL_FLAGS)


@pytest.mark.parametrize("name", sorted(MODES))
def test_a_mode_is_a_function_of_its_flags(name):
    mode = MODES[name]
    taken = list(inspect.signature(job_of(name)).parameters)
    flags = taken[1:] if mode.configs else taken
    assert set(flags) == {*mode.required, *mode.optional}
    assert set(flags) <= set(ALL_FLAGS)


def test_every_flag_belongs_to_a_mode():
    taken = {flag for mode in MODES.values() for flag in (*mode.required, *mode.optional)}
    assert taken == set(ALL_FLAGS)


def test_a_missing_flag_is_named():
    with pytest.raises(ValueError, match="no --manual_dir was given; this mode needs --dataset"):
        run_mode("prepare", None, {"dataset": "w300_lp", "manual_dir": None})


@pytest.mark.parametrize("name", sorted(MODES))
def test_every_flag_that_a_mode_does_not_read_is_refused_with_the_modes_that_do(name):
    mode = MODES[name]
    for flag in set(ALL_FLAGS) - {*mode.required, *mode.optional}:
        with pytest.raises(ValueError, match=rf"--mode={name} does not read --{flag}, .*--mode="):
            run_mode(name, None, NOTHING, [flag])


@pytest.mark.parametrize("name", ["annotate", "prepare", "compare"])
def test_a_config_is_refused_where_none_is_read(name):
    with pytest.raises(ValueError, match=f"--mode={name} does not read --config"):
        run_mode(name, quickstart.get_config(), NOTHING)


@pytest.mark.parametrize("name", ["train", "predict", "serve", "doctor"])
def test_a_config_of_another_kind_is_refused(name):
    with pytest.raises(ValueError, match=f"names a benchmark .*--mode={name} needs an experiment"):
        run_mode(name, evaluation.get_config(), NOTHING)


def test_a_config_that_is_no_experiment_is_refused():
    config = base.get_config()
    del config.models
    with pytest.raises(ValueError, match="the config lacks models; it has data, eval"):
        run_mode("train", config, NOTHING | {"workdir": "run"})


@pytest.mark.parametrize("name", ["predict", "serve", "evaluate"])
def test_settings_that_a_trained_run_has_of_its_own_are_refused(name):
    with pytest.raises(ValueError, match=r"does not read --config\.seed: .*training\.checkpoint"):
        run_mode(name, quickstart.get_config(), NOTHING, ["config.seed"])


@pytest.mark.parametrize("name", ["num_passes", "crop_source", "stage"])
def test_what_networks_are_shown_is_not_asked_of_predictions(name):
    flags = NOTHING | {"workdir": "out", "predictions": "theirs.npz"}
    with pytest.raises(ValueError, match=rf"--config\.{name} says what a trained run is shown"):
        run_mode("evaluate", evaluation.get_config(), flags, ["predictions", f"config.{name}"])


def test_a_setting_of_a_similar_name_is_another_one():
    with pytest.raises(ValueError, match=r"does not read --config\.training\.checkpoint_every"):
        run_mode("predict", quickstart.get_config(), NOTHING, ["config.training.checkpoint_every"])


def test_settings_that_are_read_pass(monkeypatch):
    called = []
    monkeypatch.setattr(modes, "job_of", lambda name: lambda config, **flags: called.append(flags))
    options = NOTHING | {"workdir": "run"}
    given = ["workdir", "config.training.checkpoint", "config.face_model.path"]
    run_mode("predict", quickstart.get_config(), options, given)
    run_mode("train", quickstart.get_config(), options, [*given, "config.seed"])
    run_mode("evaluate", quickstart.get_config(), options, ["config.evaluation.sets[0].num_faces"])
    run_mode("evaluate", evaluation.get_config(), options, ["config.data_dir"])
    assert len(called) == 4


def test_one_annotation_at_a_time(monkeypatch, tmp_path):
    def again(**flags):
        with pytest.raises(ValueError, match="in use: process"):
            run_mode("replacing", None, NOTHING | flags)

    monkeypatch.setitem(MODES, "replacing", Mode("", ("output",), replaces="output"))
    monkeypatch.setattr(modes, "job_of", lambda name: again)
    run_mode("replacing", None, NOTHING | {"output": str(tmp_path / "fits")})
    assert MODES["annotate"].replaces == "output"
    assert not list(tmp_path.iterdir())


def test_what_help_needs_is_light(repository):
    """Processes that a mode starts import run.py again, and must not import JAX with it."""
    code = "import run, sys; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=repository, check=False).returncode == 0

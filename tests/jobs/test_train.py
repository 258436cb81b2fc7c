"""How a training ends: by signals at any moment, and with which exit status."""

import importlib
import signal
import subprocess
import sys

import pytest

from twodasl_jax.jobs import modes
from twodasl_jax.jobs.modes import run_mode
from twodasl_jax.training.stop_request import EXIT_STATUS, SIGNALS, TrainingInterrupted

job = importlib.import_module("twodasl_jax.jobs.train")  # the package's `train` is the function


def run_training(workdir):
    run_mode(
        "train", None, {"workdir": str(workdir), "image": None, "box": None, "face_model": None}
    )


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("moment", ["job_of", "check_photo", "start_run"])
def test_a_signal_outside_the_steps_ends_it_at_once(tmp_path, monkeypatch, moment, number):
    def interrupted(*_arguments, **_options):
        signal.raise_signal(number)
        pytest.fail("went on")

    monkeypatch.setattr(job, "check_photo", lambda *_: None)
    monkeypatch.setattr(modes if moment == "job_of" else job, moment, interrupted)
    with pytest.raises(TrainingInterrupted, match="all that was finished before is kept") as told:
        run_training(tmp_path)
    assert told.value.code == EXIT_STATUS


RUN = """
import sys
import run
from absl import app
from twodasl_jax.jobs import command
from twodasl_jax.training.stop_request import TrainingInterrupted
def ended(*_, **__):
    raise {error}
command.run_mode = ended
sys.argv = ["run.py", "--workdir=there"]
app.run(run.main)
"""


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        ("TrainingInterrupted('stopped at step 3 and saved')", 75, "train: stopped at step 3 and"),
        ("OSError(28, 'No space left on device')", 1, "train: cannot write there: no space left"),
        ("RuntimeError('x: No space left on device')", 1, "train: cannot write there: no space"),
        ("KeyboardInterrupt", 130, "train: stopped by Ctrl-C"),
        ("ValueError('three numbers are wrong')", 1, "train: three numbers are wrong"),
    ],
)
def test_the_exit_status_and_one_sentence(repository, error, status, told):
    code = RUN.format(error=error)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == 1

"""What a user types after ``twodasl-jax``, in processes of their own: flags are parsed once."""

import os
import subprocess
import sys

import pytest

from twodasl_jax.jobs.modes import MODES

PARSED = """
import sys
from absl import flags
from twodasl_jax.jobs import command, options
options.parse_words(command.as_flags(["twodasl-jax", *sys.argv[1:]]))
print(options.MODE.value, flags.FLAGS.image, flags.FLAGS.output, flags.FLAGS.outputs)
assert "jax" not in sys.modules
"""


def typed(*words, folder, program=("-m", "twodasl_jax"), environment=None):
    return subprocess.run(
        [sys.executable, *program, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


@pytest.mark.parametrize(
    ("words", "parsed"),
    [
        (["predict", "a.jpg"], "predict ['a.jpg'] None None"),
        (["predict", "a.jpg", "--output=o", "b c.jpg"], "predict ['a.jpg', 'b c.jpg'] o None"),
        (["predict", "--output", "o", "a.jpg", "--outputs=json"], "predict ['a.jpg'] o ['json']"),
        (["predict", "--image=a", "b"], "predict ['a', 'b'] None None"),
        (["predict", "--", "-a.jpg"], "predict ['-a.jpg'] None None"),
        (["predict"], "predict None None None"),
        (["--mode=predict", "--image=a"], "predict ['a'] None None"),
        (["serve"], "serve None None None"),
    ],
)
def test_words_after_predict_are_photographs(words, parsed, repository):
    done = typed(*words, folder=repository, program=("-c", PARSED))
    assert (done.stdout.strip(), done.returncode) == (parsed, 0), done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["me.jpg"], "no mode is called 'me.jpg'; choose one of train, evaluate, predict"),
        (["serve", "me.jpg"], "'me.jpg' belongs to no flag"),
        (["predict", "me.jpg", "--wrokdir=a"], "Did you mean: workdir"),
        (["predict", "me.jpg", "--licence=a"], "--mode=predict does not read --licence"),
        (["predict", ""], "--image is empty"),
        (["predict", "absent.jpg"], "predict: no image at absent.jpg"),
    ],
)
def test_a_mistake_is_one_sentence(words, message, repository):
    done = typed(*words, folder=repository)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_help_names_every_mode_and_a_modes_help_every_flag(repository):
    nothing, asked = (typed(*words, folder=repository) for words in ((), ("--help",)))
    assert (nothing.returncode, asked.returncode) == (1, 0)
    assert nothing.stderr == asked.stdout
    for name, mode in MODES.items():
        assert f"  {name}" in asked.stdout
        assert mode.about in asked.stdout
    told = typed("predict", "--help", folder=repository)
    assert told.returncode == 0
    for flag in (*MODES["predict"].optional, "config"):
        assert f"  --{flag} " in told.stdout
    assert "--licence" not in told.stdout
    assert "repeat this option" not in told.stdout  # absl's, of a flag that is repeated anyway


def test_a_config_is_found_from_any_folder(repository, tmp_path):
    for name in ("installed", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "installed" / "twodasl_jax").symlink_to(repository / "twodasl_jax")
    flags = (f"--config={repository}/configs/quickstart.py", "--config.seed=-1", "--workdir=run")
    done = typed(
        *("train", *flags),
        folder=tmp_path / "elsewhere",
        environment=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
    )
    assert done.stderr.startswith("train: seed is -1; expected a whole number")
    assert not list((tmp_path / "elsewhere").iterdir())

"""The command line: what is wrong in it ends with one sentence, before anything is imported."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workdir=a", "--workdir=b"], "--workdir was given 2 times"),
        (["--workdir="], "--workdir is empty"),
        (["--workdir= "], "--workdir is empty"),
        (["--outputs="], "--outputs is empty"),
        (["--image=a", "--image="], "--image is empty"),
        (["--mode=predict", "--mode=train"], "--mode was given 2 times"),
        (["--image", "a.jpg", "b.jpg"], "'b.jpg' belongs to no flag"),
        (["--wrokdir=a"], "Did you mean: workdir"),
        (["--config.seed=1"], "--config.seed changes a setting of an experiment, and no --config"),
        (["--config=absent.py"], "--config cannot be read"),
        (["--config="], "--config cannot be read"),
        (["--config=configs/ablations.py:typo"], "no ablation is called 'typo'"),
        (
            ["--config=configs/quickstart.py", "--config.models.bakbone=x"],
            'mean "backbone"',
        ),
        (["--config=configs/quickstart.py", "--config.stages[9].num_steps=1"], "out of range"),
        (["--config=configs/quickstart.py", "--config.stages[0].x=1"], 'has no setting "x"'),
        (["--config=configs/quickstart.py", "--config.seed=x"], "invalid literal"),
        (["--config=README.md"], "README.md, line"),
        (["--config=configs/__init__.py"], "no attribute get_config"),
        (["--config=configs/aflw.py", "--config=configs/stage1.py"], "--config was given 2 times"),
        (["--num_passes=3"], "--num_passes=3"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, message, repository):
    # In a process each: flags can be parsed once.
    code = (
        "import sys, run\n"
        "from absl import app\n"
        "from twodasl_jax.jobs import options\n"
        "options.parse(sys.argv)\n"
        "raise AssertionError('parsed')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1

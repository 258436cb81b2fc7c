"""The quickstart, shrunk: it trains, scores and predicts, and keeps its settings."""

import pytest

from twodasl_jax.jobs.train import train


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, train_shrunk):
    folder = tmp_path_factory.mktemp("quickstart")
    train_shrunk(folder, "quickstart")
    return folder


def test_it_trains_scores_and_predicts(workdir):
    assert {path.name for path in workdir.iterdir()} >= {"config.json", "checkpoints", "logs"}


def test_a_workdir_keeps_its_settings(workdir, load, shrunk):
    config = shrunk(load("quickstart"))
    config.seed = 5
    with pytest.raises(ValueError, match="seed: 0 there, 5 asked"):
        train(config, workdir=str(workdir), image=None, box=None)

"""The paper's two stages: shrunk they train; without their data they say how to get them."""

import shutil

import chex
import pytest

from twodasl_jax.jobs.train import train
from twodasl_jax.training.prediction_checkpoint import restore_for_prediction


@pytest.mark.parametrize("name", ["stage1", "stage2"])
def test_shrunk_they_train_score_and_predict(name, tmp_path, train_shrunk):
    train_shrunk(tmp_path, name)


def test_300w_lp_is_never_mirrored_and_umdfaces_may_be(load):
    config = load("stage1")
    assert [source.flip for source in config.data.annotated] == [False]
    assert [source.flip for source in config.data.in_the_wild] == [True]


def test_stage2_asks_for_no_photographs_in_the_wild(load):
    assert load("stage2").data.in_the_wild == ()


@pytest.fixture
def stage2_run(tmp_path, load, shrunk, coarse_networks):
    """Trains stage 2 alone in its folder; again, it goes on from what is there."""

    def trained():
        config = shrunk(load("stage2"))
        config.evaluation.sets = ()
        train(config, workdir=str(tmp_path), image=None, box=None)
        return restore_for_prediction(tmp_path / "checkpoints" / "stage2")

    return tmp_path, trained


def test_a_stage_without_photographs_in_the_wild_resumes_bit_identically(stage2_run):
    folder, trained = stage2_run
    straight = trained()
    assert sorted(path.name for path in (folder / "data").iterdir()) == ["annotated"]
    shutil.rmtree(folder / "checkpoints" / "stage2" / "2")
    continued = trained()
    assert straight.step == continued.step == 2
    chex.assert_trees_all_equal(straight.params, continued.params)
    chex.assert_trees_all_equal(straight.batch_stats, continued.batch_stats)


def test_a_stage_begun_in_another_order_is_refused_and_a_finished_one_is_not(stage2_run):
    """As a run of an earlier version, which had seed + index of the stage."""
    folder, trained = stage2_run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "twodasl_jax.experiment.sources.training_data.derived_seed", lambda seed, *_: seed
        )
        before = trained()
    chex.assert_trees_all_equal(trained().params, before.params)
    shutil.rmtree(folder / "checkpoints" / "stage2" / "2")
    with pytest.raises(ValueError, match="one in another order of them"):
        trained()
    assert restore_for_prediction(folder / "checkpoints" / "stage2").step == 1


def test_the_paper_recipe_without_its_data_says_how_to_get_it(tmp_path, load):
    config = load("stage1")
    config.face_model.path = ""
    for half in (config.data.annotated, config.data.in_the_wild):
        half[0].data_dir = str(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match=r"(?s)w300_lp.*mode=prepare.*umdfaces.*quickstart"):
        train(config, workdir=str(tmp_path / "run"), image=None, box=None)

"""The paper's two stages: shrunk they train; without their data they say how to get them."""

import pytest

from twodasl_jax.jobs.train import train


@pytest.mark.parametrize("name", ["stage1", "stage2"])
def test_shrunk_they_train_score_and_predict(name, tmp_path, train_shrunk):
    train_shrunk(tmp_path, name)


def test_300w_lp_is_never_mirrored_and_umdfaces_may_be(load):
    config = load("stage1")
    assert [source.flip for source in config.data.annotated] == [False]
    assert [source.flip for source in config.data.in_the_wild] == [True]


def test_stage2_asks_for_no_photographs_in_the_wild(load):
    assert load("stage2").data.in_the_wild == ()


def test_the_paper_recipe_without_its_data_says_how_to_get_it(tmp_path, load):
    config = load("stage1")
    config.face_model.path = ""
    for half in (config.data.annotated, config.data.in_the_wild):
        half[0].data_dir = str(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match=r"(?s)w300_lp.*mode=prepare.*umdfaces.*quickstart"):
        train(config, workdir=str(tmp_path / "run"), image=None, box=None)

"""The size study: the paper's numbers of photographs are UMDFaces' batches."""

import pytest

from twodasl_jax.data.original.umdfaces import NUM_FACES

PAPER = {"batch1": 77_228, "batch2": 115_126, "batch3": 175_534, "all": 367_888}


@pytest.mark.parametrize("variant", PAPER)
def test_each_size_is_that_of_its_batches(variant, load):
    config = load("size_study", variant)
    (source,) = config.data.in_the_wild
    assert sum(NUM_FACES[batch] for batch in source.split.split("+")) == PAPER[variant]
    assert [stage.name for stage in config.stages] == ["stage1", "stage2"]
    # Nothing else differs between the sizes.
    config.data.in_the_wild = load("size_study").data.in_the_wild
    assert config.to_dict() == load("size_study").to_dict()


def test_an_unknown_size_lists_the_known_ones(load):
    with pytest.raises(ValueError, match="batch1, batch2, batch3, all"):
        load("size_study", "77228")

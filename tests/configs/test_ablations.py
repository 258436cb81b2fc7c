"""The ablations: each has its terms and inputs, and one without a landmark map trains."""

import pytest

ABLATIONS = ["base", "base_nomask", "cyc", "cyc_nomask", "sc", "sc_nomask", "cyc_sc"]


@pytest.mark.parametrize("variant", ABLATIONS)
def test_every_ablation_is_a_config(variant, load):
    config = load("ablations", variant)
    terms = variant.removesuffix("_nomask")
    assert config.losses.landmark_importance == (terms == variant)
    assert config.models.landmark_map == terms.startswith("cyc")
    assert ("self_critic" in config.stages[0].loss_weights) == terms.endswith("sc")
    assert ("cycle" in config.stages[0].loss_weights) == terms.startswith("cyc")


def test_an_rgb_only_ablation_trains(tmp_path, train_shrunk):
    train_shrunk(tmp_path, "ablations", "sc")


def test_an_unknown_ablation_lists_the_known_ones(load):
    with pytest.raises(ValueError, match="base, sc, cyc, cyc_sc"):
        load("ablations", "cycle")

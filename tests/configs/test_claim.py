"""The claim's arms: what each reads and is held to, and that all see as many photographs."""

import pytest

from twodasl_jax.experiment.settings.reading import experiment_settings
from twodasl_jax.experiment.start.experiment_checks import check_experiment

ARMS = ["base", "cyc", "sc", "cyc_sc", "annotated", "map", "cyc_sc_25", "cyc_sc_50", "sgd"]


@pytest.mark.parametrize("variant", [*ARMS, "base_nomask", "cyc_sc_nomask"])
def test_every_arm_is_a_config(variant, load):
    config = load("claim", variant)
    assert len(check_experiment(experiment_settings(config))) == 2
    first, second = config.stages
    assert second.loss_weights.to_dict() == {"vertex": 1.0}
    assert config.losses.landmark_importance == (not variant.endswith("_nomask"))
    assert ("cycle" in first.loss_weights) <= config.models.landmark_map
    assert ("critic" in first.optimizers) == ("self_critic" in first.loss_weights)
    assert (first.optimizers.regressor.name == "sgd") == (variant == "sgd")
    (annotated,) = config.data.annotated
    assert all(wild.part[0] == annotated.part[1] for wild in config.data.in_the_wild)


def photographs(config):
    """Of each stage; a stage of the vertex cost reads no photograph in the wild."""
    wild = config.data.in_the_wild_batch_size if config.data.in_the_wild else 0
    first, second = config.stages
    own = config.data.annotated_batch_size
    return first.num_steps * (own + wild), second.num_steps * own


def test_all_arms_see_as_many_photographs(load):
    assert len({photographs(load("claim", arm)) for arm in ARMS}) == 1


def test_the_photographs_in_the_wild_are_what_is_left(load):
    shares = {"cyc_sc": 1.0, "cyc_sc_25": 0.25, "cyc_sc_50": 0.5}
    for arm, share in shares.items():
        (wild,) = load("claim", arm).data.in_the_wild
        assert wild.part[1] - wild.part[0] == pytest.approx(0.8 * share)
    assert not load("claim", "annotated").data.in_the_wild


def test_another_arm_is_refused(load):
    with pytest.raises(ValueError, match="no arm is called 'all'; choose one of base"):
        load("claim", "all")

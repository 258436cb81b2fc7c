"""The ablations: each has its terms and inputs, and trains stage 1 and, from it, stage 2."""

import json
import shutil

import pytest

from twodasl_jax.jobs.train import train
from twodasl_jax.training.prediction_checkpoint import restore_for_prediction
from twodasl_jax.training.writers import read_metrics

ARMS = ["base", "sc", "cyc", "cyc_sc", "released"]


@pytest.mark.parametrize("variant", [arm + mask for arm in ARMS for mask in ("", "_nomask")])
def test_every_ablation_is_a_config(variant, load):
    config = load("ablations", variant)
    terms = variant.removesuffix("_nomask")
    first, second = config.stages
    assert config.losses.landmark_importance == (terms == variant)
    assert config.models.landmark_map == (terms not in ("base", "sc"))
    assert ("self_critic" in first.loss_weights) == (terms not in ("base", "cyc"))
    assert ("cycle" in first.loss_weights) == config.models.landmark_map
    assert set(first.ramp_steps) <= set(first.loss_weights)
    assert first.loss_formula == ("released" if terms == "released" else "paper")
    assert second.loss_weights.to_dict() == {"vertex": 1.0}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Rendered faces of the first arm, for the others too."""
    return tmp_path_factory.mktemp("rendered") / "data"


@pytest.mark.parametrize("arm", ["base", "sc_nomask", "cyc_nomask", "cyc_sc", "released"])
@pytest.mark.usefixtures("coarse_networks")
def test_every_arm_trains_both_stages(arm, tmp_path, load, shrunk, rendered):
    config = shrunk(load("ablations", arm))
    if rendered.exists():
        shutil.copytree(rendered, tmp_path / "data")
    train(config, workdir=str(tmp_path), image=None, box=None)
    if not rendered.exists():
        shutil.copytree(tmp_path / "data", rendered)

    results = json.loads((tmp_path / "results.json").read_text())
    assert {name: stage["steps"] for name, stage in results["stages"].items()} == {
        "stage1": 2,
        "stage2": 2,
    }
    channels = 4 if config.models.landmark_map else 3
    for stage in config.stages:
        logged = read_metrics(tmp_path / "logs" / stage.name)
        shares = {name for name in logged if name.startswith("share/")}
        assert shares == {f"share/{name}" for name in stage.loss_weights}
        # At step 1 every ramped weight is 0 or not; float32 sums to 1.
        assert sum(logged[name][1][1] for name in shares) == pytest.approx(1, abs=1e-5)
        networks = restore_for_prediction(tmp_path / "checkpoints" / stage.name)
        assert networks.step == 2
        assert networks.params["regressor"]["Dense_0"]["kernel"].shape == (64 * channels, 62)
    assert list(results["evaluations"]) == ["before", "stage1", "stage2"]


def test_an_unknown_ablation_lists_the_known_ones(load):
    with pytest.raises(ValueError, match="base, sc, cyc, cyc_sc, released"):
        load("ablations", "cycle")

"""The real configs: they load, they refuse what is absent, and shrunk they train two steps."""

import importlib
import json

import pytest
from ml_collections import ConfigDict

from configs import base
from twodasl_jax.evaluation.benchmark_faces import BASEL_VERTICES
from twodasl_jax.evaluation.benchmark_kinds import BENCHMARKS
from twodasl_jax.evaluation.network_input import CROP_SOURCES, LANDMARK_MAP_SOURCES
from twodasl_jax.jobs.train import train
from twodasl_jax.predict.landmark_detectors import LANDMARK_DETECTORS

CONFIGS = [("quickstart",), ("stage1",), ("stage2",), ("aflw", "fits"), ("aflw", "renders")]
ABLATIONS = ["base", "base_nomask", "cyc", "cyc_nomask", "sc", "sc_nomask", "cyc_sc"]


def shrunk(config: ConfigDict) -> ConfigDict:
    """The same experiment on eight rendered faces, two steps per stage."""
    config.face_model.path = ""
    config.models.backbone = "resnet_tiny"
    config.data.annotated = (base.rendered("annotated", num_faces=8, seed=1, supersample=1),)
    config.data.in_the_wild = (base.rendered("in_the_wild", num_faces=8, seed=2, supersample=1),)
    config.data.annotated_batch_size = config.data.in_the_wild_batch_size = 8
    config.evaluation.sets = (base.rendered("held_out", num_faces=8, seed=3, supersample=1),)
    config.evaluation.batch_size = 8
    starts_trained, config.init_from = bool(config.init_from), ""
    if config.data.validation.source:
        config.data.validation = {"source": "annotated", "every": 4}
        config.training.evaluate_every = 1
    config.training.log_every = config.training.checkpoint_every = 1
    for stage in config.stages:
        stage.num_steps = 2
        for optimizer in stage.optimizers.values():
            if "warmup_steps" in optimizer:
                optimizer.warmup_steps = 1
            if starts_trained:
                # Stage 2 starts from a trained network; a fresh one's px² would throw it far off.
                optimizer.learning_rate = 1e-9
    return config


def load(name: str, *variant: str) -> ConfigDict:
    return importlib.import_module(f"configs.{name}").get_config(*variant)


@pytest.mark.parametrize("name", CONFIGS, ids="-".join)
def test_shrunk_config_trains_scores_and_predicts(name, tmp_path):
    train(shrunk(load(*name)), workdir=str(tmp_path), image=None, box=None)
    results = json.loads((tmp_path / "results.json").read_text())
    stages = [stage.name for stage in load(*name).stages]
    assert list(results["evaluations"]) == ["before", *stages]
    for moment in results["evaluations"].values():
        assert moment["held_out"]["metrics"]["true"]["mean_of_images"] > 0
    for made in ("prediction/astronaut.glb", "prediction/astronaut_strip.jpg", "loss_curves.png"):
        assert (tmp_path / made).stat().st_size > 1000


@pytest.mark.parametrize("variant", ABLATIONS)
def test_every_ablation_is_a_config(variant):
    config = load("ablations", variant)
    terms = variant.removesuffix("_nomask")
    assert config.losses.landmark_importance == (terms == variant)
    assert config.models.landmark_map == terms.startswith("cyc")
    assert ("self_critic" in config.stages[0].loss_weights) == terms.endswith("sc")
    assert ("cycle" in config.stages[0].loss_weights) == terms.startswith("cyc")


def test_an_rgb_only_ablation_trains(tmp_path):
    train(shrunk(load("ablations", "sc")), workdir=str(tmp_path), image=None, box=None)
    assert (tmp_path / "results.json").exists()


def test_an_unknown_ablation_lists_the_known_ones():
    with pytest.raises(ValueError, match="base, sc, cyc, cyc_sc"):
        load("ablations", "cycle")


def test_the_paper_recipe_without_its_data_says_how_to_get_it(tmp_path):
    config = load("stage1")
    config.face_model.path = ""
    for half in (config.data.annotated, config.data.in_the_wild):
        half[0].data_dir = str(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match=r"(?s)w300_lp.*mode=prepare.*umdfaces.*quickstart"):
        train(config, workdir=str(tmp_path / "run"), image=None, box=None)


def test_a_workdir_keeps_its_settings(tmp_path):
    config = shrunk(load("quickstart"))
    train(config, workdir=str(tmp_path), image=None, box=None)
    config.seed = 5
    with pytest.raises(ValueError, match="seed: 0 there, 5 asked"):
        train(config, workdir=str(tmp_path), image=None, box=None)


def test_the_evaluation_config_names_a_benchmark_and_every_setting_has_its_default():
    config = load("evaluation")
    assert config.benchmark in BENCHMARKS
    assert config.crop_source in CROP_SOURCES
    assert config.landmark_map_source in LANDMARK_MAP_SOURCES
    assert config.detector in LANDMARK_DETECTORS
    assert config.annotated_vertices == BASEL_VERTICES

"""Configs and JSON to settings and back: what is unknown, missing or of another type is named."""

import copy
import dataclasses
import json

import pytest

from configs import base, evaluation, quickstart
from twodasl_jax.experiment.settings.benchmark_settings import BenchmarkSettings
from twodasl_jax.experiment.settings.experiment_settings import (
    DataSettings,
    StageSettings,
    TrainingSettings,
)
from twodasl_jax.experiment.settings.reading import (
    experiment_settings,
    plain,
    read_settings,
)

GOOD = json.loads(json.dumps(plain(quickstart.get_config())))


def changed(change):
    config = copy.deepcopy(GOOD)
    change(config)
    return config


def test_settings_survive_the_way_over_json():
    read = experiment_settings(quickstart.get_config())
    assert experiment_settings(json.loads(json.dumps(plain(read)))) == read
    assert experiment_settings(read) == read
    assert read.data.annotated[0].num_faces == 2500
    assert read.stages[0].optimizers["regressor"].schedule == "cosine"


def test_what_is_read_is_not_changed():
    config = changed(lambda c: c["stages"][0].update(landmark_formula="paper"))
    del config["stages"][0]["loss_formula"]
    before = copy.deepcopy(config)
    assert experiment_settings(config).stages[0].loss_formula == "paper"
    assert config == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.clear(), "the config lacks seed, init_from, face_model, .*; it has none"),
        (lambda c: c.pop("models"), "the config lacks models; it has"),
        (lambda c: c.update(data=[]), "data is a list; expected a group of settings"),
        (lambda c: c["models"].pop("backbone"), "models lacks backbone"),
        (lambda c: c["models"].update(encoder_width_divisor="8"), "divisor is '8'; expected a who"),
        (lambda c: c["models"].update(landmark_map=1), "landmark_map is 1; expected True or False"),
        (lambda c: c["losses"].update(num_vertices=None), "losses.num_vertices is None; expected"),
        (lambda c: c["losses"].update(num_vertices=True), "losses.num_vertices is True; expected"),
        (lambda c: c["face_model"].update(path=3), "face_model.path is 3; expected a text"),
        (lambda c: c.update(stages={"a": 1}), "stages is a group of settings; expected a list"),
        (lambda c: c.update(stages=[3]), r"stages\[0\] is 3; expected a group of settings"),
        (lambda c: c["stages"][0].pop("name"), r"stages\[0\] lacks name"),
        (lambda c: c["stages"][0]["loss_weights"].update(cycle="x"), "cycle is 'x'; expected a nu"),
        (lambda c: c["training"].update(max_to_keep="2"), "a whole number or None"),
        (lambda c: c["training"].update(checkpoint="bset"), "is 'bset'; choose one of newest, bes"),
        (lambda c: c["data"]["annotated"][0].update(kind=None), "kind is None; choose one of rend"),
        (lambda c: c["data"]["augment"].update(scale=-1), "data.augment.scale is -1.0; expected"),
        (lambda c: c.update(method="3dmm"), "no method is called '3dmm'; choose one of twodasl"),
        (lambda c: c.update(method=2), "method is 2; expected a text"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        experiment_settings(changed(change))


def test_what_is_unknown_is_refused_or_collected():
    config = changed(lambda c: c["stages"][1].update(landmark_formula="released"))
    with pytest.raises(ValueError, match=r"stages\[1\] has no setting 'landmark_formula'; choose"):
        experiment_settings(config)
    unknown = {}
    read = experiment_settings(config, unknown=unknown)
    assert read == experiment_settings(GOOD)
    assert unknown == {"stages[1].landmark_formula": "released"}


def test_what_earlier_versions_lacked_is_what_experiments_start_with():
    """The defaults are written twice: where they are explained, and where old runs are read."""

    def old(config):
        del config["method"], config["data"]["validation"], config["stages"][0]["loss_formula"]
        for name in ("evaluate_every", "best", "checkpoint", "on_damaged_checkpoint"):
            del config["training"][name]
        config["data"].pop("keep_decoded", None)
        del config["data"]["annotated"][0]["weight"]

    read, start = experiment_settings(changed(old)), base.get_config()
    assert read.method == start.method
    for settings, group in ((read.data, start.data), (read.training, start.training)):
        for field in dataclasses.fields(settings):
            if field.default is not dataclasses.MISSING:
                assert plain(getattr(settings, field.name)) == plain(group[field.name])
    stage = base.stage("any", num_steps=1, loss_weights={}, optimizers={})
    assert read.stages[0].loss_formula == stage.loss_formula
    assert read.data.annotated[0].weight == base.prepared("any", split="").weight
    assert {f.name for kind in (DataSettings, TrainingSettings, StageSettings)
            for f in dataclasses.fields(kind) if f.default is not dataclasses.MISSING} == {
        "validation", "evaluate_every", "best", "checkpoint", "on_damaged_checkpoint",
        "loss_formula", "keep_decoded",
    }  # fmt: skip


def test_whole_numbers_are_numbers():
    config = changed(lambda c: c["stages"][0]["loss_weights"].update(cycle=1))
    weight = experiment_settings(config).stages[0].loss_weights["cycle"]
    assert (weight, type(weight)) == (1.0, float)


def test_a_benchmark_is_read_alike():
    config = evaluation.get_config()
    read = read_settings(BenchmarkSettings, config)
    assert read.metrics == ()
    assert plain(read) == plain(config)
    config.batch_sise = 4
    with pytest.raises(ValueError, match="no setting 'batch_sise'; choose of benchmark, data_dir"):
        read_settings(BenchmarkSettings, config)

"""Mistyped settings: refused by name before anything is read, rendered or written."""

import importlib

import pytest
from ml_collections import ConfigDict

from configs import base
from twodasl_jax.experiment.settings.reading import experiment_settings
from twodasl_jax.experiment.start.experiment_checks import check_experiment

job = importlib.import_module("twodasl_jax.jobs.train")  # the package's `train` is the function

CONFIGS = [
    *(("quickstart",), ("stage1",), ("stage2",), ("aflw", "fits"), ("aflw", "renders")),
    *(("ablations", "base"), ("ablations", "cyc_sc"), ("ablations", "sc_nomask")),
]


def load(name, *variant):
    return importlib.import_module(f"configs.{name}").get_config(*variant)


@pytest.mark.parametrize("name", CONFIGS, ids="_".join)
def test_every_experiment_of_the_repository_passes(name):
    check_experiment(experiment_settings(load(*name)))


def set_in(config, path, value):
    """``stages.0.optimizers.regressor.name``: through groups and tuples."""
    *groups, last = path.split(".")
    for group in groups:
        config = config[int(group)] if group.isdigit() else config[group]
    with config.ignore_type():
        config[last] = value


CROPS = {"kind": "crops", "name": "annotated", "weight": 1.0, "path": "a", "only_68": False}
SGD = {"name": "sgd", "learning_rate": 1.0}

MISTAKES = [
    ("modles", {}, "the config has no setting 'modles'; choose of seed, init_from"),
    ("models.backbon", "resnet50", "models has no setting 'backbon'; choose of backbone"),
    ("models.landmark_map", "no", "models.landmark_map is 'no'; expected True or False"),
    ("models.encoder_width_divisor", "8", "divisor is '8'; expected a whole number"),
    ("losses.importance", False, "losses has no setting 'importance'"),
    ("face_model.path", None, "face_model.path is None; expected a text"),
    ("data.batch_size", 8, "data has no setting 'batch_size'"),
    ("data.annotated", "rendered", "data.annotated is 'rendered'; expected a list"),
    ("data.annotated.0.num_face", 8, r"data.annotated\[0\] has no setting 'num_face'"),
    ("data.in_the_wild.0.flip", "no", r"data.in_the_wild\[0\].flip is 'no'; expected True or"),
    ("data.validation", {"source": "annotated"}, "data.validation lacks every; it has source"),
    ("data.validation.from", 2, "data.validation has no setting 'from'"),
    ("training.checkpont_every", 10, "training has no setting 'checkpont_every'; choose of log_e"),
    ("training.log_every", "10", "training.log_every is '10'; expected a whole number"),
    ("training.best.metrics", "x", "training.best has no setting 'metrics'"),
    ("training.on_damaged_checkpoint", "fallback", "choose one of fall_back, stop"),
    ("training.max_to_keep", 2.5, "training.max_to_keep is 2.5; expected a whole number or None"),
    ("evaluation.set", (), "evaluation has no setting 'set'"),
    ("evaluation.sets.0.face", 8, r"evaluation.sets\[0\] has no setting 'face'"),
    ("stages.1.loss_weight", {}, r"stages\[1\] has no setting 'loss_weight'"),
    ("stages.0.ramp_steps", 200, r"stages\[0\].ramp_steps is 200; expected a group of settings"),
    ("stages.0.optimizers.regressor", "sgd", r"optimizers.regressor is 'sgd'; expected a group"),
    ("seed", 2**32, "seed is 4294967296; expected a whole number of 0 to 4,294,967,295"),
    ("stages.0.num_steps", 2**31, "num_steps of stage 'stage1' is 2147483648"),
    ("seed", -1, "seed is -1; expected a whole number of 0 to"),
    ("models.backbone", "resnetXX", "stage 'stage1': unknown backbone 'resnetXX'"),
    ("models.batch_norm", "frozn", "unknown batch_norm 'frozn'"),
    ("models.convolution", "fast", "unknown convolution 'fast'"),
    ("models.encoder_width_divisor", 3, "width_divisor is 3"),
    ("losses.num_vertices", -5, "losses.num_vertices is -5"),
    ("data.annotated.0.kind", "renderd", r"data\.annotated\[0\]\.kind is 'renderd'; choose one of"),
    ("data.annotated", (CROPS,), "crops have 2D landmarks only"),
    ("data.annotated.0.weight", 0.0, "weight is 0.0; expected a positive number"),
    ("data.annotated.0.weight", float("nan"), "weight is nan"),
    ("data.annotated.0.num_faces", 0, "num_faces of the rendered source 'annotated' is 0"),
    ("data.annotated.0.supersample", 0, "supersample of the rendered source"),
    ("data.in_the_wild.0.name", "../out", "one that can name a folder"),
    ("data.in_the_wild.0.name", "annotated", "two rendered sources are called 'annotated'"),
    ("data.annotated", (), "data.annotated names no source"),
    ("data.in_the_wild", (), "in-the-wild images, and data.in_the_wild names no source"),
    ("data.annotated_batch_size", 0, "annotated_batch_size is 0"),
    ("data.num_threads", 0, "num_threads is 0"),
    ("data.augment", {"flip": 0.5}, "data.augment has no setting 'flip'"),
    ("data.augment", {"flip_probability": 2.0}, "flip_probability is 2.0"),
    ("data.augment", {"shift_px": "far"}, "augment.shift_px is 'far'; expected a num"),
    ("data.validation.source", "anotated", "no annotated source; choose one of annotated"),
    ("data.validation.every", 1, "data.validation.every is 1"),
    ("data.validation.every", 2501, "every 2501th of 2500 faces cannot be held out"),
    ("losses.num_vertices", 2348, "is 2,348, and the face model 'open_face' has 2,347 vertices"),
    ("stages", (), "no stages"),
    ("stages.1.name", "stage1", "stages has 'stage1' twice"),
    ("stages.0.name", "before", "no stage can be called 'before'"),
    ("stages.0.name", "a/b", "one that can name a folder"),
    ("stages.0.num_steps", -3, "num_steps of stage 'stage1' is -3"),
    ("stages.0.loss_weights", {}, "loss_weights of stage 'stage1' is empty"),
    ("stages.0.loss_weights", {"cicle": 1.0}, "stage 'stage1': loss_weights names cicle"),
    ("stages.0.loss_weights.cycle", -1.0, "loss_weights.cycle of stage 'stage1' is -1.0"),
    ("stages.0.ramp_steps", {"cicle": 5}, "ramp_steps names cicle"),
    ("stages.0.ramp_steps.cycle", -5, "ramp_steps.cycle of stage 'stage1' is -5"),
    ("stages.1.optimizers.regressor.name", "adma", "stage 'stage2': unknown optimizer 'adma'"),
    ("stages.1.optimizers.regressor.schedule", "cosin", "unknown schedule 'cosin'"),
    ("stages.1.optimizers.regressor.learning_rate", -1.0, "learning_rate is -1.0"),
    ("stages.1.optimizers.regressor.clip_norm", 0.0, "clip_norm is 0.0"),
    ("stages.1.optimizers.regressor", {"learning_rat": 1.0}, "has no setting 'learning_rat'"),
    ("stages.1.optimizers.regressor", {"name": "sgd"}, "optimizers.regressor lacks learning_rate"),
    ("stages.1.optimizers", {"regresor": SGD}, "is 'regresor'; choose one of regressor, encoder"),
    ("stages.0.optimizers", {"regressor": SGD}, "leave out encoder, critic"),
    ("training.log_every", 0, "training.log_every is 0"),
    ("training.log_every", 30, "must be a multiple of log_every"),
    ("training.checkpoint_every", -100, "training.checkpoint_every is -100"),
    ("training.max_to_keep", 0, "training.max_to_keep is 0"),
    ("training.checkpoint", "last", "training.checkpoint is 'last'"),
    ("training.best.mode", "least", "training.best.mode is 'least'"),
    ("training.best.metric", "validation/mean", "training.best.metric is 'validation/mean'"),
    ("evaluation.num_passes", 3, "evaluation.num_passes is 3; choose one of 1, 2"),
    ("evaluation.batch_size", 0, "evaluation.batch_size is 0"),
    ("evaluation.sets.0.kind", "renderd", r"evaluation.sets\[0\].kind is 'renderd'; choose"),
    ("evaluation.sets.0.name", "annotated", "two rendered sources are called 'annotated'"),
    ("evaluation.sets.0.name", "", "the name of an evaluation set is ''"),
]


@pytest.mark.parametrize(("path", "value", "message"), MISTAKES)
def test_a_mistake_is_named_and_leaves_nothing_behind(path, value, message, tmp_path):
    config = load("quickstart")
    set_in(config, path, value)
    with pytest.raises(ValueError, match=message):
        job.train(config, workdir=str(tmp_path / "run"))
    assert not list(tmp_path.iterdir())
    # A folder that was there stays as it was.
    (tmp_path / "run").mkdir()
    with pytest.raises(ValueError, match=message):
        job.train(config, workdir=str(tmp_path / "run"))
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize(
    "path",
    [
        *(
            "init_from",
            "models.backbone",
            "losses.num_vertices",
            "data.augment",
            "data.in_the_wild",
        ),
        *(
            "data.annotated.0.seed",
            "training.log_every",
            "training.max_to_keep",
            "training.best.mode",
        ),
        *("stages.0.name", "stages.0.ramp_steps", "evaluation.sets", "evaluation.sets.0.name"),
    ],
)
def test_a_setting_that_is_absent_is_named(path):
    config = load("quickstart")
    *groups, last = path.split(".")
    group = config
    for each in groups:
        group = group[int(each)] if each.isdigit() else group[each]
    del group[last]
    with pytest.raises(ValueError, match=f"lacks {last}; it has "):
        experiment_settings(config)


def test_settings_that_are_younger_than_runs_may_be_absent():
    config = load("quickstart")
    del config.data["validation"], config.stages[0]["loss_formula"]
    for name in ("evaluate_every", "best", "checkpoint", "on_damaged_checkpoint"):
        del config.training[name]
    check_experiment(experiment_settings(config))


def test_an_unknown_map_source_of_a_set_is_not_taken_for_none():
    config = load("aflw", "renders")
    config.evaluation.sets[1].landmark_map_source = "detectr"
    with pytest.raises(ValueError, match="is 'detectr'; choose one of none, detector"):
        experiment_settings(config)


def test_data_that_are_absent_leave_nothing_behind(tmp_path):
    config = load("quickstart")
    config.face_model.path = str(tmp_path / "absent.npz")
    config.data.in_the_wild = (base.prepared("w300_lp", split="train"),)
    config.data.in_the_wild[0].data_dir = str(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match=r"(?s)the face model .*absent\.npz.*w300_lp"):
        job.train(config, workdir=str(tmp_path / "run"))
    assert not list(tmp_path.iterdir())


def validated_with(**changes):
    config = load("quickstart")
    config.data.validation.source = ""
    crops = {"kind": "crops", "name": "labelled", "path": "somewhere", "fits": ""}
    config.evaluation.sets = (ConfigDict(crops | changes),)
    config.training.best.metric = "labelled/manual/mean_of_bins"
    return config


def test_labelled_crops_alone_may_validate():
    check_experiment(experiment_settings(validated_with()))
    config = validated_with()
    config.training.best.metric = "labelled/fits/mean_of_bins"
    with pytest.raises(ValueError, match="choose one of labelled/manual/bin_0_30"):
        check_experiment(experiment_settings(config))
    config = validated_with(fits="fits")
    config.training.best.metric = "labelled/fits/mean_of_bins"
    check_experiment(experiment_settings(config))
    # Nothing is held out: its numbers are not measured.
    config.training.best.metric = "validation/mean_of_images"
    with pytest.raises(ValueError, match="'validation/mean_of_images'; choose one of labelled/"):
        check_experiment(experiment_settings(config))
    config = validated_with()
    config.training.evaluate_every, config.training.checkpoint = 0, "best"
    with pytest.raises(ValueError, match="nothing measures which is"):
        check_experiment(experiment_settings(config))
    config = validated_with()
    config.evaluation.sets = ()
    with pytest.raises(ValueError, match="validate with a set of labelled crops"):
        check_experiment(experiment_settings(config))

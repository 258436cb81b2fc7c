"""The folder of a run: it stays one run."""

import pytest
from ml_collections import ConfigDict

from twodasl_jax.experiment.assembly import plain
from twodasl_jax.experiment.run.workdir import Workdir, as_config


def config(**settings) -> ConfigDict:
    stage = ConfigDict({"name": "stage1", "num_steps": 2})
    return ConfigDict({"seed": 0, "stages": (stage,), "training": {"log_every": 1}} | settings)


def test_a_config_survives_the_way_over_json(tmp_path):
    workdir = Workdir(tmp_path / "run")
    settled = workdir.settle_config(config())
    workdir.save_config(settled)
    assert workdir.read_config() == settled
    assert settled.stages[0].name == "stage1"
    assert plain(as_config(plain(config()))) == plain(config())


def test_other_settings_are_refused_by_name_and_free_ones_are_not(tmp_path):
    workdir = Workdir(tmp_path)
    workdir.save_config(config())
    workdir.settle_config(config(training={"log_every": 5}))
    with pytest.raises(ValueError, match="seed: 0 there, 1 asked"):
        workdir.settle_config(config(seed=1))


def test_an_empty_folder_says_how_to_train(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"quickstart\.py --workdir"):
        Workdir(tmp_path).settle_config(None)
    with pytest.raises(FileNotFoundError, match="no checkpoint yet"):
        Workdir(tmp_path).newest_stage(config())


def test_unfinished_checkpoints_do_not_count(tmp_path):
    workdir = Workdir(tmp_path)
    (workdir.checkpoints("stage1") / "2.orbax-checkpoint-tmp").mkdir(parents=True)
    with pytest.raises(FileNotFoundError):
        workdir.newest_stage(config())
    (workdir.checkpoints("stage1") / "2").mkdir()
    assert workdir.newest_stage(config()).name == "stage1"


def test_the_checkpoints_to_read_are_those_that_the_config_names(tmp_path):
    workdir = Workdir(tmp_path)
    newest, best = (config(training={"checkpoint": which}) for which in ("newest", "best"))
    assert workdir.networks("stage1", config()) == workdir.networks("stage1", newest)
    with pytest.raises(ValueError, match="keeps no best checkpoint of stage 'stage1'"):
        workdir.networks("stage1", best)
    (workdir.best("stage1") / "4").mkdir(parents=True)
    assert workdir.networks("stage1", best) == workdir.best("stage1")
    with pytest.raises(ValueError, match=r"training\.checkpoint is 'bset'; choose one of newest"):
        workdir.networks("stage1", config(training={"checkpoint": "bset"}))


def test_other_settings_without_a_checkpoint_say_that_nothing_is_lost(tmp_path):
    workdir = Workdir(tmp_path)
    workdir.save_config(config())
    with pytest.raises(ValueError, match=r"or delete the folder \(it has no checkpoint yet\)"):
        workdir.settle_config(config(seed=1))
    (workdir.checkpoints("stage1") / "2").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"give the settings of that run$"):
        workdir.settle_config(config(seed=1))


def test_where_a_face_model_lies_is_no_other_setting(tmp_path):
    workdir = Workdir(tmp_path)
    workdir.save_config(config(face_model={"path": "a.npz"}))
    settled = workdir.settle_config(config(face_model={"path": "b.npz"}))
    assert settled.face_model.path == "b.npz"


def test_results_are_added_one_by_one(tmp_path):
    workdir = Workdir(tmp_path)
    workdir.add_result("stages", "stage1", {"steps": 2})
    workdir.add_result("evaluations", "before", {})
    assert workdir.read_results() == {
        "evaluations": {"before": {}},
        "stages": {"stage1": {"steps": 2}},
    }


def test_a_run_of_an_earlier_version_is_the_same_run_under_the_names_of_today(tmp_path):
    def named(**setting):
        return config(stages=(ConfigDict({"name": "stage1", "num_steps": 2} | setting),))

    workdir = Workdir(tmp_path)
    workdir.save_config(named(landmark_formula="paper"))
    assert workdir.settle_config(named(loss_formula="paper")).stages[0].loss_formula == "paper"
    # This one is another loss today.
    workdir.save_config(named(landmark_formula="released"))
    with pytest.raises(ValueError, match=r"landmark_formula: 'released' there, None asked"):
        workdir.settle_config(named(loss_formula="released"))


def test_a_stage_is_found_by_its_name(tmp_path):
    assert Workdir(tmp_path).stage_named(config(), "stage1").num_steps == 2
    with pytest.raises(ValueError, match="has no stage 'stage3'; it has stage1"):
        Workdir(tmp_path).stage_named(config(), "stage3")

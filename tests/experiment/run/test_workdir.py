"""The folder of a run: it stays one run."""

import json

import pytest

from configs import quickstart
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.settings.reading import experiment_settings, plain


def config(*, stage=None, **settings):
    config = quickstart.get_config()
    config.stages = (config.stages[0],)
    config.stages[0].update(stage or {})
    config.update_from_flattened_dict(settings)
    return experiment_settings(config)


def write_plain(folder, change):
    """A config.json that no version of today writes."""
    there = plain(config())
    change(there)
    (folder / "config.json").write_text(json.dumps(there))


def test_a_config_survives_the_way_over_json(tmp_path):
    workdir = Workdir(tmp_path / "run")
    settled = workdir.settle_config(quickstart.get_config())
    assert not workdir.folder.exists()
    workdir.save_config(settled)
    assert workdir.read_config() == settled == workdir.settle_config(None)
    assert settled.stages[0].name == "stage1"


def test_other_settings_are_refused_by_name_and_free_ones_are_not(tmp_path):
    workdir = Workdir(tmp_path)
    workdir.save_config(config())
    workdir.settle_config(config(**{"training.log_every": 5}))
    with pytest.raises(ValueError, match="seed: 0 there, 1 asked"):
        workdir.settle_config(config(seed=1))


def test_an_empty_folder_says_how_to_train(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"quickstart\.py --workdir"):
        Workdir(tmp_path).settle_config(None)
    with pytest.raises(FileNotFoundError, match="no checkpoint yet"):
        Workdir(tmp_path).newest_stage(config().stages)


def test_unfinished_checkpoints_do_not_count(tmp_path):
    workdir = Workdir(tmp_path)
    (workdir.checkpoints("stage1") / "2.orbax-checkpoint-tmp").mkdir(parents=True)
    with pytest.raises(FileNotFoundError):
        workdir.newest_stage(config().stages)
    (workdir.checkpoints("stage1") / "2").mkdir()
    assert workdir.newest_stage(config().stages) == "stage1"


def test_the_checkpoints_to_read_are_those_that_are_asked_for(tmp_path):
    workdir = Workdir(tmp_path)
    assert workdir.chosen_checkpoints("stage1", "newest") == workdir.checkpoints("stage1")
    with pytest.raises(ValueError, match="keeps no best checkpoint of stage 'stage1'"):
        workdir.chosen_checkpoints("stage1", "best")
    (workdir.best("stage1") / "4").mkdir(parents=True)
    assert workdir.chosen_checkpoints("stage1", "best") == workdir.best("stage1")


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
    workdir.save_config(config(**{"face_model.path": "a.npz"}))
    settled = workdir.settle_config(config(**{"face_model.path": "b.npz"}))
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
    def earlier(formula):
        def change(there):
            del there["method"], there["training"]["evaluate_every"]
            del there["stages"][0]["loss_formula"]
            there["stages"][0]["landmark_formula"] = formula

        return change

    workdir = Workdir(tmp_path)
    write_plain(tmp_path, earlier("paper"))
    assert workdir.settle_config(config()).stages[0].loss_formula == "paper"
    assert workdir.settle_config(None).method == "twodasl"
    # This one is another loss today: it predicts, and does not go on.
    write_plain(tmp_path, earlier("released"))
    assert workdir.read_config().stages[0].name == "stage1"
    told = r"stages\[0\]\.landmark_formula: 'released' there, None asked"
    with pytest.raises(ValueError, match=told):
        workdir.settle_config(config(stage={"loss_formula": "released"}))
    with pytest.raises(ValueError, match=r"config\.json: stages\[0\] has no setting 'landmark_f"):
        workdir.settle_config(None)


def test_a_damaged_setting_is_named_with_its_file(tmp_path):
    write_plain(tmp_path, lambda there: there["models"].pop("backbone"))
    with pytest.raises(ValueError, match=r"config\.json: models lacks backbone; .*: restore it"):
        Workdir(tmp_path).read_config()


def test_what_a_checkpoint_was_trained_with_may_be_of_an_earlier_version(tmp_path):
    saved = plain(config())
    del saved["method"]
    Workdir(tmp_path).require_trained_with(saved, config())
    saved["models"]["depth"] = 5
    with pytest.raises(ValueError, match=r"models\.depth: 5 there, None in config\.json"):
        Workdir(tmp_path).require_trained_with(saved, config())


def test_a_stage_is_found_by_its_name(tmp_path):
    assert Workdir(tmp_path).stage_named(config().stages, "stage1").num_steps == 600
    with pytest.raises(ValueError, match="has no stage 'stage3'; it has stage1"):
        Workdir(tmp_path).stage_named(config().stages, "stage3")

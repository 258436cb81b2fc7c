"""Imported networks are a folder that is read as a trained run is."""

import importlib
import json
import pickle
import shutil
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base, evaluation
from tests.interop.foreign_networks import images, mobilenet_state, resnet50_state
from twodasl_jax.experiment.run.trained import load_trained_run
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.settings.benchmark_settings import BenchmarkSettings
from twodasl_jax.experiment.settings.reading import read_settings
from twodasl_jax.face_model.model import OPEN_FACE_FILE, load_face_model
from twodasl_jax.jobs import import_weights as job
from twodasl_jax.jobs.evaluate import evaluate
from twodasl_jax.jobs.import_weights import import_weights
from twodasl_jax.user_files.arrays import read_npz

training = importlib.import_module("twodasl_jax.jobs.train")  # `train` is the function
STATES = {
    "3ddfa_v2_mobilenet": {"epoch": 1, "state_dict": mobilenet_state()},
    "2dasl": {"res_state_dict": resnet50_state(4, 62)},
    "resnet50_imagenet": resnet50_state(3, 1000),
}


@pytest.fixture(autouse=True)
def made_up_weights(monkeypatch):
    """What a file is said to hold; its reader is tested by itself."""

    def read(path, *, expected):
        assert Path(path).exists(), f"no file {path}; {expected}"
        return STATES[Path(path).stem]

    monkeypatch.setattr(job, "read_torch_file", read)
    monkeypatch.setattr(training, "reconstruct_photo", lambda *_, **__: None)


def whitening_of_the_open_face():
    """Statistics whose mean is the mean face, frontal, in the middle of the crop."""
    model = load_face_model()
    points = np.asarray(model.linear.mean)[:, np.asarray(model.landmark_vertices)]
    scale = 80 / np.ptp(points[:2], axis=1).max()
    mean = np.zeros(62)
    mean[[0, 5, 10]] = scale
    mean[[3, 7]] = (60, 61) - scale * (points[:2].max(1) + points[:2].min(1)) / 2
    std = np.full(62, 1e-2)
    std[[3, 7, 11]] = 1.0
    std[[0, 1, 2, 4, 5, 6, 8, 9, 10]] = 0.02 * scale
    return {"mean": mean, "std": std}


def import_kind(kind, folder, *, workdir="run", **flags):
    """Imports made-up weights; the open face stands for the face model of the network."""
    (folder / f"{kind}.pth").write_bytes(b"weights")
    (folder / "whitening.pkl").write_bytes(pickle.dumps(whitening_of_the_open_face()))
    if kind != "resnet50_imagenet":
        flags.setdefault("whitening", str(folder / "whitening.pkl"))
        flags.setdefault("face_model", str(OPEN_FACE_FILE))
    torch = str(folder / f"{kind}.pth")
    import_weights(torch=torch, kind=kind, workdir=str(folder / workdir), **flags)
    return folder / workdir


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """One folder of each kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "read_torch_file", lambda path, **_: STATES[Path(path).stem])
        return {
            kind: import_kind(kind, tmp_path_factory.mktemp(kind.replace("_", "")))
            for kind in STATES
        }


def test_an_imported_network_predicts_what_its_weights_say(imported):
    run = load_trained_run(Workdir(imported["3ddfa_v2_mobilenet"]))
    rgb, _ = images()
    faces = run.predictor(batch_sizes=(2,), dense=False)(run.networks, rgb)
    golden = np.load(Path(__file__).parents[1] / "interop" / "goldens.npz")["3ddfa_v2_eval"]
    statistics = whitening_of_the_open_face()
    wanted = golden * statistics["std"] + statistics["mean"]
    found = np.concatenate([faces.camera.reshape(2, 12), faces.code], axis=1)
    spread = np.abs(golden).max() * statistics["std"]
    assert (np.abs(found - wanted) < 1e-4 * spread).all()


def test_the_folder_says_where_it_is_from(imported):
    told = json.loads((imported["2dasl"] / "imported.json").read_text())
    assert told["kind"] == "2dasl"
    assert told["torch"]["name"] == "2dasl.pth"
    assert len(told["whitening"]["sha256"]) == 64
    config = Workdir(imported["2dasl"]).read_config()
    assert (config.models.backbone, config.models.landmark_map) == ("resnet50_released", True)
    assert [(stage.name, stage.num_steps) for stage in config.stages] == [("imported", 0)]


def test_a_folder_that_was_moved_finds_its_face_model(tmp_path):
    shutil.copy(OPEN_FACE_FILE, tmp_path / "face.npz")
    place = tmp_path / "a"
    place.mkdir()
    run = import_kind("3ddfa_v2_mobilenet", place, face_model=str(tmp_path / "face.npz"))
    noted = json.loads((run / "face_model.json").read_text())["relative"]
    assert noted == str(Path("..") / ".." / "face.npz")


def test_2dasls_statistics_may_be_those_of_the_face_model(tmp_path):
    arrays = read_npz(OPEN_FACE_FILE, expected="expected it")
    statistics = whitening_of_the_open_face()
    own = {"coefficient_mean": statistics["mean"], "coefficient_std": statistics["std"]}
    np.savez(tmp_path / "face.npz", **arrays, **own)
    face_model = str(tmp_path / "face.npz")
    run = import_kind("2dasl", tmp_path, face_model=face_model, whitening=None)
    arrays = load_trained_run(Workdir(run)).arrays
    np.testing.assert_allclose(arrays["coefficient_mean"], statistics["mean"], rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "flags", "told"),
    [
        ("2dasl", {"face_model": None}, "no --face_model was given"),
        ("2dasl", {"whitening": None}, "has no whitening statistics; give those of the network"),
        ("3ddfa_v2_mobilenet", {"whitening": None}, "statistics of its own, and no --whitening"),
        ("resnet50_imagenet", {"face_model": "a"}, "so --face_model means nothing to it"),
        ("resnet50_imagenet", {"whitening": "a"}, "so --whitening means nothing to it"),
    ],
)
def test_flags_that_do_not_go_together(tmp_path, kind, flags, told):
    with pytest.raises(ValueError, match=told):
        import_kind(kind, tmp_path, **flags)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "change", [{"mean": np.zeros(62)}, {"mean": 1e-3 * whitening_of_the_open_face()["mean"]}]
)
def test_statistics_of_another_face_model(tmp_path, change):
    path = tmp_path / "other.npz"
    np.savez(path, **whitening_of_the_open_face() | change)
    with pytest.raises(ValueError, match=r"other\.npz are no face of .*span .* pixels"):
        import_kind("3ddfa_v2_mobilenet", tmp_path, whitening=str(path))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_files_is_left(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").write_text("")
    with pytest.raises(ValueError, match="run holds files; choose a new folder"):
        import_kind("3ddfa_v2_mobilenet", tmp_path)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine"]


def test_what_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("twodasl_jax.experiment.run.imported.write_place", full)
    with pytest.raises(OSError, match="No space"):
        import_kind("3ddfa_v2_mobilenet", tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".pth", ".pkl"}


def config_from(run, *, backbone, landmark_map):
    """One step on eight rendered faces, from imported networks."""
    config = base.get_config()
    config.init_from = str(run)
    config.models.update({"backbone": backbone, "landmark_map": landmark_map})
    config.data.annotated = (base.rendered("annotated", num_faces=8, seed=1, supersample=1),)
    config.data.annotated_batch_size = 8
    adam = {"name": "adam", "learning_rate": 1e-6}
    weights = {"coefficient": 1.0}
    config.stages = (
        base.stage("only", num_steps=1, loss_weights=weights, optimizers={"regressor": adam}),
    )
    config.training.log_every = config.training.checkpoint_every = 1
    return config


@pytest.fixture
def starting(monkeypatch):
    """Begins a run and gives it with the networks that its first stage would start from."""

    def start(config, folder):
        got = []
        monkeypatch.setattr(training, "_train_stages", lambda *started, **_: got.extend(started))
        training.train(config, workdir=str(folder))
        return got

    return start


def test_networks_of_rgb_start_a_run_that_reads_a_landmark_map(imported, tmp_path, starting):
    source = imported["3ddfa_v2_mobilenet"]
    config = config_from(source, backbone="mobilenet_v1_half", landmark_map=True)
    run, networks = starting(config, tmp_path / "new")
    old = load_trained_run(Workdir(source))
    kernel = networks.params["regressor"]["backbone"]["stem_conv"]["kernel"]
    own = old.networks.params["regressor"]["backbone"]["stem_conv"]["kernel"]
    np.testing.assert_array_equal(kernel, np.concatenate([own, np.zeros((3, 3, 1, 16))], axis=2))
    chex.assert_trees_all_equal(run.description.arrays, old.arrays)
    assert run.stages[0].method.use_landmark_map
    assert run.description.identity["models.landmark_map"] is True


def test_a_wider_mobilenet_starts_with_copies(imported, tmp_path, starting):
    source = imported["3ddfa_v2_mobilenet"]
    config = config_from(source, backbone="mobilenet_v1", landmark_map=False)
    run, networks = starting(config, tmp_path / "new")
    old, rgb = load_trained_run(Workdir(source)), images()[0]
    wide = run.stages[0].method.regressor.apply(
        jax.tree.map(
            jnp.asarray,
            {
                "params": networks.params["regressor"],
                "batch_stats": networks.batch_stats["regressor"],
            },
        ),
        jnp.asarray((rgb.astype(np.float32) - 127.5) / 128),
        train=False,
    )
    narrow = old.predictor(batch_sizes=(2,), dense=False)(old.networks, rgb)
    whitened = (narrow.code - old.arrays["coefficient_mean"][12:]) / old.arrays["coefficient_std"][
        12:
    ]
    np.testing.assert_allclose(wide[:, 12:], whitened, atol=1e-3 * np.abs(whitened).max())
    assert run.description.identity["models.backbone"] == "mobilenet_v1"


def test_a_backbone_alone_starts_networks_of_another_face_model(imported, tmp_path, starting):
    source = imported["3ddfa_v2_mobilenet"]
    arrays = read_npz(OPEN_FACE_FILE, expected="expected it")
    np.savez(tmp_path / "other.npz", **arrays | {"mean": arrays["mean"] * np.float32(1.01)})
    config = config_from(source, backbone="mobilenet_v1_half", landmark_map=False)
    config.face_model.path = str(tmp_path / "other.npz")
    with pytest.raises(ValueError, match=r"was trained .* mean"):
        starting(config, tmp_path / "new")
    config.init_part = "backbone"
    run, networks = starting(config, tmp_path / "new")
    own = load_trained_run(Workdir(source)).networks.params["regressor"]
    chex.assert_trees_all_equal(networks.params["regressor"]["backbone"], own["backbone"])
    head = np.asarray(networks.params["regressor"]["head"]["kernel"])
    assert 5e-4 < head.std() < 2e-3  # a fresh one's
    old_mean = load_trained_run(Workdir(source)).arrays["coefficient_mean"]
    assert not np.allclose(run.description.arrays["coefficient_mean"], old_mean)


def test_imagenets_network_predicts_no_faces_and_starts_a_run(imported, tmp_path, starting):
    source = imported["resnet50_imagenet"]
    with pytest.raises(ValueError, match=r"predict no faces yet; train a run from them.*init_from"):
        load_trained_run(Workdir(source))
    config = config_from(source, backbone="resnet50", landmark_map=True)
    run, networks = starting(config, tmp_path / "new")
    assert networks.params["regressor"]["backbone"]["stem_conv"]["kernel"].shape == (7, 7, 4, 64)
    head = networks.params["regressor"]["head"]["kernel"]
    assert head.shape == (2048, 62)
    assert 5e-4 < head.std() < 2e-3  # a fresh one's
    assert set(run.description.arrays) == {
        "coefficient_mean",
        "coefficient_std",
    }  # of the run's own data


def test_a_map_that_was_read_is_not_taken_away(imported, tmp_path, starting):
    config = config_from(imported["2dasl"], backbone="resnet50_released", landmark_map=False)
    with pytest.raises(ValueError, match=r"trained with models\.landmark_map=True, and this"):
        starting(config, tmp_path / "new")


def test_imported_networks_are_not_trained_in_their_place(imported):
    folder = imported["3ddfa_v2_mobilenet"]
    with pytest.raises(ValueError, match=r"not trained in their place; start a run .*init_from="):
        training.train(None, workdir=str(folder))


@pytest.mark.shared_data
def test_the_published_network_scores_what_its_own_pytorch_does(shared_data, tmp_path, monkeypatch):
    """mb05 in PyTorch 2.14.1 by the benchmark's boxes: 3.108 and 2.722 on the 40 sample images."""
    monkeypatch.undo()
    published = shared_data / "published_networks" / "3ddfa_v2_mb05"
    import_weights(
        torch=str(published / "mb05_120x120.pth"),
        kind="3ddfa_v2_mobilenet",
        whitening=str(published / "param_mean_std_62d_120x120.pkl"),
        face_model=str(shared_data / "bfm" / "bfm2009_53215.npz"),
        workdir=str(tmp_path / "mb05"),
    )
    config = evaluation.get_config()
    config.data_dir = str(shared_data / "aflw2000_3d_sample")
    config.metrics = ("landmarks68_2d",)
    folders = {"checkpoint": str(tmp_path / "mb05"), "workdir": str(tmp_path / "scores")}
    evaluate(read_settings(BenchmarkSettings, config), **folders)
    results = json.loads((tmp_path / "scores" / "results.json").read_text())["metrics"]
    found = {label: each["mean_of_bins"] for label, each in results["landmarks68_2d"].items()}
    assert found == pytest.approx({"original": 3.1079, "reannotated": 2.7221}, abs=1e-3)

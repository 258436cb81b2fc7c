"""The seam holds: a method that is nothing like 2DASL goes through run.py's own code.

All that it brings is its file and its entry in ``METHODS``.
"""

import importlib.util
import json
import shutil
from pathlib import Path

import chex
import numpy as np
import pytest
from skimage.data import astronaut

from configs import base
from twodasl_jax.experiment.run.trained import load_trained_run, open_trained
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.face_reconstructor import FaceReconstructor
from twodasl_jax.jobs import options
from twodasl_jax.jobs.modes import run_mode
from twodasl_jax.methods.method import Method
from twodasl_jax.methods.registry import METHODS
from twodasl_jax.predict.video.smoothing import FaceSmoother
from twodasl_jax.training.prediction_checkpoint import restore_for_prediction

_spec = importlib.util.spec_from_file_location(
    "mean_shape", Path(__file__).parent / "mean_shape.py"
)
mean_shape = importlib.util.module_from_spec(_spec)


@pytest.fixture(autouse=True, scope="module")
def registered():
    import sys

    sys.modules["mean_shape"] = mean_shape  # where its dataclasses look for their names
    _spec.loader.exec_module(mean_shape)
    METHODS["mean_shape"] = mean_shape.MeanShapeFamily()
    yield
    del METHODS["mean_shape"], sys.modules["mean_shape"]


def config(num_steps: int):
    """Two steps on eight rendered faces, scored on eight others."""
    settings = base.get_config()
    settings.method = "mean_shape"
    settings.models = {"scale": 1.0}
    settings.losses = {}
    settings.data.annotated = (base.rendered("annotated", num_faces=8, seed=1, supersample=1),)
    settings.data.annotated_batch_size = 8
    settings.evaluation.sets = (base.rendered("held_out", num_faces=8, seed=2, supersample=1),)
    settings.evaluation.batch_size = 8
    settings.stages = (
        base.stage(
            "only",
            num_steps=num_steps,
            loss_weights={"camera": 1.0},
            optimizers={"pose": {"name": "adam", "learning_rate": 1e-3}},
        ),
    )
    settings.training.log_every = settings.training.checkpoint_every = 1
    return settings


def run(mode: str, settings, **flags):
    given = dict.fromkeys((flag.name for flag in options.OPTIONS), None) | {"num_passes": 2} | flags
    run_mode(mode, settings, given, list(flags))


@pytest.fixture(scope="module")
def trained(registered, tmp_path_factory):
    """Two steps, scored before and after, and the photograph at the end."""
    folder = tmp_path_factory.mktemp("second") / "run"
    run("train", config(2), workdir=str(folder))
    return folder


def test_it_is_a_method(registered):
    made = METHODS["mean_shape"].make(
        models=mean_shape.ModelSettings(),
        losses=mean_shape.LossSettings(),
        stage=type("Stage", (), {"loss_weights": {"camera": 1.0}}),
    )
    assert isinstance(made, Method)
    assert len((Path(__file__).parent / "mean_shape.py").read_text().splitlines()) < 150


def test_it_trains_and_is_scored(trained):
    results = json.loads((trained / "results.json").read_text())
    assert set(results["evaluations"]) == {"before", "only"}
    scores = results["evaluations"]["only"]["held_out"]["metrics"]["true"]
    assert scores["count"] == 8
    assert np.isfinite(scores["mean_of_images"])
    run_read = load_trained_run(Workdir(trained))
    assert run_read.method.crop_size == 96
    assert run_read.arrays == {}


def test_it_goes_on_from_its_first_step_bit_for_bit(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    shutil.rmtree(folder / "checkpoints" / "only" / "2")
    results = json.loads((folder / "results.json").read_text())
    del results["stages"]["only"], results["evaluations"]["only"]
    (folder / "results.json").write_text(json.dumps(results))
    run("train", None, workdir=str(folder))
    whole, resumed = (restore_for_prediction(r / "checkpoints" / "only") for r in (trained, folder))
    assert (whole.step, resumed.step) == (2, 2)
    chex.assert_trees_all_equal(whole.params, resumed.params)
    again = json.loads((folder / "results.json").read_text())
    assert again["stages"]["only"]["steps"] == 2


def test_it_is_scored_again_and_predicts(trained, capsys):
    run("evaluate", None, workdir=str(trained))
    run("predict", None, workdir=str(trained), outputs=["json", "mesh", "overlay", "html"])
    (told,) = (trained / "prediction").glob("*.json")
    (face,) = json.loads(told.read_text())["faces"]
    assert len(face["landmarks_2d"]) == 68
    assert list((trained / "prediction").glob("*.glb"))
    assert list((trained / "prediction").glob("*.html"))


def test_it_is_packed_and_predicts_from_a_file(trained, tmp_path):
    (tmp_path / "card.md").write_text("a test")
    run(
        "pack",
        None,
        checkpoint=str(trained),
        output=str(tmp_path / "net.npz"),
        licence="none",
        card=str(tmp_path / "card.md"),
    )
    packed, whole = open_trained(tmp_path / "net.npz"), load_trained_run(Workdir(trained))
    crops = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), np.uint8)
    cameras = [
        each.predictor(batch_sizes=(2,))(each.networks, crops).camera for each in (packed, whole)
    ]
    chex.assert_trees_all_close(*cameras, rtol=1e-3, atol=1e-3)  # half precision: 11 bits


def test_its_crops_are_its_own(trained):
    reconstructor = FaceReconstructor.from_checkpoint(trained, detector="whole_image")
    (face,) = reconstructor(astronaut(), boxes=[np.array([182.0, 63.0, 269.0, 174.0])])
    assert face.crop.shape == (96, 96, 3)
    with pytest.raises(ValueError, match="96"):
        reconstructor.reconstruct_crops(np.zeros((1, 120, 120, 3), np.uint8))


def test_its_faces_are_smoothed(trained):
    reconstructor = FaceReconstructor.from_checkpoint(trained, detector="whole_image")
    (face,) = reconstructor.reconstruct_at(astronaut(), [np.array([150.0, 30.0, 300.0, 180.0])])
    smoother = FaceSmoother(
        reconstructor.face_model, reconstructor.decode, reconstructor.code_layout
    )
    for time in (0.0, 0.1):  # at rest
        smooth = smoother(face, time)
    # Float32 positions of up to 300 px.
    chex.assert_trees_all_close(smooth.landmarks_px, face.landmarks_px, atol=1e-3)
    chex.assert_trees_all_equal(smooth.points, face.points)


def test_another_method_does_not_go_on_from_it(trained, tmp_path):
    other = base.get_config()
    other.models.backbone = "resnet_tiny"
    other.init_from = str(trained)
    other.data.annotated = (base.rendered("annotated", num_faces=8, seed=1),)
    other.stages = (
        base.stage(
            "only",
            num_steps=1,
            loss_weights={"coefficient": 1.0},
            optimizers={"regressor": {"name": "adam", "learning_rate": 1e-3}},
        ),
    )
    other.training.log_every = other.training.checkpoint_every = 1
    with pytest.raises(ValueError, match="method=mean_shape, and this experiment has method=two"):
        run("train", other, workdir=str(tmp_path / "other"))
    assert not (tmp_path / "other").exists()

"""Labelled crops that networks are scored on while they train."""

import dataclasses
import importlib
import json
import types

import cv2
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from configs import base, quickstart
from twodasl_jax.data.fitted_source import FITTED_LANDMARKS, SETTINGS_FILE
from twodasl_jax.evaluation.benchmark import Predictions
from twodasl_jax.evaluation.labelled_crops import open_aflw
from twodasl_jax.evaluation.sets import EvaluationSet
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.scores.report import score_set
from twodasl_jax.experiment.scores.while_training import make_set_evaluator, numbers_of_set
from twodasl_jax.experiment.settings.experiment_settings import LabelledCropsSettings
from twodasl_jax.jobs.modes import run_mode
from twodasl_jax.jobs.train import train
from twodasl_jax.methods.method import Faces
from twodasl_jax.training.prediction_checkpoint import restore_for_prediction
from twodasl_jax.training.state import Networks
from twodasl_jax.training.writers import read_metrics

COUNT = 5
YAW = np.array([0.0, 20.0, -45.0, 50.0, 10.0])


@pytest.fixture
def crops(tmp_path):
    """A folder of crops with 68 labels; a face's number is the brightness of its picture."""
    folder = tmp_path / "labelled"
    (folder / "crops").mkdir(parents=True)
    names = [f"{number}.png" for number in range(COUNT)]
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / "crops" / name), np.full((120, 120, 3), number, np.uint8))
    np.savez(
        folder / "annotations.npz",
        file_name=names,
        yaw_degrees=YAW,
        landmarks68_crop_px=np.random.default_rng(0).uniform(20, 100, (COUNT, 68, 2)),
        landmarks68_visibility=np.full((COUNT, 68), 2, np.int8),
    )
    return folder


def write_fits(folder, crops):
    """What `--mode=annotate` leaves of all faces but the first: a pixel beside the labels."""
    with np.load(crops / "annotations.npz") as file:
        points, names = file["landmarks68_crop_px"][1:] + 0.7, file["file_name"][1:]
    folder.mkdir()
    np.savez(folder / "annotations.npz", file_name=names, **{FITTED_LANDMARKS: points})
    (folder / SETTINGS_FILE).write_text("{}")


def with_all_labels(folder):
    """The set with fits that lie a pixel beside the manual labels."""
    benchmark = open_aflw(folder, Console(quiet=True))
    fits = benchmark.truth["landmarks68_px"] + np.array([0.6, 0.8])
    truth = {**benchmark.truth, "fits": fits}
    benchmark = dataclasses.replace(benchmark, truth=truth, label_sets=("fits",))
    return EvaluationSet("labelled", benchmark, "some", "none")


def shifted(labels):
    """A method that knows each face by its picture, and is off by `params["shift"]` in x."""

    def predict(networks, constants, image, detected_landmarks):
        del constants
        # An empty landmark map: no truth reaches the network.
        given = jnp.isfinite(detected_landmarks).any()
        points = jnp.asarray(labels, jnp.float32)[image[:, 0, 0, 0]]
        x = points[..., 0] + jnp.where(given, jnp.nan, networks.params["shift"])
        model = jnp.stack([x, 121 - points[..., 1], jnp.zeros_like(x)], axis=1)
        camera = jnp.tile(jnp.eye(3, 4), (len(image), 1, 1))
        return Faces(camera, model, jnp.zeros((len(image), 50)))

    return types.SimpleNamespace(predict=predict, crop_size=120)


def test_it_measures_what_the_benchmark_measures(crops):
    chosen = with_all_labels(crops)
    labels = chosen.benchmark.truth["landmarks68_px"]
    evaluate = make_set_evaluator(chosen, shifted(labels), None, batch_size=2)
    scores = dict(evaluate(Networks({"shift": 2.0}, {})))
    nme = 200 / chosen.benchmark.truth["size"]
    # Float32 positions of about 100 px, in 2 px: 1e-5 of them.
    near = [0, 1, 4]
    assert scores["labelled/manual/bin_0_30"] == pytest.approx(nme[near].mean(), rel=1e-4)
    assert scores["labelled/manual/mean_of_images"] == pytest.approx(nme.mean(), rel=1e-4)
    predictions = Predictions(labels + np.array([2.0, 0.0]), None, {})
    _, results = score_set(chosen.benchmark, predictions)
    fits = results["metrics"]["landmarks68_2d"]["fits"]
    for number in ("bin_30_60", "mean_of_images", "failure_rate_10"):
        assert scores[f"labelled/fits/{number}"] == pytest.approx(fits[number], rel=1e-4)
    by_roll = {name for name in scores if "/roll_" in name}
    assert by_roll == {
        f"labelled/{label}/{number}"
        for label in ("manual", "fits")
        for number, mean in fits.items()
        if number.startswith("roll_") and np.isfinite(mean)
    }
    # Nobody is beyond 60 degrees: neither that bin nor the mean of bins is defined.
    assert not {name for name in scores if name.endswith(("bin_60_90", "mean_of_bins"))}


def test_networks_that_are_lost_do_not_end_the_run(crops):
    chosen = with_all_labels(crops)
    method = shifted(chosen.benchmark.truth["landmarks68_px"])
    evaluate = make_set_evaluator(chosen, method, None, batch_size=2)
    for shift in (np.nan, np.inf, 1e30):
        lost = dict(evaluate(Networks({"shift": shift}, {})))
        assert lost["labelled/manual/failure_rate_10"] == 100
        assert 1e4 < lost["labelled/manual/mean_of_images"] < 1e5


def short_quickstart(crops, fits):
    """One stage of three steps, validated with crops alone."""
    config = quickstart.get_config()
    config.data.annotated = (base.rendered("annotated", num_faces=8, seed=1, supersample=1),)
    config.data.in_the_wild = ()
    config.data.annotated_batch_size = 8
    config.data.validation.source = ""
    config.evaluation.sets = (
        {"kind": "crops", "name": "labelled", "path": str(crops), "fits": str(fits)},
    )
    config.evaluation.batch_size = 8
    config.stages = (
        base.stage(
            "only",
            num_steps=3,
            loss_weights={"coefficient": 1.0},
            optimizers={"regressor": {"name": "sgd", "learning_rate": 1e-3}},
        ),
    )
    config.training.best.metric = "labelled/manual/mean_of_images"
    config.training.log_every = config.training.checkpoint_every = 1
    config.training.evaluate_every = 1
    return config


def test_a_run_is_validated_with_crops(crops, tmp_path):
    run = Workdir(tmp_path / "run")
    fits = tmp_path / "fits"
    write_fits(fits, crops)
    train(short_quickstart(crops, fits), workdir=str(run.folder), image=None, box=None)
    measured = read_metrics(run.logs("only"))["labelled/manual/mean_of_images"]
    assert [step for step, _ in measured] == [1, 2, 3]
    best = restore_for_prediction(run.best("only"))
    assert best.step == min(measured, key=lambda entry: entry[1])[0]
    scored = json.loads((run.folder / "results.json").read_text())["evaluations"]
    entry = scored["only"]["labelled"]
    # Float32 in metrics.csv, of six digits.
    assert entry["metrics"]["manual"]["mean_of_images"] == pytest.approx(measured[-1][1], rel=1e-4)
    assert entry["conventions"]["images"] == f"{COUNT} labelled crops"
    assert (run.folder / "faces_labelled_manual.png").stat().st_size > 1000
    assert entry["metrics"]["fits"]["count"] == COUNT - 1
    assert (run.folder / "faces_labelled_fits.png").stat().st_size > 1000
    # The same networks by --mode=evaluate on the folder.
    config = importlib.import_module("configs.evaluation").get_config()
    config.benchmark, config.data_dir, config.batch_size = "aflw", str(crops), 8
    config.fits = str(fits)
    options = {"workdir": str(tmp_path / "scores"), "checkpoint": str(run.folder)}
    run_mode("evaluate", config, {"predictions": None, "face_model": None, **options})
    results = json.loads((tmp_path / "scores" / "results.json").read_text())
    for metric, label in (("visible_2d", "manual"), ("landmarks68_2d", "fits")):
        by_itself, in_training = results["metrics"][metric][label], entry["metrics"][label]
        assert {"roll_0_15", "count_roll_0_15"} <= by_itself.keys()
        known = {name: value for name, value in in_training.items() if value is not None}
        assert {name: by_itself[name] for name in known} == pytest.approx(known, rel=1e-5)
    assert results["conventions"]["fits"].startswith("all 68 points of coefficients fitted to")


def test_what_a_set_measures_can_choose_the_best():
    chosen = LabelledCropsSettings(kind="crops", name="labelled", path="", fits="")
    assert "labelled/manual/mean_of_bins" in numbers_of_set(chosen)
    assert not [name for name in numbers_of_set(chosen) if "/fits/" in name]
    chosen = dataclasses.replace(chosen, fits="there")
    assert "labelled/fits/roll_15_45" in numbers_of_set(chosen)

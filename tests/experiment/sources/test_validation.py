"""Validation: what is held out is trained on by nothing, and its error is what it says."""

import dataclasses
import shutil
import types

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base, quickstart
from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.data.pipeline import TrainingSource
from twodasl_jax.data.sources import RenderedSource, write_rendered
from twodasl_jax.experiment.run.trained import load_trained_run
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.settings.experiment_settings import PreparedSettings, RunChoice
from twodasl_jax.experiment.settings.reading import experiment_settings
from twodasl_jax.experiment.sources import validation
from twodasl_jax.experiment.sources.training_data import Sources, make_batches
from twodasl_jax.experiment.sources.validation import (
    check_validation,
    hold_out_validation,
    make_validation_evaluator,
)
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.linear import vertices_from_coefficients
from twodasl_jax.jobs.train import train
from twodasl_jax.methods.method import Faces
from twodasl_jax.training.prediction_checkpoint import restore_for_prediction
from twodasl_jax.training.state import Networks
from twodasl_jax.training.writers import read_metrics

COUNT, EVERY = 12, 4


def rendered(folder, *, seed, count=COUNT):
    """Made-up faces, each with a picture of its own."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (count, 120, 120, 3)).astype(np.uint8)
    write_rendered(
        folder,
        images=images,
        coefficients=generator.normal(size=(count, 62)).astype(np.float32),
        landmarks=generator.uniform(20, 100, (count, 68, 2)).astype(np.float32),
        yaw_degrees=generator.uniform(-90, 90, count).astype(np.float32),
        settings={"seed": seed},
    )


def config_of(*, validated="second", **training):
    config = base.get_config()
    config.stages = (
        base.stage("both", num_steps=1, loss_weights={"landmark_2d": 1.0}, optimizers={}),
    )
    config.data.annotated = (
        base.rendered("first", num_faces=COUNT, seed=1),
        base.rendered("second", num_faces=COUNT, seed=2),
    )
    config.data.annotated_batch_size = config.data.in_the_wild_batch_size = 4
    config.data.augment = {"flip_probability": 0.0}
    config.data.validation = {"source": validated, "every": EVERY}
    config.training.update({"evaluate_every": 100} | training)
    return experiment_settings(config)


@pytest.fixture
def sources(tmp_path):
    """Two annotated sources; the in-the-wild half shows the second one's faces again."""
    for name, seed in (("first", 1), ("second", 2)):
        rendered(tmp_path / name, seed=seed)
    shutil.copytree(tmp_path / "second", tmp_path / "same faces")
    opened = [RenderedSource(tmp_path / name) for name in ("first", "second")]
    wild = RenderedSource(tmp_path / "same faces", role="in_the_wild")
    return Sources(tuple(TrainingSource(one) for one in opened), (TrainingSource(wild),))


def pictures(half):
    return {source[index]["image"].tobytes() for source, *_ in half for index in range(len(source))}


def test_no_face_is_both_trained_on_and_validated_with(sources):
    left, faces = hold_out_validation(config_of().data, sources, crop_size=120)
    held = {image.tobytes() for image in faces.image}
    assert len(held) == COUNT // EVERY
    # Of both halves, the same faces under another name too; and nothing else is lost.
    assert not held & pictures(left.annotated)
    assert not held & pictures(left.in_the_wild)
    assert held | pictures(left.annotated) == pictures(sources.annotated)
    assert held | pictures(left.in_the_wild) == pictures(sources.in_the_wild)
    second = sources.annotated[1].faces
    np.testing.assert_array_equal(faces.coefficients, second.coefficients[EVERY - 1 :: EVERY])


def test_no_batch_holds_a_held_out_face(sources):
    left, faces = hold_out_validation(config_of().data, sources, crop_size=120)
    method = types.SimpleNamespace(reads=("annotated", "in_the_wild"), crop_size=120)
    stage = types.SimpleNamespace(name="both", method=method)
    batches = make_batches(config_of().data, left, stage, seed=0, coefficient_mirror=None)
    seen = np.concatenate([next(batches)["annotated"]["coefficients"] for _ in range(20)])
    # Augmentation moves the camera; shape and expression stay the face's own.
    shapes = {row.tobytes() for row in seen[:, 12:]}
    assert len(shapes) == 2 * COUNT - COUNT // EVERY
    assert not shapes & {row.tobytes() for row in faces.coefficients[:, 12:]}


def test_whitening_statistics_do_not_see_them(sources):
    left, faces = hold_out_validation(config_of().data, sources, crop_size=120)
    seen = np.concatenate([source.coefficients for source, *_ in left.annotated])
    assert len(seen) == 2 * COUNT - len(faces.coefficients)


def test_without_validation_the_sources_stay_as_they_are(sources):
    config = config_of(validated="", evaluate_every=0)
    left, faces = hold_out_validation(config.data, sources, crop_size=120)
    assert left is sources
    assert faces is None


@pytest.mark.parametrize(
    ("source", "training", "message"),
    [
        ("third", {}, "'third', which is no annotated source; choose one of first, second"),
        ("second", {"evaluate_every": 0}, "set both to validate, or neither"),
        ("", {}, "set both to validate, or neither"),
        ("", {"evaluate_every": 0, "checkpoint": "best"}, "nothing measures which is"),
    ],
)
def test_settings_that_do_not_fit_are_refused(source, training, message):
    config = config_of(validated=source, **training)
    with pytest.raises(ValueError, match=message):
        check_validation(config.data, config.training)


def test_a_prepared_set_is_refused_with_the_reason():
    config = config_of()
    first, _ = config.data.annotated
    prepared = PreparedSettings(kind="tfds", name="second", split="train", data_dir="")
    data = dataclasses.replace(config.data, annotated=(first, prepared))
    with pytest.raises(ValueError, match="each photograph in many poses"):
        check_validation(data, config.training)


def test_the_evaluator_gives_the_nme_of_the_held_out_faces(small_face_model):
    """A predictor that is off by two pixels in x for every face, and knows it by its picture."""
    generator = np.random.default_rng(0)
    coefficients = np.zeros((5, 62), np.float32)
    # Frontal cameras of different sizes; the last face looks 45 degrees to the side.
    for row, scale in zip(coefficients, (0.5, 0.6, 0.7, 0.8, 0.6), strict=True):
        row[:12] = scale * np.eye(3, 4).ravel()
        row[[3, 7]] = 60
    half = np.sqrt(0.5)
    coefficients[4, :12].reshape(3, 4)[:, :3] = 0.6 * np.array(
        [[half, 0, half], [0, 1, 0], [-half, 0, half]]
    )
    coefficients[:, 12:] = 0.1 * generator.normal(size=(5, 50))
    image = np.zeros((5, 120, 120, 3), np.uint8)
    image[:, 0, 0, 0] = np.arange(5)

    def predict(networks, constants, image, detected_landmarks):
        # An empty landmark map: no truth reaches the network.
        given = jnp.isfinite(detected_landmarks).any()
        found = jnp.asarray(coefficients)[image[:, 0, 0, 0]]
        found = found.at[:, 3].add(jnp.where(given, jnp.nan, networks.params["shift"]))
        parts = split_coefficients(found)
        points = vertices_from_coefficients(constants, parts.shape, parts.expression)
        return Faces(parts.camera, points, found[:, 12:])

    landmarks = landmark_model(small_face_model)
    method = types.SimpleNamespace(predict=predict, crop_size=120)
    evaluate = make_validation_evaluator(
        validation.ValidationFaces(image, coefficients), method, landmarks, landmarks, batch_size=2
    )
    points = np.asarray(landmarks_from_coefficients(landmarks, jnp.asarray(coefficients)))
    sides = np.ptp(points[..., :2], axis=1)
    nme = 200 / np.sqrt(sides.prod(axis=1))
    scores = dict(evaluate(Networks({"shift": 2.0}, {})))
    # Float32 positions of about 100 px, in 2 px: 1e-5 of them.
    assert scores["validation/mean_of_images"] == pytest.approx(nme.mean(), rel=1e-4)
    assert scores["validation/bin_0_30"] == pytest.approx(nme[:4].mean(), rel=1e-4)
    assert scores["validation/bin_30_60"] == pytest.approx(nme[4], rel=1e-4)
    # No face is beyond 60 degrees: neither that bin nor the mean of bins is defined.
    assert not {"validation/bin_60_90", "validation/mean_of_bins"} & set(scores)
    assert dict(evaluate(Networks({"shift": 0.0}, {})))["validation/mean_of_images"] == 0
    # A face that is lost altogether counts as 10,000 %, also in the mean.
    lost = dict(evaluate(Networks({"shift": np.nan}, {})))
    assert lost["validation/mean_of_images"] == 1e4
    assert lost["validation/failure_rate_10"] == 100


def short_quickstart(**training):
    """Two short stages with one loss: the first far too fast, the second standing still."""
    config = quickstart.get_config()
    config.data.annotated = (base.rendered("annotated", num_faces=8, seed=1, supersample=1),)
    config.data.in_the_wild = (base.rendered("in_the_wild", num_faces=8, seed=2, supersample=1),)
    config.data.annotated_batch_size = config.data.in_the_wild_batch_size = 8
    config.data.validation.every = 3
    config.evaluation.sets, config.evaluation.batch_size = (), 8
    config.stages = tuple(
        base.stage(
            name,
            num_steps=3,
            loss_weights={"coefficient": 1.0},
            optimizers={"regressor": {"name": "sgd", "learning_rate": rate}},
        )
        for name, rate in (("fast", 0.1), ("still", 0.0))
    )
    # Every face fails at every step: no later one is better, and the first stays the best.
    config.training.best.metric = "validation/failure_rate_10"
    config.training.log_every = config.training.checkpoint_every = 1
    config.training.evaluate_every = 1
    config.training.update(training)
    return config


def test_the_best_networks_are_used_where_the_config_says_so(tmp_path):
    train(short_quickstart(checkpoint="best"), workdir=str(tmp_path), image=None, box=None)
    run = Workdir(tmp_path)
    assert read_metrics(run.logs("fast"))["validation/failure_rate_10"] == [
        (step, 100.0) for step in (1, 2, 3)
    ]
    best, last = (restore_for_prediction(folder("fast")) for folder in (run.best, run.checkpoints))
    assert (best.step, last.step) == (1, 3)
    # The second stage does not move: its networks are those that it was handed.
    handed_on = restore_for_prediction(run.checkpoints("still")).params["regressor"]
    chex.assert_trees_all_equal(handed_on, best.params["regressor"])
    with pytest.raises(AssertionError):
        chex.assert_trees_all_equal(handed_on, last.params["regressor"])
    # Read for scoring, the run's own config says best; another may ask for the newest. They
    # differ in what every step moves, the BatchNorm statistics.
    newest = RunChoice("newest", "")
    for wanted, folder in ((None, run.best), (newest, run.checkpoints)):
        read = restore_for_prediction(folder("still"))
        _, batch_stats = load_trained_run(run, wanted).networks
        chex.assert_trees_all_equal(batch_stats, read.batch_stats)
    with pytest.raises(AssertionError):
        chex.assert_trees_all_equal(
            load_trained_run(run).networks[1],
            load_trained_run(run, newest).networks[1],
        )

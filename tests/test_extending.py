"""docs/extending.md does what it says: its code is run, block by block, and then used."""

import contextlib
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jaxtyping import Array, Float
from PIL import Image
from rich.console import Console

from tests.predict.linear_faces import reconstruction_from_coefficients
from twodasl_jax.array_types import AnnotatedBatch, Batch, InTheWildBatch
from twodasl_jax.coefficients import Whitening
from twodasl_jax.data.augment import AugmentOptions
from twodasl_jax.data.pipeline import make_pipeline
from twodasl_jax.data.source_protocol import Source
from twodasl_jax.evaluation import benchmark_kinds, benchmark_metrics
from twodasl_jax.evaluation.benchmark import Benchmark, Predictions
from twodasl_jax.evaluation.benchmark_report import results_of
from twodasl_jax.face_model.landmarks import landmark_model
from twodasl_jax.losses.landmark import safe_norm
from twodasl_jax.methods import twodasl, twodasl_losses
from twodasl_jax.methods.twodasl_passes import Constants, LossInputs, Prediction
from twodasl_jax.methods.twodasl_settings import TwoDASL
from twodasl_jax.models import coefficient_regressor
from twodasl_jax.predict.files import output_writers
from twodasl_jax.predict.files.outputs import write_outputs
from twodasl_jax.training.state import create_state
from twodasl_jax.user_files.arrays import read_npy

TABLES = {
    "BACKBONES": coefficient_regressor.BACKBONES,
    "BENCHMARKS": benchmark_kinds.BENCHMARKS,
    "LOSSES": twodasl_losses.LOSSES,
    "OUTPUTS": output_writers.OUTPUTS,
}


@pytest.fixture(scope="module")
def page(repository):
    """What the page's blocks define; the tables that they add to are as before afterwards."""
    text = (repository / "docs" / "extending.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", text, flags=re.S | re.M)
    names: dict[str, Any] = TABLES | {
        "Any": Any, "Array": Array, "Benchmark": Benchmark,
        "BenchmarkKind": benchmark_kinds.BenchmarkKind, "Console": Console, "Float": Float,
        "Iterator": Iterator, "Loss": twodasl_losses.Loss, "LossInputs": LossInputs,
        "OutputFile": output_writers.OutputFile, "Path": Path,
        "PhotoFaces": output_writers.PhotoFaces, "_png": output_writers._png, "chex": chex,
        "landmarks68_2d": benchmark_metrics.landmarks68_2d, "nn": nn, "np": np,
        "predicted68": benchmark_metrics.predicted68, "read_npy": read_npy,
        "safe_norm": safe_norm,
    }  # fmt: skip
    with contextlib.ExitStack() as stack:
        for table in TABLES.values():
            stack.enter_context(mock.patch.dict(table))
        for block in blocks:
            exec(compile(block, "docs/extending.md", "exec"), names)
        yield names


def test_the_new_loss_is_known_and_computed(page, small_face_model, small_frontal_coefficients):
    assert "eye_contact" in twodasl_losses.choosable()
    assert twodasl_losses.reads_in_the_wild(["eye_contact"])
    whitening = Whitening(jnp.asarray(small_frontal_coefficients), jnp.ones(62))
    constants = Constants(landmark_model(small_face_model), jnp.zeros((154, 154)), whitening)
    given = jnp.full((3, 18, 2), 60.0)
    half = InTheWildBatch.empty()._replace(landmarks18=given)

    def value(whitened):
        first = Prediction(whitened, constants)
        formula = twodasl_losses.LOSS_FORMULAS["paper"]
        inputs = LossInputs(half, first, None, None, constants, formula, True)
        return twodasl_losses.LOSSES["eye_contact"].function(inputs)

    values = value(jnp.zeros((3, 62)))
    landmarks = Prediction(jnp.zeros((3, 62)), constants).landmarks18[:, :12]
    expected = np.linalg.norm(np.asarray(landmarks) - 60.0, axis=-1).sum(axis=-1)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    gradient = jax.grad(lambda whitened: value(whitened).mean())(jnp.zeros((3, 62)))
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


class Known:
    """Annotated faces, to fill the other half."""

    role = "annotated"
    coefficients = np.zeros((8, 62), np.float32)

    def __init__(self, source):
        self._source = source

    def __len__(self):
        return len(self._source)

    def __getitem__(self, index):
        return self._source[index] | {"coefficients": self.coefficients[index]}

    def record_name(self, index):
        return self._source.record_name(index)

    def identities(self):
        return self._source.identities()


def test_the_new_source_feeds_the_pipeline(page):
    source: Source = page["GreyFaces"]()
    batches = make_pipeline(
        [(Known(source), 1.0)],
        [(source, 1.0)],
        annotated_batch_size=4,
        in_the_wild_batch_size=4,
        augment_options=AugmentOptions(),
        seed=0,
    )
    batch = next(batches)
    chex.assert_shape(batch["in_the_wild"]["image"], (4, 120, 120, 3))
    chex.assert_shape(batch["in_the_wild"]["landmarks"], (4, 68, 2))


def test_the_new_backbone_makes_a_regressor(page):
    regressor = coefficient_regressor.make_regressor("mean_colour")
    crops = jnp.zeros((2, 120, 120, 4))
    variables = regressor.init(jax.random.key(0), crops, train=False)
    chex.assert_shape(regressor.apply(variables, crops, train=False), (2, 62))


def test_loss_source_and_backbone_train_together(
    page, small_face_model, small_frontal_coefficients
):
    """One step of the compiled method: the new loss alone moves the new backbone's regressor."""
    source: Source = page["GreyFaces"]()
    known = Known(source)
    known.coefficients = np.tile(small_frontal_coefficients, (8, 1))
    batches = make_pipeline(
        [(known, 1.0)],
        [(source, 1.0)],
        annotated_batch_size=4,
        in_the_wild_batch_size=4,
        augment_options=AugmentOptions(),
        seed=0,
    )
    halves = next(batches)
    batch = Batch(AnnotatedBatch(**halves["annotated"]), InTheWildBatch(**halves["in_the_wild"]))
    regressor = coefficient_regressor.make_regressor("mean_colour")
    method = TwoDASL(regressor, None, None, {"eye_contact": 0.01})
    whitening = Whitening(jnp.asarray(small_frontal_coefficients), jnp.ones(62))
    constants = Constants(landmark_model(small_face_model), jnp.zeros((154, 154)), whitening)
    optimizer = optax.sgd(0.1)
    before = create_state(*twodasl.init_networks(method, jax.random.key(0)), optimizer)
    step = functools.partial(twodasl.train_step, method=method, optimizer=optimizer)
    after, metrics = jax.jit(step)(before, batch, constants)
    assert metrics["eye_contact"] > 0
    np.testing.assert_allclose(metrics["loss"], 0.01 * metrics["eye_contact"], rtol=1e-5)
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), after.params, before.params)
    assert max(jax.tree.leaves(moved)) > 0


def test_the_new_benchmark_is_measured(page, tmp_path):
    labels = np.random.default_rng(0).uniform(0, 100, (2, 68, 2))
    np.save(tmp_path / "landmarks.npy", labels)
    kind = benchmark_kinds.BENCHMARKS["grey"]
    benchmark = kind.open(tmp_path, Console(quiet=True))
    predictions = Predictions(labels + np.array([3.0, 4.0]), None, {})
    errors = kind.metrics["landmarks68_2d"](benchmark, predictions)
    size = np.sqrt(np.ptp(labels, axis=1).prod(axis=1))
    np.testing.assert_allclose(errors["true"], 5 / size, rtol=1e-6)
    results = results_of(kind, benchmark, predictions, {"landmarks68_2d": errors})
    assert results["benchmark"] == "grey"
    assert results["num_images"] == 2


def test_the_new_output_is_written(page, tmp_path, small_face_model, small_frontal_coefficients):
    box = np.array([0.0, 0.0, 120.0, 120.0], np.float32)
    face = reconstruction_from_coefficients(small_face_model, small_frontal_coefficients, box)
    image = np.zeros((120, 120, 3), np.uint8)
    (file,) = write_outputs(["silhouette"], image, [face], small_face_model, tmp_path, "me")
    assert file.name == "me_silhouette.png"
    seen = np.asarray(Image.open(file)) == 255
    assert 0.1 < seen.mean() < 0.9
    assert seen[60, 60]

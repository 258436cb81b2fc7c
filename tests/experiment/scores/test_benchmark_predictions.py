"""A method of another crop size and code is scored by the same path as 2DASL."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from twodasl_jax.coefficient_layout import CODE_LAYOUT
from twodasl_jax.evaluation import benchmark_metrics as measure
from twodasl_jax.evaluation.benchmark_faces import open_aflw2000_3d
from twodasl_jax.evaluation.network_input import InputSources
from twodasl_jax.evaluation.predictions_file import read_predictions, write_predictions
from twodasl_jax.experiment.run.trained import TrainedRun
from twodasl_jax.experiment.scores.benchmark_predictions import predict_benchmark
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.methods.method import Faces
from twodasl_jax.training.state import Networks


@dataclasses.dataclass(frozen=True)
class MeanFace:
    """The face model's mean shape, as large as a number says, whatever the picture shows."""

    crop_size: int
    code_layout: dict

    def predict(self, networks, points, image, landmarks):
        assert image.shape[1:] == (self.crop_size, self.crop_size, 3)
        assert landmarks.shape[1:] == (18, 2)
        scale = self.crop_size * networks.params["scale"]
        middle = jnp.array([self.crop_size / 2, self.crop_size / 2 + 1, 0.0])
        camera = jnp.concatenate([scale * jnp.eye(3), middle[:, None]], axis=1)
        cameras = jnp.broadcast_to(camera, (len(image), 3, 4))
        return self.decode(networks, points, cameras, jnp.zeros((len(image), 50)))

    def decode(self, networks, points, camera, code):
        del networks
        return Faces(camera, jnp.broadcast_to(points, (len(code), *points.shape)), code)


class MeanFaceFamily:
    def prediction_constants(self, face_model, arrays, *, dense=True):
        mean = face_model.linear.mean
        return mean if dense else mean[:, face_model.landmark_vertices]


@pytest.fixture
def predicted(repository):
    """Crop size and layout of the code -> benchmark and predictions."""
    face_model = load_face_model()
    width = float(np.ptp(np.asarray(face_model.linear.mean), axis=1).max())
    opened = open_aflw2000_3d(
        repository / "tfds_builders" / "aflw2000_3d" / "dummy_data", Console(quiet=True)
    )
    opened = dataclasses.replace(opened, annotated_vertices=0)

    def predict(crop_size, layout):
        networks = Networks({"scale": jnp.float32(0.8 / width)}, {})
        method = MeanFace(crop_size, layout)
        run = TrainedRun({}, "s", 1, face_model, MeanFaceFamily(), method, networks, {})
        benchmark, predictions, told = predict_benchmark(
            run, opened, InputSources(), num_passes=1, batch_size=3, console=Console(quiet=True)
        )
        assert told["empty_landmark_maps"] == 4
        return benchmark, predictions

    return predict


def test_the_crops_size_changes_no_number(predicted):
    benchmark, usual = predicted(120, CODE_LAYOUT)
    _, other = predicted(96, {})
    # The y origin is one pixel of the crop beyond its side in both: a pixel of another size.
    np.testing.assert_allclose(other.landmarks_px, usual.landmarks_px, rtol=1e-4, atol=1e-2)
    for metric in (measure.landmarks68_2d, measure.dense_3d, measure.head_pose):
        expected = metric(benchmark, usual)
        for variant, errors in metric(benchmark, other).items():
            assert np.nanmax(errors) > 1e-3
            np.testing.assert_allclose(errors, expected[variant], rtol=1e-3, err_msg=variant)


def test_another_code_is_no_coefficients_of_a_file(predicted, tmp_path):
    path, face_model = tmp_path / "predictions.npz", load_face_model()
    for layout, key in ((CODE_LAYOUT, "coefficients"), ({}, "landmarks")):
        benchmark, predictions = predicted(120, layout)
        write_predictions(path, benchmark, predictions)
        with np.load(path) as file:
            assert {"coefficients", "landmarks"} & set(file.files) == {key}
        again = read_predictions(path, benchmark, face_model)
        # Float32 pixels of some hundred.
        np.testing.assert_allclose(again.landmarks_px, predictions.landmarks_px, rtol=1e-5)

import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console

from twodasl_jax.evaluation.benchmark_faces import open_aflw2000_3d
from twodasl_jax.evaluation.predictions_file import predictions_from_coefficients
from twodasl_jax.face_model.model import load_face_model


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=80)


@pytest.fixture(scope="session")
def open_face():
    return load_face_model()


@pytest.fixture(scope="session")
def benchmark(repository):
    """Four rendered faces in AFLW2000-3D's layout; their face model is the open one."""
    folder = repository / "tfds_builders" / "aflw2000_3d" / "dummy_data"
    opened = open_aflw2000_3d(folder, Console(file=io.StringIO()))
    return dataclasses.replace(opened, annotated_vertices=0)


@pytest.fixture(scope="session")
def predictions(benchmark, open_face):
    """The annotated coefficients, somewhat wrong."""
    random = np.random.default_rng(0)
    coefficients = benchmark.truth["coefficients"].astype(np.float64)
    wrong = coefficients * (1 + 0.02 * random.normal(size=coefficients.shape))
    return predictions_from_coefficients(open_face, wrong, benchmark.roi_box, {})

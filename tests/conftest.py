"""Shared fixtures and the strictness that every test runs under."""

import os
import shutil
import signal
import threading

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

if threading.current_thread() is threading.main_thread():
    # Whoever starts the tests in the background of a shell has Ctrl-C ignored in all of them.
    signal.signal(signal.SIGINT, signal.default_int_handler)

from pathlib import Path

import jax
import jaxtyping
import numpy as np
import pytest

# Shapes in the annotations are checked at run time wherever jax arrays are the contract.
jaxtyping.install_import_hook(
    [
        "twodasl_jax.coefficients",
        "twodasl_jax.face_model.linear",
        "twodasl_jax.face_model.landmarks",
        "twodasl_jax.fitting",
        "twodasl_jax.geometry",
        "twodasl_jax.losses",
        "twodasl_jax.models",
        "twodasl_jax.rendering",
    ],
    "beartype.beartype",
)
jax.config.update("jax_numpy_rank_promotion", "raise")

REPOSITORY = Path(__file__).parents[1]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The research-only data beside the project; tests that need it are left out without it."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"left out: needs the research-only data at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture
def original(repository, tmp_path):
    """Copies a builder's made-up data, to be damaged."""

    def copy(name):
        folder = tmp_path / name
        shutil.copytree(repository / "tfds_builders" / name / "dummy_data", folder)
        return folder

    return copy


@pytest.fixture(scope="session")
def small_face_model():
    """A bulged 11 x 11 sheet with random bases: every rule of a face model, no face."""
    from twodasl_jax.face_model.model import face_model_from_arrays

    generator = np.random.default_rng(0)
    side = 11
    rows, columns = np.divmod(np.arange(side * side), side)
    x, y = (columns - 5) * 12.0, (5 - rows) * 14.0
    mean = np.stack([x, y, 50.0 - (x**2 + 0.5 * y**2) / 100])
    corner = np.flatnonzero((rows < side - 1) & (columns < side - 1))
    below, right = corner + side, corner + 1
    triangles = np.concatenate(
        [np.stack([corner, below, right], 1), np.stack([right, below, below + 1], 1)]
    )
    return face_model_from_arrays(
        {
            "mean": mean,
            "shape_basis": generator.normal(size=(40, 3, side * side)),
            "expression_basis": generator.normal(size=(10, 3, side * side)),
            "triangles": triangles,
            "landmark_vertices": generator.permutation(side * side)[:68],
            "mirror_vertices": rows * side + (side - 1 - columns),
            "uv": np.stack([columns, side - 1 - rows], 1) / (side - 1),
            "albedo_mean": np.full((3, side * side), 0.5),
            "albedo_basis": 0.05 * generator.normal(size=(4, 3, side * side)),
        },
        "small",
    )


@pytest.fixture(scope="session")
def small_frontal_coefficients(small_face_model) -> np.ndarray:
    """The small model's mean face, frontal, as large in the crop as training crops frame faces."""
    points = np.asarray(small_face_model.linear.mean)[:, small_face_model.landmark_vertices]
    scale = 120 / np.sqrt(2) / np.ptp(points[:2], axis=1).max()
    coefficients = np.zeros(62, np.float32)
    coefficients[[0, 5, 10]] = scale
    coefficients[[3, 7]] = (60, 61) - scale * (points[:2].max(1) + points[:2].min(1)) / 2
    return coefficients


@pytest.fixture(scope="session")
def trained(small_face_model, small_frontal_coefficients):
    """A run with an untrained network whose whitening holds its faces near the middle."""
    from twodasl_jax.experiment.run.trained import TrainedRun
    from twodasl_jax.methods.twodasl_setup import MEAN, STD, TwoDASLFamily, TwoDASLMethod
    from twodasl_jax.models.coefficient_regressor import make_regressor
    from twodasl_jax.models.critic import Critic
    from twodasl_jax.models.image_encoder import make_encoder

    mean = small_frontal_coefficients
    method = TwoDASLMethod(
        make_regressor("resnet_tiny", convolution="native"),
        make_encoder(convolution="native", width_divisor=8),
        Critic(),
        {"coefficient": 1.0},
    )
    return TrainedRun(
        settings_json={},
        stage="stage1",
        step=0,
        face_model=small_face_model,
        family=TwoDASLFamily(),
        method=method,
        networks=method.init(jax.random.key(0)),
        arrays={MEAN: mean, STD: np.abs(mean) * np.float32(0.01) + np.float32(1e-4)},
    )

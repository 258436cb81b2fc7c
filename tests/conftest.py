"""Shared fixtures and the strictness that every test runs under."""

import os

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from pathlib import Path

import jax
import jaxtyping
import pytest

# Shapes in the annotations are checked at run time wherever jax arrays are the contract.
jaxtyping.install_import_hook(
    [
        "twodasl_jax.coefficients",
        "twodasl_jax.face_model.linear",
        "twodasl_jax.face_model.landmarks",
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

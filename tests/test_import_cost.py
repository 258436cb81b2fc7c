"""What predicting does without is not imported for it."""

import json
import subprocess
import sys

import pytest

HEAVY = (
    "array_record",
    "grain",
    "matplotlib",
    "scipy.spatial",
    "skimage",
    "tensorboardX",
    "tensorflow",
    "tensorflow_datasets",
    "trimesh",
)


def imported_by(statement, repository):
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_predicting_imports_nothing_of_data_sets_curves_or_training_logs(repository):
    modules = imported_by("import twodasl_jax.face_reconstructor", repository)
    assert "jax" in modules
    assert not modules & set(HEAVY)


@pytest.mark.parametrize("module", ["twodasl_jax", "twodasl_jax.jobs.modes"])
def test_the_package_and_the_list_of_modes_start_no_jax(module, repository):
    modules = imported_by(f"import {module}", repository)
    assert not modules & {"jax", "numpy", *HEAVY}

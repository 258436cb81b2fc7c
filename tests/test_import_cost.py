"""What predicting does without is not imported for it."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.pretrained.untrained import untrained_network
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.pretrained.network_file import write_network_file

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


OF_MESHES = ("scipy.spatial", "trimesh")
"""What the outputs need, and finding faces does not."""

OF_RUNS = ("orbax", "tensorstore")
"""What reads a run's checkpoints; a network that is a file does without."""


def imported_by(statement, repository):
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_predicting_imports_nothing_of_data_sets_curves_or_training_logs(repository):
    modules = imported_by("import twodasl_jax.face_reconstructor", repository)
    assert "jax" in modules
    assert not modules & set(HEAVY)


def test_the_command_that_predicts_imports_nothing_of_training_either(repository, tmp_path):
    """All of it: a photograph becomes a mesh, by a network that is a file."""
    write_network_file(tmp_path / "net.npz", untrained_network(load_face_model()))
    photo = np.random.default_rng(0).integers(0, 256, (200, 160, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    words = [
        *("twodasl-jax", "predict", f"{tmp_path}/photo.png", f"--checkpoint={tmp_path}/net.npz"),
        *(f"--output={tmp_path}/out", "--outputs=mesh,overlay,json", "--box=30,30,130,130"),
    ]
    program = (
        f"import sys\nsys.argv = {words!r}\nfrom twodasl_jax.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code"
    )
    modules = imported_by(program, repository)
    assert (tmp_path / "out" / "photo.glb").exists()
    assert "jax" in modules
    assert not modules & ({*HEAVY, *OF_RUNS} - {*OF_MESHES})


@pytest.mark.parametrize("module", ["twodasl_jax", "twodasl_jax.jobs.modes"])
def test_the_package_and_the_list_of_modes_start_no_jax(module, repository):
    modules = imported_by(f"import {module}", repository)
    assert not modules & {"jax", "numpy", *HEAVY}

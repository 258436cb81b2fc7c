"""Rendered sets: the same faces on any number of devices, and known again afterwards."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from ml_collections import ConfigDict
from rich.console import Console

from twodasl_jax.data.sources import RenderedSource, is_rendered_with
from twodasl_jax.experiment.rendered_data import ensure_rendered, rendered_folder

CONFIG = """
from configs import base, quickstart

def get_config():
    config = quickstart.get_config()
    config.models.backbone = "resnet_tiny"
    config.data.annotated = (base.rendered("faces", num_faces=59, seed=1),)
    config.data.in_the_wild = ()
    config.data.validation.source = ""
    config.data.annotated_batch_size = 8
    config.training.evaluate_every = 0
    config.training.checkpoint = "newest"
    config.evaluation.sets = ()
    config.stages = config.stages[1:]
    config.stages[0].num_steps = 1
    return config
"""


def source(**changes):
    return ConfigDict({"name": "faces", "num_faces": 3, "seed": 1, "supersample": 1} | changes)


def render(workdir, face_model, **options):
    quiet = Console(quiet=True)
    return ensure_rendered(workdir, source(), face_model, quiet, **options)


def test_the_command_renders_the_same_set_on_eight_devices_and_on_one(repository, tmp_path):
    """59 faces: a whole chunk of 50 and a filled-up one, neither of which 8 divides."""
    (tmp_path / "small.py").write_text(CONFIG)
    pictures, labels = [], []
    for count in (1, 8):
        workdir = tmp_path / f"on_{count}"
        subprocess.run(
            [sys.executable, "run.py", f"--config={tmp_path}/small.py", f"--workdir={workdir}"],
            cwd=repository,
            env=os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"},
            check=True,
            capture_output=True,
        )
        faces = RenderedSource(workdir / "data" / "faces")
        pictures.append(faces.read_pictures().astype(int))
        labels.append(faces.labels)
    assert pictures[0].std() > 10
    # Whole arrays are not asked to be equal: batches of 7 and of 50 are decoded by other kernels.
    assert np.abs(pictures[0] - pictures[1]).max() <= 1
    for name in ("coefficients", "landmarks", "yaw_degrees"):
        np.testing.assert_array_equal(labels[0][name], labels[1][name])


def test_the_size_of_the_crop_is_part_of_what_a_set_is(small_face_model, tmp_path):
    folder = render(tmp_path, small_face_model, crop_size=96)
    assert RenderedSource(folder).images.shape == (3, 96, 96, 3)
    written = (folder / "image.npy").stat().st_mtime_ns
    assert render(tmp_path, small_face_model, crop_size=96) == folder
    assert (folder / "image.npy").stat().st_mtime_ns == written
    with pytest.raises(ValueError, match="crop_size: 96 there, 120 now"):
        render(tmp_path, small_face_model, may_replace=False)
    render(tmp_path, small_face_model)
    assert RenderedSource(folder).images.shape == (3, 120, 120, 3)


def test_sets_of_before_the_size_was_noted_are_known_again(small_face_model, tmp_path):
    folder = render(tmp_path, small_face_model)
    settings = json.loads((folder / "settings.json").read_text())
    assert settings.pop("crop_size") == 120
    (folder / "settings.json").write_text(json.dumps(settings))
    assert render(tmp_path, small_face_model, may_replace=False) == rendered_folder(
        tmp_path, source()
    )
    assert is_rendered_with(folder, settings), "it is left as it was"
    with pytest.raises(ValueError, match="crop_size: None there, 96 now"):
        render(tmp_path, small_face_model, may_replace=False, crop_size=96)

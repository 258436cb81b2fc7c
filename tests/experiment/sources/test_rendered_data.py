"""Rendered sets: on one device and on eight the same faces, and known again afterwards."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

from twodasl_jax.data.crop_files import CHECKSUMS
from twodasl_jax.data.sources import RenderedSource, is_rendered_with
from twodasl_jax.experiment.settings.experiment_settings import RenderedSettings
from twodasl_jax.experiment.sources.rendered_data import ensure_rendered, rendered_folder

CONFIG = """
from configs import base

def get_config():
    config = base.get_config()
    config.models.backbone = "resnet_tiny"
    config.data.annotated = (base.rendered("annotated", num_faces=53, seed=1, supersample=1),)
    config.data.annotated_batch_size = 8
    adam = {"name": "adam", "learning_rate": 1e-4}
    config.stages = (
        base.stage("only", num_steps=1, loss_weights={"coefficient": 1.0},
                   optimizers={"regressor": adam}),
    )
    config.training.log_every = config.training.checkpoint_every = 1
    return config
"""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, repository):
    """``run.py`` renders 53 faces, two chunks, for a training; number of devices -> their set."""
    folder = tmp_path_factory.mktemp("rendered")
    (folder / "config.py").write_text(CONFIG)

    def on(count):
        flags = f"--xla_force_host_platform_device_count={count}"
        command = [sys.executable, "run.py", f"--config={folder / 'config.py'}"]
        subprocess.run(
            [*command, f"--workdir={folder / str(count)}"],
            cwd=repository,
            env=os.environ | {"XLA_FLAGS": flags},
            capture_output=True,
            check=True,
        )
        return folder / str(count) / "data" / "annotated"

    return {count: on(count) for count in (1, 8)}


def test_eight_devices_render_what_one_does(rendered):
    one, eight = (np.load(rendered[count] / "image.npy") for count in (1, 8))
    assert one.shape == (53, 120, 120, 3)
    assert len({image.tobytes() for image in one}) == 53
    # Sums of other programs may round otherwise: at most a grey level, and hardly anywhere.
    difference = np.abs(one.astype(int) - eight)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3
    one, eight = (np.load(rendered[count] / "labels.npz") for count in (1, 8))
    # The checksums are of the pictures' bytes.
    for name in set(one.files) - {CHECKSUMS}:
        np.testing.assert_array_equal(one[name], eight[name])


def source():
    return RenderedSettings(kind="rendered", name="faces", num_faces=3, seed=1, supersample=1)


def render(workdir, face_model, **options):
    quiet = Console(quiet=True)
    return ensure_rendered(workdir, source(), face_model, quiet, **options)


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

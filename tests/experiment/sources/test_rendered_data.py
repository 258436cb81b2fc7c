"""Rendered sets: by the command, on one device and on eight, the same faces."""

import os
import subprocess
import sys

import numpy as np
import pytest

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
    for name in set(one.files) - {"checksums"}:
        np.testing.assert_array_equal(one[name], eight[name])

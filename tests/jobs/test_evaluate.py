"""--mode=evaluate by the command: one device and eight say the same."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

from twodasl_jax.evaluation.benchmark_faces import open_aflw2000_3d
from twodasl_jax.face_model.model import OPEN_FACE_FILE, load_face_model

METRICS = ("landmarks68_2d", "dense_2d", "dense_3d", "head_pose")


@pytest.fixture
def predictions(repository, tmp_path):
    """The annotated coefficients of the made-up AFLW2000-3D, somewhat wrong."""
    data_dir = repository / "tfds_builders" / "aflw2000_3d" / "dummy_data"
    benchmark = open_aflw2000_3d(data_dir, Console(quiet=True))
    truth = benchmark.truth["coefficients"]
    wrong = truth * (1 + 0.02 * np.random.default_rng(0).normal(size=truth.shape))
    path = tmp_path / "predictions.npz"
    np.savez(path, file_name=benchmark.file_names, coefficients=wrong, roi_box=benchmark.roi_box)
    return data_dir, path


def test_decoding_on_eight_devices_changes_no_number(repository, tmp_path, predictions):
    data_dir, path = predictions
    results, told = {}, {}
    for count in (1, 8):
        out = tmp_path / f"on_{count}"
        flags = {
            "mode": "evaluate",
            "config": "configs/evaluation.py",
            "config.data_dir": data_dir,
            "config.annotated_vertices": 0,
            "predictions": path,
            "face_model": OPEN_FACE_FILE,
            "workdir": out,
        }
        done = subprocess.run(
            [sys.executable, "run.py", *(f"--{name}={value}" for name, value in flags.items())],
            cwd=repository,
            env=os.environ
            | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"}
            | {"JAX_LOG_COMPILES": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        results[count] = json.loads((out / "results.json").read_text())
        told[count] = done.stderr
    # The log of what is compiled: 16 meshes and 16 faces' landmarks are two on each device.
    for points in (load_face_model().num_vertices, 68):
        assert f"[8,2,{points},3]" in told[8]
        assert f"[8,2,{points},3]" not in told[1]
    assert results[8]["conventions"] == results[1]["conventions"]
    assert set(METRICS) <= set(results[1]["metrics"])
    for metric, variants in results[1]["metrics"].items():
        for variant, numbers in variants.items():
            for name, value in numbers.items():
                found = results[8]["metrics"][metric][variant][name]
                if value is None:
                    assert found is None
                else:
                    # Float32 sums in another order.
                    assert found == pytest.approx(value, rel=1e-4), (metric, variant, name)

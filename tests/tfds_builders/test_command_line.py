"""``tfds build`` itself, on a builder's folder."""

import os
import subprocess
import sys

import pytest

from twodasl_jax.data.tfds_source import newest_version

# The command line imports all of its commands, and two of them, which have nothing to do with
# building, import Apache Beam, mlcroissant and TensorFlow. They are left out here.
BUILD = """
import dataclasses, sys, types
import tensorflow_datasets.scripts.cli as commands
from tensorflow_datasets.scripts.cli import cli_utils

@dataclasses.dataclass(frozen=True, kw_only=True)
class LeftOut(cli_utils.Args):
    pass

for name, arguments in (("convert_format", "Args"), ("croissant", "CmdArgs")):
    module = types.ModuleType(f"{commands.__name__}.{name}")
    setattr(module, arguments, LeftOut)
    sys.modules[module.__name__] = module
    setattr(commands, name, module)

from twodasl_jax.data.original import reading
from tensorflow_datasets.scripts.cli.main import launch_cli
reading.FACES_PER_PROCESS = {faces_per_process}
if __name__ == "__main__":
    launch_cli()
"""


@pytest.mark.parametrize(
    ("name", "faces_per_process"),
    [("aflw2000_3d", 4096), ("w300_lp", 4)],
    ids=["in one process", "in two"],
)
def test_tfds_build(repository, tmp_path, name, faces_per_process):
    script = BUILD.replace("{faces_per_process}", str(faces_per_process))
    finished = subprocess.run(
        [
            *(sys.executable, "-c", script, "build", f"tfds_builders/{name}"),
            f"--manual_dir=tfds_builders/{name}/dummy_data",
            f"--data_dir={tmp_path}",
            "--file_format=array_record",
        ],
        cwd=repository,
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    folder = newest_version(tmp_path / name)
    assert folder is not None
    assert (folder / "skipped.csv").exists()
    assert list(folder.glob("*.array_record-00000-of-00001"))

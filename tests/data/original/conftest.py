import shutil

import pytest


@pytest.fixture
def original(repository, tmp_path):
    """Copies a builder's made-up data, to be damaged."""

    def copy(name):
        folder = tmp_path / name
        shutil.copytree(repository / "tfds_builders" / name / "dummy_data", folder)
        return folder

    return copy

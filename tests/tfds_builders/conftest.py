import importlib

import pytest
import tensorflow_datasets as tfds


@pytest.fixture(scope="session")
def build():
    """Builds a data set from a folder of its layout and gives its splits as data sources."""

    def build(name, manual_dir, data_dir):
        module = importlib.import_module(f"tfds_builders.{name}.{name}_dataset_builder")
        builder = module.Builder(data_dir=data_dir, file_format="array_record")
        config = tfds.download.DownloadConfig(manual_dir=manual_dir)
        builder.download_and_prepare(download_config=config)
        return {split: builder.as_data_source(split) for split in builder.info.splits}

    return build


@pytest.fixture(scope="session")
def prepared(build, repository, tmp_path_factory):
    """The made-up data of every builder, prepared once."""
    root = tmp_path_factory.mktemp("prepared")
    names = ("w300_lp", "aflw2000_3d", "umdfaces", "aflw_lfpa")
    return {
        name: build(name, repository / "tfds_builders" / name / "dummy_data", root)
        for name in names
    }

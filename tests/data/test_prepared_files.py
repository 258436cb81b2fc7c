"""Prepared data sets whose files are damaged: each is named, with what to do."""

import os
import shutil
from pathlib import Path

import pytest

from twodasl_jax.data.prepared_files import PreparedRecords, open_prepared
from twodasl_jax.data.tfds_source import newest_version

BUILDERS = Path(__file__).parents[2] / "tfds_builders"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """AFLW-LFPA's made-up faces, prepared."""
    from tfds_builders.aflw_lfpa.aflw_lfpa_dataset_builder import Builder

    folder = tmp_path_factory.mktemp("prepared")
    import tensorflow_datasets as tfds

    config = tfds.download.DownloadConfig(manual_dir=BUILDERS / "aflw_lfpa" / "dummy_data")
    Builder(data_dir=folder, file_format="array_record").download_and_prepare(
        download_config=config
    )
    return newest_version(folder / "aflw_lfpa")


@pytest.fixture
def folder(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "aflw_lfpa" / made.name))


def test_whole_ones_are_read(folder):
    records = PreparedRecords(open_prepared(folder), "test")
    assert len(records) == 4
    assert records[3]["image"].shape == (120, 120, 3)


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
@pytest.mark.parametrize("damage", ["cut", "random", "list", "other"])
def test_damaged_descriptions_are_named(folder, name, damage):
    content = (folder / name).read_bytes()
    new = {"cut": content[:300], "random": os.urandom(300), "list": b"[]", "other": b'{"a": 1}'}
    (folder / name).write_bytes(new[damage])
    with pytest.raises(ValueError, match=r"prepare it again") as refused:
        PreparedRecords(open_prepared(folder), "test")
    assert str(folder) in str(refused.value)


def read_all(folder):
    records = PreparedRecords(open_prepared(folder), "test")
    return [records[index] for index in range(len(records))]


@pytest.mark.parametrize("damage", ["cut", "empty", "random", "absent", "flipped"])
def test_damaged_records_are_told_with_their_folder(folder, damage):
    path = next(folder.glob("*array_record*"))
    content = path.read_bytes()
    flipped = bytearray(content)
    for position in range(500, len(flipped), 1000):
        flipped[position] ^= 255
    if damage == "absent":
        path.unlink()
    else:
        new = {"cut": content[:-3000], "empty": b"", "random": os.urandom(len(content))}
        path.write_bytes(new.get(damage, bytes(flipped)))
    with pytest.raises(ValueError, match=r"split 'test': .*; copy the data set again") as refused:
        read_all(folder)
    assert str(folder) in str(refused.value)
    assert "\n" not in str(refused.value)

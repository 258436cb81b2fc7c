import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import chex
import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from twodasl_jax.data import face_builder
from twodasl_jax.data.face_builder import FaceBuilder, array_feature
from twodasl_jax.data.original.files import read_photo
from twodasl_jax.data.tfds_source import newest_version

COUNT = 300


class Photo:
    """One image of a folder."""

    group = "all"

    def __init__(self, path):
        self.path, self.file_name = path, path.name


class Photos(FaceBuilder):
    """The images of a folder, in two splits."""

    name = "photos"
    pkg_dir_path = Path(__file__).parent
    CROP_ENCODING = "png"
    MANUAL_DOWNLOAD_INSTRUCTIONS = "A folder of images."

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(120, 120, 3), encoding_format="png"),
            "file_name": tfds.features.Text(),
            "mean": array_feature(3, doc="of the image"),
            "is_dark": tfds.features.Scalar(dtype=np.bool_),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
        )

    @staticmethod
    def find_faces(manual_dir):
        photos = [Photo(path) for path in sorted(manual_dir.iterdir())]
        return {"first": photos[:250], "second": photos[250:]}

    @staticmethod
    def read_face(face):
        image = read_photo(face.path)
        return {
            "image": image,
            "file_name": face.file_name,
            "mean": image.mean(axis=(0, 1)),
            "is_dark": image.mean() < 128,
            "not_a_feature": None,
        }


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "original"
    folder.mkdir()
    for number in range(COUNT):
        image = np.full((120, 120, 3), number % 256, np.uint8)
        cv2.imwrite(str(folder / f"{number:03d}.png"), image)
    return folder


def build(photos, root):
    builder = Photos(data_dir=root, file_format="array_record")
    config = tfds.download.DownloadConfig(manual_dir=photos)
    builder.download_and_prepare(download_config=config)
    return builder


@pytest.mark.parametrize("faces_per_shard", [7, 250, 4096])
def test_faces_keep_their_order_over_shards_and_splits(
    photos, tmp_path, monkeypatch, faces_per_shard
):
    monkeypatch.setattr(face_builder, "FACES_PER_SHARD", faces_per_shard)
    builder = build(photos, tmp_path / "prepared")
    assert builder.info.splits["first"].num_shards == -(-250 // faces_per_shard)
    everything = builder.as_data_source("first+second")
    assert [int(example["file_name"][:3]) for example in everything] == list(range(COUNT))
    for number in (0, 130, 299):
        example = everything[number]
        assert (example["image"] == number % 256).all()
        # float32 of small whole numbers.
        np.testing.assert_array_equal(example["mean"], [number % 256] * 3)
        assert example["is_dark"] == (number % 256 < 128)


def test_unreadable_faces_are_left_out_and_listed(photos, tmp_path):
    for number in (4, 20, 260):  # 1 % of 300: just as many as may be
        (photos / f"{number:03d}.png").write_bytes(b"no image")
    seen = []
    builder = Photos(data_dir=tmp_path / "prepared", file_format="array_record")
    builder.on_face = lambda: seen.append(1)
    config = tfds.download.DownloadConfig(manual_dir=photos)
    builder.download_and_prepare(download_config=config)
    assert len(seen) == 297
    assert builder.info.splits["first"].num_examples == 248
    assert builder.info.splits["second"].num_examples == 49
    names = [example["file_name"] for example in builder.as_data_source("first")]
    assert b"003.png" in names
    assert b"004.png" not in names
    with (Path(builder.data_path) / "skipped.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file_name"] for row in rows] == ["004.png", "020.png", "260.png"]
    assert rows[0]["reason"] == "004.png is no complete image (8 bytes): it is a text file"


def test_two_processes_make_the_same_records_as_one(photos, tmp_path, monkeypatch):
    for number in (4, 20, 260):
        (photos / f"{number:03d}.png").write_bytes(b"no image")
    monkeypatch.setattr(face_builder, "FACES_PER_SHARD", 90)
    made = []
    for processes in (1, 2):
        monkeypatch.setattr(face_builder, "num_processes", lambda _, given=processes: given)
        builder = build(photos, tmp_path / str(processes))
        # Not the shards' bytes: TFDS writes the fields of a record in an order of the moment.
        records = list(builder.as_data_source("first+second"))
        lengths = [builder.info.splits[name].shard_lengths for name in ("first", "second")]
        skipped = (Path(builder.data_path) / "skipped.csv").read_bytes()
        made.append((records, lengths, skipped))
    (records, *one), (records_of_two, *two) = made
    assert len(records) == 297
    assert one == two
    chex.assert_trees_all_equal(records, records_of_two)


class PhotosThatKill(Photos, skip_registration=True):
    """A build of which one reading process is killed, as the system does where memory ran out."""

    name = "photos"

    @staticmethod
    def read_face(face):
        if face.file_name == "270.png":
            os.kill(os.getpid(), signal.SIGKILL)
        return Photos.read_face(face)


def test_a_killed_reading_process_leaves_nothing(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(face_builder, "num_processes", lambda _: 2)
    builder = PhotosThatKill(data_dir=tmp_path / "prepared", file_format="array_record")
    config = tfds.download.DownloadConfig(manual_dir=photos)
    with pytest.raises(ChildProcessError, match="Nothing was kept; prepare again"):
        builder.download_and_prepare(download_config=config)
    assert list((tmp_path / "prepared" / "photos").iterdir()) == []


def test_too_many_unreadable_faces_leave_nothing(photos, tmp_path):
    for number in (4, 20, 260, 270):
        (photos / f"{number:03d}.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"4 of 300 faces could not be read.*004\.png"):
        build(photos, tmp_path / "prepared")
    assert list((tmp_path / "prepared" / "photos").iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_face_builder import Photos
import tensorflow_datasets as tfds
builder = Photos(data_dir={root!r}, file_format="array_record")
faces = []
def die():
    faces.append(1)
    if len(faces) == 280:
        os.kill(os.getpid(), signal.SIGKILL)
builder.on_face = die
config = tfds.download.DownloadConfig(manual_dir={photos!r})
builder.download_and_prepare(download_config=config)
"""


def test_a_killed_build_registers_nothing(photos, tmp_path, repository):
    root = tmp_path / "prepared"
    script = KILLED.format(tests=str(Path(__file__).parent), root=str(root), photos=str(photos))
    environment = os.environ | {"PYTHONPATH": str(repository)}
    finished = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, check=False
    )
    assert finished.returncode == -signal.SIGKILL, finished.stderr.decode()[-2000:]
    assert newest_version(root / "photos") is None
    left = list((root / "photos").iterdir())
    assert len(left) == 1
    assert "incomplete" in left[0].name
    assert build(photos, root).info.splits["second"].num_examples == 50


def test_a_stopped_build_removes_its_own_files(photos, tmp_path):
    builder = Photos(data_dir=tmp_path / "prepared", file_format="array_record")

    def stop():
        raise KeyboardInterrupt

    builder.on_face = stop
    config = tfds.download.DownloadConfig(manual_dir=photos)
    with pytest.raises(KeyboardInterrupt):
        builder.download_and_prepare(download_config=config)
    assert list((tmp_path / "prepared" / "photos").iterdir()) == []

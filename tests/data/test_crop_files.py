"""A folder of crops: what its annotations must be, and how its pictures are found."""

import io
import tarfile

import numpy as np
import pytest

from twodasl_jax.data.crop_files import (
    crop_names,
    picture_checksums,
    read_crop_annotations,
    read_encoded,
    require_written,
)

NAMES = np.array(["a.png", "b.png", "c.png"])


@pytest.fixture
def arrays():
    return {"file_name": NAMES, "landmarks21_crop_px": np.zeros((3, 21, 2))}


def written(folder, **arrays):
    np.savez(folder / "annotations.npz", **arrays)
    return folder / "annotations.npz"


def test_annotations_are_read_and_name_the_faces(tmp_path, arrays):
    found = read_crop_annotations(written(tmp_path, **arrays, of_no_interest=np.zeros(7)))
    assert set(found) == set(arrays)
    assert crop_names(tmp_path) == set(NAMES)


def test_with_68_points_nobody_needs_the_21(tmp_path, arrays):
    del arrays["landmarks21_crop_px"]
    pair = {
        "landmarks68_crop_px": np.zeros((3, 68, 2)),
        "landmarks68_visibility": np.ones((3, 68)),
    }
    found = read_crop_annotations(written(tmp_path, **arrays, **pair))
    assert np.isnan(found["landmarks21_crop_px"]).all()
    assert found["landmarks21_crop_px"].shape == (3, 21, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"landmarks21_crop_px": None}, "lacks landmarks21_crop_px; it has file_name"),
        ({"file_name": None}, "lacks file_name"),
        ({"landmarks21_crop_px": np.zeros((2, 21, 2))}, r"landmarks21_crop_px is .*\(2, 21, 2\)"),
        ({"landmarks68_visibility": np.ones((3, 68))}, "has landmarks68_visibility alone"),
        ({"file_name": NAMES[[0, 1, 1]]}, r"b\.png"),
    ],
)
def test_what_does_not_belong_together_is_refused(tmp_path, arrays, changes, message):
    kept = {key: value for key, value in (arrays | changes).items() if value is not None}
    with pytest.raises(ValueError, match=message):
        read_crop_annotations(written(tmp_path, **kept))


def put_folder(folder, contents):
    (folder / "crops").mkdir()
    for name, content in contents.items():
        (folder / "crops" / name).write_bytes(content)


def put_archive(folder, contents):
    with tarfile.open(folder / "crops.tar", "w") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("put", [put_folder, put_archive])
def test_pictures_come_from_a_folder_or_an_archive(tmp_path, put):
    put(tmp_path, {"a.png": b"A", "b.png": b"B", "other.png": b"O"})
    assert read_encoded(tmp_path, {"a.png", "b.png"}) == {"a.png": b"A", "b.png": b"B"}
    with pytest.raises(ValueError, match=r"1 of 3 annotated crops are absent .*first c\.png"):
        read_encoded(tmp_path, set(NAMES))
    assert set(read_encoded(tmp_path, set(NAMES), allow_missing=True)) == {"a.png", "b.png"}


def test_neither_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no crops\.tar and no folder crops"):
        read_encoded(tmp_path, {"a.png"})


def test_a_changed_picture_is_not_the_written_one():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype(np.uint8)
    checksums = picture_checksums(pictures)
    assert checksums.dtype == np.uint32
    require_written(pictures[1].data, checksums[1], "record 1")
    pictures[1, 0, 0, 0] ^= 1
    with pytest.raises(ValueError, match="record 1 is damaged"):
        require_written(pictures[1].data, checksums[1], "record 1")

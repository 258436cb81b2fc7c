"""Photographs named by labels: endings in upper case, names that are no UTF-8."""

import os

import cv2
import numpy as np
import pytest

from twodasl_jax.data.crop_files import read_crop_annotations, read_encoded
from twodasl_jax.data.labelled_faces import faces_from_photographs
from twodasl_jax.face_model.model import load_face_model


@pytest.fixture
def photographs(tmp_path):
    generator = np.random.default_rng(0)
    for number in range(3):
        picture = generator.integers(0, 256, (200, 200, 3)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
    face_model = load_face_model()
    mean = np.asarray(face_model.linear.mean)[:2, np.asarray(face_model.landmark_vertices)]
    mean = (mean - mean.mean(axis=1, keepdims=True)) / np.ptp(mean[1])
    face = 100 + 90 * mean.T * [1, -1]  # image pixels, y down
    return tmp_path, face + generator.normal(size=(3, 1, 2)) * 5


def test_a_photograph_is_found_and_read_whatever_its_name(photographs):
    folder, points = photographs
    plain = faces_from_photographs(folder, np.array(["0.png", "1.png", "2.png"]), points)
    expected = [plain.read_encoded(row, None) for row in range(3)]
    (folder / "0.png").rename(folder / "0.PNG")
    os.rename(folder / "1.png", os.fsencode(folder) + b"/caf\xe9.png")
    given = np.array(["0.png", os.fsdecode(b"caf\xe9.png"), "2.png"])
    faces = faces_from_photographs(folder, given, points)
    assert [faces.read_encoded(row, None) for row in range(3)] == expected
    assert list(faces.names) == ["0.png", r"caf\xe9.png", "2.png"]
    for name in faces.names:
        name.encode()  # what reports and archives need


def test_absent_and_broken_photographs_are_named_in_text_that_prints(photographs):
    folder, points = photographs
    name = os.fsdecode(b"caf\xe9.png")
    with pytest.raises(FileNotFoundError, match=r"1 of 3 .* first caf\\xe9\.png"):
        faces_from_photographs(folder, np.array(["0.png", name, "2.png"]), points)
    for content in (b"no picture", b""):
        (folder / name).write_bytes(content)
        faces = faces_from_photographs(folder, np.array(["0.png", name, "2.png"]), points)
        with pytest.raises(ValueError, match=r"caf\\xe9\.png is (no complete|empty|cut)"):
            faces.read_encoded(1, None)


def test_a_crops_folder_with_68_labels_needs_no_21(tmp_path):
    arrays = {
        "file_name": np.array(["a.png", "b.png"]),
        "landmarks68_crop_px": np.zeros((2, 68, 2)),
        "landmarks68_visibility": np.full((2, 68), 2),
    }
    np.savez(tmp_path / "annotations.npz", **arrays)
    annotations = read_crop_annotations(tmp_path / "annotations.npz")
    assert annotations["landmarks21_crop_px"].shape == (2, 21, 2)
    assert np.isnan(annotations["landmarks21_crop_px"]).all()
    np.savez(tmp_path / "annotations.npz", file_name=arrays["file_name"])
    with pytest.raises(ValueError, match="lacks landmarks21_crop_px"):
        read_crop_annotations(tmp_path / "annotations.npz")


def test_crops_are_found_in_either_case_and_may_be_missing_on_demand(tmp_path):
    (tmp_path / "crops").mkdir()
    (tmp_path / "crops" / "a.PNG").write_bytes(b"picture")
    (tmp_path / "crops" / "._a.PNG").write_bytes(b"twin")
    assert read_encoded(tmp_path, {"a.png"}) == {"a.png": b"picture"}
    with pytest.raises(ValueError, match=r"1 of 2 annotated crops are absent .* first b\.png"):
        read_encoded(tmp_path, {"a.png", "b.png"})
    found = read_encoded(tmp_path, {"a.png", "b.png"}, allow_missing=True)
    assert found == {"a.png": b"picture"}

import shutil

import cv2
import numpy as np
import pytest
import scipy.io

from twodasl_jax.crop_frame import crop_to_image
from twodasl_jax.data.face_crop import roi_box_from_landmarks
from twodasl_jax.data.original.aflw2000_3d import (
    clipped_box,
    find_aflw2000_3d,
    read_aflw2000_3d,
)


def test_one_face(original):
    folder = original("aflw2000_3d")
    faces = find_aflw2000_3d(folder)["test"]
    assert [face.file_name for face in faces] == [f"image{n:05d}.jpg" for n in range(2, 6)]
    sample = read_aflw2000_3d(faces[0])
    path = folder / "AFLW2000" / "image00002.jpg"
    annotation = scipy.io.loadmat(path.with_suffix(".mat"))
    assert sample["photo"] == path.read_bytes()
    np.testing.assert_array_equal(sample["landmarks_px"], annotation["pt3d_68"].T)
    back = crop_to_image(sample["landmarks"], sample["roi_box"].astype(np.float64))
    # Float64 labels through a float32 box of whole pixels.
    np.testing.assert_allclose(back, annotation["pt3d_68"].T[:, :2], atol=1e-4)
    assert sample["yaw_degrees"] == pytest.approx(np.rad2deg(annotation["Pose_Para"][0, 1]))
    # The two ears are marked as not visible.
    np.testing.assert_array_equal(np.flatnonzero(~sample["visibility"]), [12, 16])
    np.testing.assert_array_equal(
        np.isnan(sample["landmarks21_px"]).all(axis=1), ~sample["visibility"]
    )
    assert not sample["roi_box_is_published"]
    assert not sample["has_reannotated"]
    assert np.isnan(sample["reannotated_landmarks_px"]).all()


def test_the_benchmarks_box_is_clipped_to_the_image():
    landmarks = np.random.default_rng(0).uniform(20, 180, (68, 3))
    free = roi_box_from_landmarks(landmarks)
    np.testing.assert_array_equal(clipped_box(landmarks, 1000, 1000), np.maximum(free, 1))
    assert free[0] < 1
    np.testing.assert_array_equal(clipped_box(landmarks, 150, 120)[2:], [150, 120])


def archive(folder, **arrays):
    names = arrays.pop("file_name", [f"image{n:05d}.jpg" for n in range(2, 6)])
    np.savez(folder / "annotations.npz", file_name=names, **arrays)


def test_an_archive_is_joined_by_name_not_by_order(original):
    folder = original("aflw2000_3d")
    points = np.random.default_rng(0).uniform(0, 100, (2, 68, 2)).astype(np.float32)
    boxes = np.float32([[10, 11, 150, 151], [20, 21, 160, 161]])
    archive(
        folder,
        file_name=["image00005.jpg", "image00003.jpg"],
        roi_box=boxes,
        reannotated_landmarks_px=points,
        yaw_degrees=np.float32([12, -40]),
    )
    samples = [read_aflw2000_3d(face) for face in find_aflw2000_3d(folder)["test"]]
    np.testing.assert_array_equal(samples[3]["roi_box"], boxes[0])
    np.testing.assert_array_equal(samples[1]["roi_box"], boxes[1])
    np.testing.assert_array_equal(samples[1]["reannotated_landmarks_px"], points[1])
    assert [sample["has_reannotated"] for sample in samples] == [False, True, False, True]
    assert [sample["roi_box_is_published"] for sample in samples] == [False, True, False, True]
    np.testing.assert_array_equal(
        [sample["benchmark_yaw_degrees"] for sample in samples], [np.nan, -40, np.nan, 12]
    )
    assert not samples[1]["has_detected"]


def test_lists_are_joined_by_the_sorted_names(original):
    folder = original("aflw2000_3d")
    true = [
        scipy.io.loadmat(folder / "AFLW2000" / f"image{n:05d}.mat")["pt3d_68"] for n in range(2, 6)
    ]
    np.save(folder / "AFLW2000-3D.pts68.npy", np.stack(true))
    np.save(folder / "AFLW2000-3D-Reannotated.pts68.npy", np.stack(true)[:, :2] + 1)
    np.save(folder / "AFLW2000-3D.pose.npy", np.arange(4.0))
    sample = read_aflw2000_3d(find_aflw2000_3d(folder)["test"][2])
    # Float32 of some hundred px.
    np.testing.assert_allclose(sample["reannotated_landmarks_px"], true[2][:2].T + 1, atol=1e-4)
    assert sample["benchmark_yaw_degrees"] == 2
    assert not sample["roi_box_is_published"]


def test_landmarks_of_another_image_are_refused(original):
    folder = original("aflw2000_3d")
    true = [
        scipy.io.loadmat(folder / "AFLW2000" / f"image{n:05d}.mat")["pt3d_68"] for n in range(2, 6)
    ]
    np.save(folder / "AFLW2000-3D.pts68.npy", np.stack(true[::-1]))
    with pytest.raises(ValueError, match="of another image"):
        read_aflw2000_3d(find_aflw2000_3d(folder)["test"][0])


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("AFLW2000-3D.pose.npy", np.zeros(5), "has 5 rows and there are 4 images"),
        ("AFLW2000-3D.pts68.npy", np.zeros((4, 68, 3)), r"is \(4, 68, 3\); expected \(n, 2 or 3"),
        ("AFLW2000-3D_crop.roi_box.npy", np.zeros((4, 5)), r"is \(4, 5\); expected \(4, 4\)"),
    ],
)
def test_lists_that_cannot_be_joined_are_refused(original, name, array, message):
    folder = original("aflw2000_3d")
    np.save(folder / name, array)
    with pytest.raises(ValueError, match=message):
        find_aflw2000_3d(folder)


def test_archives_that_cannot_be_joined_are_refused(original):
    folder = original("aflw2000_3d")
    archive(folder, file_name=["image00009.jpg"])
    with pytest.raises(ValueError, match=r"image00009\.jpg, which is not among the 4"):
        find_aflw2000_3d(folder)
    archive(folder, file_name=["image00002.jpg"] * 2)
    with pytest.raises(ValueError, match="twice"):
        find_aflw2000_3d(folder)
    archive(folder, roi_box=np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"roi_box is \(3, 4\); expected \(4, 4\)"):
        find_aflw2000_3d(folder)
    np.savez(folder / "annotations.npz", roi_box=np.zeros((4, 4)))
    with pytest.raises(ValueError, match="lacks file_name"):
        find_aflw2000_3d(folder)
    archive(folder)
    np.save(folder / "AFLW2000-3D.pose.npy", np.zeros(4))
    with pytest.raises(ValueError, match="expected one of them"):
        find_aflw2000_3d(folder)


def test_the_first_missing_thing_is_named(original):
    folder = original("aflw2000_3d")
    paths = sorted((folder / "AFLW2000").glob("*.mat"))
    for path in paths:
        fields = {name: value for name, value in scipy.io.loadmat(path).items() if name[0] != "_"}
        del fields["pt3d_68"]
        scipy.io.savemat(path, fields)
    with pytest.raises(ValueError, match=r"image00002\.mat lacks pt3d_68"):
        find_aflw2000_3d(folder)
    for path in paths:
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"image00002\.mat"):
        find_aflw2000_3d(folder)
    shutil.rmtree(folder / "AFLW2000")
    with pytest.raises(FileNotFoundError, match=r"no folder .*AFLW2000; expected"):
        find_aflw2000_3d(folder)


def test_a_broken_photo_is_refused(original):
    folder = original("aflw2000_3d")
    path = folder / "AFLW2000" / "image00003.jpg"
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(ValueError, match=r"image00003\.jpg is no complete image"):
        read_aflw2000_3d(find_aflw2000_3d(folder)["test"][1])
    cv2.imwrite(str(path), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(ValueError, match="is empty"):
        read_aflw2000_3d(find_aflw2000_3d(folder)["test"][1])

import os
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
        ("AFLW2000-3D-Reannotated.pts68.npy", np.zeros((5, 2, 68)), "and there are 4 images"),
        ("AFLW2000-3D.pts68.npy", np.zeros(()), r"is \(\) and there are 4 images"),
        ("AFLW2000-3D_crop.roi_box.npy", np.zeros((4, 5)), r"is \(4, 5\).*; expected \(4, 4\)"),
        ("AFLW2000-3D_crop.roi_box.npy", np.full((4, 4), "a"), r"<U1; expected \(4, 4\) numbers"),
    ],
)
def test_lists_that_cannot_be_joined_are_refused(original, name, array, message):
    folder = original("aflw2000_3d")
    np.save(folder / name, array)
    with pytest.raises(ValueError, match=message):
        find_aflw2000_3d(folder)


@pytest.mark.parametrize(
    ("name", "array", "cost"),
    [
        ("AFLW2000-3D.pose.npy", np.zeros(5), "the published yaw"),
        ("AFLW2000-3D.pose.npy", np.zeros((4, 3)), "the published yaw"),
        ("AFLW2000-3D.pts68.npy", np.zeros((4, 2, 21)), "is not checked"),
        ("AFLW2000-3D-Reannotated.pts68.npy", np.zeros((4, 68)), "no re-annotated labels"),
        ("AFLW2000-3D-Reannotated.pts68.npy", np.full((4, 2, 68), "a"), "no re-annotated labels"),
    ],
)
def test_a_list_of_another_shape_costs_itself(original, caplog, name, array, cost):
    folder = original("aflw2000_3d")
    np.save(folder / name, array)
    faces = find_aflw2000_3d(folder)["test"]
    assert len(caplog.records) == 1  # once, not once per face
    assert name in caplog.text
    assert cost in caplog.text
    sample = read_aflw2000_3d(faces[0])
    assert not sample["has_reannotated"]
    assert np.isnan(sample["benchmark_yaw_degrees"])


def test_an_archives_array_of_another_shape_costs_itself(original, caplog):
    folder = original("aflw2000_3d")
    boxes = np.tile(np.float32([10, 11, 150, 151]), (4, 1))
    archive(
        folder,
        roi_box=boxes,
        landmarks_px=np.zeros((4, 21, 3)),
        reannotated_landmarks_px=np.zeros((3, 68, 2)),
        detected_landmarks_crop_px=np.zeros((4, 2, 5)),
        yaw_degrees=np.full(4, "left"),
        released_2dasl_whitened_coefficients=np.zeros(7),
        made_by=np.array({"somebody": 1}, object),
    )
    sample = read_aflw2000_3d(find_aflw2000_3d(folder)["test"][0])
    assert len(caplog.records) == 4
    assert (sample["has_reannotated"], sample["has_detected"]) == (False, False)
    np.testing.assert_array_equal(sample["roi_box"], boxes[0])


@pytest.mark.parametrize("layout", ["(n, 68, 2)", "(n, 3, 68)", "(n, 68, 3)"])
def test_points_come_in_either_order_of_axes(original, layout):
    folder = original("aflw2000_3d")
    points = np.random.default_rng(0).uniform(0, 100, (4, 68, 3)).astype(np.float32)
    given = points.swapaxes(1, 2) if layout == "(n, 3, 68)" else points
    given = given[..., :2] if layout == "(n, 68, 2)" else given
    np.save(folder / "AFLW2000-3D-Reannotated.pts68.npy", given)
    samples = [read_aflw2000_3d(face) for face in find_aflw2000_3d(folder)["test"]]
    for sample, expected in zip(samples, points, strict=True):
        np.testing.assert_array_equal(sample["reannotated_landmarks_px"], expected[:, :2])


def test_archives_that_cannot_be_joined_are_refused(original):
    folder = original("aflw2000_3d")
    archive(folder, file_name=["image00009.jpg"])
    with pytest.raises(ValueError, match=r"image00009\.jpg, and none .* among the 4 images"):
        find_aflw2000_3d(folder)
    archive(folder, file_name=["image00002.jpg"] * 2)
    with pytest.raises(ValueError, match="twice"):
        find_aflw2000_3d(folder)
    archive(folder, roi_box=np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"roi_box is \(3, 4\) float64; expected \(4, 4\)"):
        find_aflw2000_3d(folder)
    np.savez(folder / "annotations.npz", roi_box=np.zeros((4, 4)))
    with pytest.raises(ValueError, match="lacks file_name"):
        find_aflw2000_3d(folder)
    archive(folder)
    np.save(folder / "AFLW2000-3D.pose.npy", np.zeros(4))
    with pytest.raises(ValueError, match="expected one of them"):
        find_aflw2000_3d(folder)


def test_a_face_that_the_archive_alone_names_cannot_be_read(original):
    folder = original("aflw2000_3d")
    archive(folder, file_name=["image00001.jpg", "image00004.JPG"], yaw_degrees=np.zeros(2))
    faces = find_aflw2000_3d(folder)["test"]
    assert [face.file_name for face in faces] == [f"image{n:05d}.jpg" for n in range(1, 6)]
    assert [face.is_absent for face in faces] == [True, False, False, False, False]
    with pytest.raises(FileNotFoundError, match=r"annotations\.npz names it, and AFLW2000 holds"):
        read_aflw2000_3d(faces[0])
    assert read_aflw2000_3d(faces[3])["benchmark_yaw_degrees"] == 0


def change(path, **fields):
    """Rewrites a ``.mat`` file; None removes a field."""
    kept = {name: value for name, value in scipy.io.loadmat(path).items() if name[0] != "_"}
    scipy.io.savemat(path, {k: v for k, v in (kept | fields).items() if v is not None})


UNUSABLE = {
    "absent": None,
    "2 x 23": np.zeros((2, 23)),
    "empty": np.zeros((0, 0)),
    "a text": "none",
    "objects": np.array([[1], "a"], object),
    "NaN": np.full((2, 21), np.nan),
    "complex": np.zeros((2, 21), complex),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_points_that_nothing_is_scored_by_stop_nothing(original, kind):
    folder = original("aflw2000_3d")
    face = find_aflw2000_3d(folder)["test"][1]
    whole = read_aflw2000_3d(face)
    change(face.path.with_suffix(".mat"), pt2d=UNUSABLE[kind])
    sample = read_aflw2000_3d(face)
    assert list(sample.pop("lacking")) == ["pt2d"]
    assert not whole.pop("lacking")
    expected = {
        "landmarks21_px": np.full((21, 2), np.nan),
        "visibility": np.zeros(21, bool),
        "has_landmarks21": False,
    }
    for key, value in (whole | expected).items():
        np.testing.assert_array_equal(sample[key], value, err_msg=key)


@pytest.mark.parametrize("field", ["Illum_Para", "Color_Para", "Tex_Para", "roi"])
@pytest.mark.parametrize(
    "value", [None, np.zeros((0, 0)), "words"], ids=["absent", "empty", "text"]
)
def test_fields_that_nobody_reads_may_be_anything(original, field, value):
    folder = original("aflw2000_3d")
    face = find_aflw2000_3d(folder)["test"][0]
    expected = read_aflw2000_3d(face)
    change(face.path.with_suffix(".mat"), **{field: value})
    np.testing.assert_equal(read_aflw2000_3d(face), expected)


@pytest.mark.parametrize(
    ("field", "lost"),
    [
        ("Shape_Para", {"shape_para"}),
        ("Exp_Para", {"exp_para"}),
        ("Pose_Para", {"pose_para", "yaw_degrees"}),
    ],
)
@pytest.mark.parametrize("kind", ["absent", "empty", "NaN"])
def test_a_parameter_costs_what_depends_on_it(original, field, lost, kind):
    folder = original("aflw2000_3d")
    face = find_aflw2000_3d(folder)["test"][0]
    whole = read_aflw2000_3d(face)
    path = face.path.with_suffix(".mat")
    value = UNUSABLE[kind]
    if kind == "NaN":
        value = scipy.io.loadmat(path)[field].astype(float)
        value.flat[1] = np.nan
    change(path, **{field: value})
    sample = read_aflw2000_3d(face)
    assert list(sample["lacking"]) == [field]
    for key in set(whole) - {"lacking"}:
        if key in lost:
            assert np.isnan(sample[key]).all(), key
        else:
            np.testing.assert_array_equal(sample[key], whole[key], err_msg=key)


def test_without_its_labels_a_face_needs_a_published_box(original):
    folder = original("aflw2000_3d")
    change(folder / "AFLW2000" / "image00003.mat", pt3d_68=np.zeros((3, 21)))
    face = find_aflw2000_3d(folder)["test"][1]
    with pytest.raises(ValueError, match=r"pt3d_68 is \(3, 21\) .*, and without it the crop's box"):
        read_aflw2000_3d(face)
    archive(folder, roi_box=np.tile(np.float32([10, 11, 150, 151]), (4, 1)))
    sample = read_aflw2000_3d(find_aflw2000_3d(folder)["test"][1])
    assert np.isnan(sample["landmarks_px"]).all()
    assert sample["image"].std() > 5


def test_names_in_upper_case_twins_and_bytes(original, caplog):
    folder = original("aflw2000_3d")
    expected = read_aflw2000_3d(find_aflw2000_3d(folder)["test"][0])
    root = folder / "AFLW2000"
    (root / "image00002.jpg").rename(root / "image00002.JPG")
    (root / "image00002.mat").rename(root / "image00002.MAT")
    for name in ("._image00002.JPG", "._image00003.mat", ".DS_Store", "Thumbs.db"):
        (root / name).write_bytes(b"\0\5\x16\7")
    for ending in (".jpg", ".mat"):
        latin = os.fsencode(root) + b"/caf\xe9" + ending.encode()
        shutil.copy(root / f"image00003{ending}", os.fsdecode(latin))
    faces = find_aflw2000_3d(folder)["test"]
    assert [face.file_name for face in faces] == [
        r"caf\xe9.jpg",
        *(f"image{n:05d}.jpg" for n in range(2, 6)),
    ]
    assert [record.getMessage() for record in caplog.records] == [
        f"passed over in {root}: 2 hidden or of the system, first ._image00002.JPG"
    ]
    np.testing.assert_equal(read_aflw2000_3d(faces[1]), expected)
    assert read_aflw2000_3d(faces[0])["file_name"].encode() == rb"caf\xe9.jpg"
    shutil.copy(root / "image00002.JPG", root / "image00002.jpg")
    with pytest.raises(ValueError, match=r"holds image00002\.jpg and image00002\.JPG"):
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

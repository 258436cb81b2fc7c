import shutil

import cv2
import numpy as np
import pytest
import scipy.io

from twodasl_jax.crop_frame import crop_to_image
from twodasl_jax.data.original.w300_lp import FOLDERS, find_w300_lp, read_w300_lp


def test_faces_are_listed_by_folder_and_name(original):
    folder = original("w300_lp")
    for suffix in (".jpg", ".mat"):
        flipped = folder / "300W_LP" / "AFW_Flip"
        shutil.copy(flipped / f"AFW_0001_0{suffix}", flipped / f"AFW_0000_9{suffix}")
    faces = find_w300_lp(folder)["train"]
    assert [face.file_name for face in faces[:3]] == [
        "AFW/AFW_0001_0",
        "AFW_Flip/AFW_0000_9",
        "AFW_Flip/AFW_0001_0",
    ]
    assert [face.group for face in faces[:1] + faces[2:]] == list(FOLDERS)


def test_one_face(original):
    folder = original("w300_lp")
    faces = {face.group: face for face in find_w300_lp(folder)["train"]}
    plain, flipped = read_w300_lp(faces["IBUG"]), read_w300_lp(faces["IBUG_Flip"])
    assert (plain["subset"], plain["is_flipped"]) == ("IBUG", False)
    assert (flipped["subset"], flipped["is_flipped"]) == ("IBUG", True)
    # The flipped folders have no fitted landmarks beside them.
    assert (plain["landmark_source"], flipped["landmark_source"]) == ("pts_3d", "pt2d")
    annotation = scipy.io.loadmat(folder / "300W_LP" / "IBUG_Flip" / "IBUG_0001_0.mat")
    np.testing.assert_array_equal(flipped["shape_para"], annotation["Shape_Para"].ravel())
    np.testing.assert_array_equal(flipped["pose_para"], annotation["Pose_Para"].ravel())
    back = crop_to_image(flipped["landmarks"], flipped["roi_box"].astype(np.float64))
    # Float32 boxes hold whole pixels exactly; the labels are float64.
    np.testing.assert_allclose(back, annotation["pt2d"].T, atol=1e-4)


def test_fitted_landmarks_are_taken_where_they_are(original):
    folder = original("w300_lp")
    path = folder / "300W_LP" / "landmarks" / "AFW" / "AFW_0001_0_pts.mat"
    fitted = scipy.io.loadmat(path)["pts_3d"] + [3, 1]
    scipy.io.savemat(path, {"pts_3d": fitted})
    face = find_w300_lp(folder)["train"][0]
    with_fitted = read_w300_lp(face)
    back = crop_to_image(with_fitted["landmarks"], with_fitted["roi_box"].astype(np.float64))
    # As above.
    np.testing.assert_allclose(back, fitted, atol=1e-4)
    shutil.rmtree(folder / "300W_LP" / "landmarks")
    without = read_w300_lp(find_w300_lp(folder)["train"][0])
    assert without["landmark_source"] == "pt2d"


@pytest.mark.parametrize("kind", ["absent", "broken", "another shape", "NaN"])
def test_one_faces_fitted_landmarks_cost_themselves(original, kind):
    folder = original("w300_lp")
    face = find_w300_lp(folder)["train"][0]
    path = folder / "300W_LP" / "landmarks" / "AFW" / "AFW_0001_0_pts.mat"
    points = scipy.io.loadmat(path)["pts_3d"]
    path.unlink()
    if kind == "broken":
        path.write_bytes(b"broken")
    elif kind != "absent":
        spoilt = points[:21] if kind == "another shape" else points * np.nan
        scipy.io.savemat(path, {"pts_3d": spoilt})
    assert find_w300_lp(folder)["train"][0] == face
    sample = read_w300_lp(face)
    assert sample["landmark_source"] == "pt2d"
    assert "and pt2d is taken" in sample["lacking"]["pts_3d"]
    annotation = scipy.io.loadmat(folder / "300W_LP" / "AFW" / "AFW_0001_0.mat")
    back = crop_to_image(sample["landmarks"], sample["roi_box"].astype(np.float64))
    # As above.
    np.testing.assert_allclose(back, annotation["pt2d"].T, atol=1e-4)


def test_what_nobody_reads_of_a_fitted_face_may_be_anything(original):
    folder = original("w300_lp")
    face = find_w300_lp(folder)["train"][0]
    expected = read_w300_lp(face)
    path = folder / "300W_LP" / "AFW" / "AFW_0001_0.mat"
    fields = {name: value for name, value in scipy.io.loadmat(path).items() if name[0] != "_"}
    odd = {"pt2d": np.zeros((2, 23)), "Illum_Para": "none", "roi": np.zeros((0, 0))}
    kept = {k: v for k, v in (fields | odd).items() if k not in {"Color_Para", "Tex_Para"}}
    scipy.io.savemat(path, kept)
    np.testing.assert_equal(read_w300_lp(face), expected)


def test_upper_case_and_twins(original, caplog):
    folder = original("w300_lp")
    root = folder / "300W_LP"
    expected = read_w300_lp(find_w300_lp(folder)["train"][0])
    for ending in (".jpg", ".mat"):
        path = root / "AFW" / f"AFW_0001_0{ending}"
        path.rename(path.with_suffix(ending.upper()))
    fitted = root / "landmarks" / "AFW" / "AFW_0001_0_pts.mat"
    fitted.rename(fitted.with_suffix(".MAT"))
    (root / "AFW" / "._AFW_0001_0.JPG").write_bytes(b"Mac OS X")
    faces = find_w300_lp(folder)["train"]
    assert len(faces) == 8
    assert len(caplog.records) == 1
    np.testing.assert_equal(read_w300_lp(faces[0]), expected)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("300W_LP", r"no folder .*300W_LP/AFW; expected it to hold NAME\.jpg"),
        ("300W_LP/HELEN_Flip", r"no folder .*HELEN_Flip"),
        ("300W_LP/LFPW/LFPW_0001_0.mat", r"no file .*LFPW_0001_0\.mat"),
    ],
)
def test_the_first_missing_thing_is_named(original, broken, message):
    folder = original("w300_lp")
    path = folder / broken
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(FileNotFoundError, match=message):
        find_w300_lp(folder)


def test_a_missing_key_is_named(original):
    folder = original("w300_lp")
    path = folder / "300W_LP" / "AFW_Flip" / "AFW_0001_0.mat"
    fields = scipy.io.loadmat(path)
    scipy.io.savemat(path, {"pt2d": fields["pt2d"], "Pose_Para": fields["Pose_Para"]})
    with pytest.raises(ValueError, match=r"AFW_0001_0\.mat lacks Shape_Para"):
        find_w300_lp(folder)


def test_one_broken_annotation_is_no_broken_layout(original):
    folder = original("w300_lp")
    flipped = folder / "300W_LP" / "AFW_Flip"
    (flipped / "AFW_0000_9.mat").write_bytes(b"broken")
    assert find_w300_lp(folder)["train"][1].file_name == "AFW_Flip/AFW_0000_9"


def test_a_nan_landmark_is_refused(original):
    folder = original("w300_lp")
    path = folder / "300W_LP" / "AFW_Flip" / "AFW_0001_0.mat"
    fields = {name: value for name, value in scipy.io.loadmat(path).items() if name[0] != "_"}
    fields["pt2d"][0, 7] = np.nan
    scipy.io.savemat(path, fields)
    face = find_w300_lp(folder)["train"][1]
    with pytest.raises(ValueError, match="landmarks holds NaN"):
        read_w300_lp(face)


def test_a_photo_without_its_annotation_is_listed_and_refused_when_read(original):
    folder = original("w300_lp")
    cv2.imwrite(str(folder / "300W_LP" / "AFW" / "AFW_0002_0.jpg"), np.zeros((9, 9, 3), np.uint8))
    face = find_w300_lp(folder)["train"][1]
    assert face.file_name == "AFW/AFW_0002_0"
    with pytest.raises(FileNotFoundError, match=r"AFW_0002_0"):
        read_w300_lp(face)

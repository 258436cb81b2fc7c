import io
import json
import shutil
import tarfile

import cv2
import numpy as np
import pytest

from twodasl_jax.crop_frame import flip_y
from twodasl_jax.data.sources import (
    CONTOUR_WEIGHT,
    OCCLUDED_WEIGHT,
    RENDER_TO_CROP_PX,
    CropSource,
    RenderedSource,
    is_rendered_with,
    landmarks18_and_weights,
    write_rendered,
)
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_21, LANDMARKS_18_FROM_68
from twodasl_jax.replaced_files import STAGING

SETTINGS = {"face_model": "small", "num_faces": 5, "seed": 1}


def rendered_arrays(count=5):
    generator = np.random.default_rng(0)
    return {
        "images": generator.integers(0, 256, (count, 120, 120, 3)).astype(np.uint8),
        "coefficients": generator.normal(size=(count, 62)).astype(np.float32),
        "landmarks": generator.uniform(20, 100, (count, 68, 2)).astype(np.float32),
        "yaw_degrees": generator.uniform(-90, 90, count).astype(np.float32),
    }


@pytest.fixture
def rendered(tmp_path):
    write_rendered(tmp_path / "set", **rendered_arrays(), settings=SETTINGS)
    return tmp_path / "set"


def test_the_18_are_means_of_pairs_and_need_both():
    landmarks = np.random.default_rng(0).uniform(0, 120, (68, 2))
    weights = np.ones(68, np.float32)
    weights[[40, 30]], weights[62] = 0, OCCLUDED_WEIGHT
    points, weights18 = landmarks18_and_weights(landmarks, weights)
    # Float32 rounding.
    np.testing.assert_allclose(points[10], (landmarks[43] + landmarks[46]) / 2, rtol=1e-6)
    # 40 belongs to an eye centre (7), 30 is the tip of the nose (13), 62 to the mouth's centre.
    np.testing.assert_array_equal(np.flatnonzero(weights18 == 0), [7, 13])
    assert not points[[7, 13]].any()
    assert weights18[16] == OCCLUDED_WEIGHT


def test_rendered_round_trip(rendered):
    source, arrays = RenderedSource(rendered), rendered_arrays()
    assert len(source) == 5
    np.testing.assert_array_equal(list(source.images), arrays["images"])
    np.testing.assert_array_equal(source.labels["yaw_degrees"], arrays["yaw_degrees"])
    element = source[np.int64(2)]
    assert set(element) == {"image", "coefficients", "landmarks18", "landmark18_weights"}
    np.testing.assert_array_equal(element["image"], arrays["images"][2])
    np.testing.assert_array_equal(element["coefficients"], source.coefficients[2])
    np.testing.assert_array_equal(element["coefficients"][12:], arrays["coefficients"][2, 12:])
    assert element["landmark18_weights"].all()
    assert {value.dtype.name for value in element.values()} == {"uint8", "float32"}
    element["image"][:] = 0
    np.testing.assert_array_equal(source[2]["image"], arrays["images"][2])


def test_rendered_labels_move_from_pixel_centres_to_the_crop_frame(rendered):
    source, arrays = RenderedSource(rendered), rendered_arrays()
    # Float32 rounding.
    moved = source.labels["landmarks"] - arrays["landmarks"]
    np.testing.assert_allclose(moved, RENDER_TO_CROP_PX, atol=1e-5)
    # Through x = V_x, y = 121 - V_y the translation moves by as much.
    x = source.coefficients[:, 3] - arrays["coefficients"][:, 3]
    y = flip_y(source.coefficients[:, 7]) - flip_y(arrays["coefficients"][:, 7])
    np.testing.assert_allclose([x, y], RENDER_TO_CROP_PX, atol=1e-5)
    others = np.delete(np.arange(62), [3, 7])
    np.testing.assert_array_equal(source.coefficients[:, others], arrays["coefficients"][:, others])


def test_rendered_faces_in_the_wild_have_only_what_a_detector_gives(rendered):
    source = RenderedSource(rendered, role="in_the_wild")
    element, again = source[1], source[1]
    assert "coefficients" not in element
    assert not element["landmarks"].any()
    assert not element["landmark_weights"].any()
    for key, value in element.items():
        np.testing.assert_array_equal(value, again[key])
        assert np.isfinite(value).all()
    unseen = element["landmark18_weights"] == 0
    assert not element["landmarks18"][unseen].any()
    true, _ = landmarks18_and_weights(source.labels["landmarks"][1], np.ones(68))
    errors = np.linalg.norm(element["landmarks18"] - true, axis=1)[~unseen]
    # Jitter up to 2.5 px and an offset of 0.7 px, 4 standard deviations.
    assert 0 < errors.max() < 11


def test_a_set_is_known_by_its_settings(rendered, tmp_path):
    assert is_rendered_with(rendered, SETTINGS)
    assert not is_rendered_with(rendered, SETTINGS | {"seed": 2})
    assert not is_rendered_with(tmp_path / "absent", SETTINGS)
    assert json.loads((rendered / "settings.json").read_text()) == SETTINGS


def test_writing_replaces_another_set_and_leaves_nothing_unfinished(rendered):
    (rendered / STAGING).mkdir()  # of a writer that was killed
    (rendered / STAGING / "image.npy").write_bytes(b"cut short")
    (rendered / "notes.txt").write_text("a day's work")
    beside = rendered.parent / "set.unfinished"
    beside.mkdir()
    write_rendered(rendered, **rendered_arrays(3), settings=SETTINGS | {"seed": 2})
    assert len(RenderedSource(rendered)) == 3
    assert not (rendered / STAGING).exists()
    assert (rendered / "notes.txt").read_text() == "a day's work"
    assert beside.is_dir()


@pytest.mark.parametrize("name", ["settings.json", "image.npy", "labels.npz"])
def test_an_incomplete_set_is_refused(rendered, name):
    (rendered / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"no complete set.*no {name}"):
        RenderedSource(rendered)


def with_nan(array):
    array = array.copy()
    array[3].flat[0] = np.nan
    return array


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((5, 112, 120, 3), np.uint8)}, r"expected \(n, size, size, 3\) uint8"),
        ({"images": np.zeros((5, 120, 120, 3), np.float32)}, "float32; expected"),
        ({"images": np.zeros((4, 120, 120, 3), np.uint8)}, r"expected \(4, 62\), one per image"),
        ({"yaw_degrees": np.zeros(6)}, r"yaw_degrees are \(6,\) float64; expected \(5,\)"),
        ({"landmarks": np.zeros((5, 18, 2))}, r"landmarks are .*expected \(5, 68, 2\)"),
        ({"coefficients": with_nan(np.zeros((5, 62)))}, "coefficients of 1 faces hold NaN.*face 3"),
        ({"landmarks": with_nan(np.zeros((5, 68, 2)))}, "landmarks of 1 faces hold NaN.*face 3"),
    ],
)
def test_bad_arrays_are_neither_written_nor_read(rendered, change, message):
    bad = rendered_arrays() | change
    with pytest.raises(ValueError, match=message):
        write_rendered(rendered.parent / "other", **bad, settings=SETTINGS)
    assert not (rendered.parent / "other").exists()
    np.save(rendered / "image.npy", bad.pop("images"))
    np.savez(rendered / "labels.npz", **bad)
    with pytest.raises(ValueError, match=message):
        RenderedSource(rendered)


def test_a_rendered_set_without_labels_says_which(rendered):
    arrays = rendered_arrays()
    np.savez(rendered / "labels.npz", landmarks=arrays["landmarks"])
    with pytest.raises(ValueError, match="lacks coefficients; it has landmarks"):
        RenderedSource(rendered)


def crop_annotations(count=4):
    """Faces 0 and 1 with 21 labels only, 2 and 3 with 68 as well."""
    generator = np.random.default_rng(0)
    annotations = {
        "file_name": np.array([f"face{i}.png" for i in range(count)]),
        "landmarks21_crop_px": generator.uniform(0, 120, (count, 21, 2)).astype(np.float32),
        "landmarks68_crop_px": generator.uniform(0, 120, (count, 68, 2)).astype(np.float32),
        "landmarks68_visibility": np.full((count, 68), 2, np.int8),
    }
    annotations["landmarks68_crop_px"][:2] = np.nan
    annotations["landmarks68_visibility"][:2] = -1
    return annotations


def crop_pictures(count=4):
    return np.random.default_rng(1).integers(0, 256, (count, 120, 120, 3)).astype(np.uint8)


def encoded(picture):
    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()


def write_crops(folder, annotations=None, files=None, *, as_tar=True):
    annotations = crop_annotations() if annotations is None else annotations
    if files is None:
        names = [f"face{i}.png" for i in range(4)]
        files = {name: encoded(p) for name, p in zip(names, crop_pictures(), strict=True)}
    np.savez(folder / "annotations.npz", **annotations)
    if as_tar:
        with tarfile.open(folder / "crops.tar", "w") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    else:
        (folder / "crops").mkdir()
        for name, content in files.items():
            (folder / "crops" / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("as_tar", [True, False])
def test_crops_from_a_tar_or_a_folder(tmp_path, as_tar):
    source = CropSource(write_crops(tmp_path, as_tar=as_tar))
    assert len(source) == 4
    for index, picture in enumerate(crop_pictures()):
        np.testing.assert_array_equal(source[index]["image"], picture)
    only_68 = CropSource(tmp_path, only_68=True)
    assert len(only_68) == 2
    np.testing.assert_array_equal(only_68[0]["image"], crop_pictures()[2])
    assert only_68.record_name(0) == "face2.png"


def test_crop_elements_have_their_fields_and_types(tmp_path):
    source = CropSource(write_crops(tmp_path))
    for index in range(4):
        element = source[index]
        assert {key: (value.shape, value.dtype.name) for key, value in element.items()} == {
            "image": ((120, 120, 3), "uint8"),
            "landmarks": ((68, 2), "float32"),
            "landmark_weights": ((68,), "float32"),
            "landmarks18": ((18, 2), "float32"),
            "landmark18_weights": ((18,), "float32"),
        }
        assert all(np.isfinite(value).all() for value in element.values())


def test_21_labels_give_the_18_that_are_visible(tmp_path):
    annotations = crop_annotations()
    annotations["landmarks21_crop_px"][0, [2, 12]] = np.nan
    element = CropSource(write_crops(tmp_path, annotations))[0]
    np.testing.assert_array_equal(element["landmark18_weights"] == 0, np.arange(18) == 2)
    assert not element["landmarks18"][2].any()
    expected = np.delete(annotations["landmarks21_crop_px"][0][LANDMARKS_18_FROM_21], 2, axis=0)
    np.testing.assert_array_equal(np.delete(element["landmarks18"], 2, axis=0), expected)
    assert not element["landmarks"].any()
    assert not element["landmark_weights"].any()


def test_a_label_far_outside_the_crop_counts_as_not_visible(tmp_path):
    annotations = crop_annotations()
    annotations["landmarks21_crop_px"][0, :3] = [[342, 60], [-15, 135], [60, -21]]
    element = CropSource(write_crops(tmp_path, annotations))[0]
    np.testing.assert_array_equal(np.flatnonzero(element["landmark18_weights"] == 0), [0, 2])
    np.testing.assert_array_equal(element["landmarks18"][:3], [[0, 0], [-15, 135], [0, 0]])


def test_one_of_68_labels_far_outside_the_crop_counts_as_not_visible(tmp_path):
    annotations = crop_annotations()
    annotations["landmarks68_crop_px"][2, [0, 30, 36]] = [[-21, 60], [342, 60], [-15, 135]]
    element = CropSource(write_crops(tmp_path, annotations))[2]
    np.testing.assert_array_equal(np.flatnonzero(element["landmark_weights"] == 0), [0, 30])
    assert not element["landmarks"][[0, 30]].any()
    np.testing.assert_array_equal(element["landmarks"][36], [-15, 135])
    # 30 is the tip of the nose, 13 of the 18.
    np.testing.assert_array_equal(np.flatnonzero(element["landmark18_weights"] == 0), [13])


def test_68_labels_are_weighted_by_visibility(tmp_path):
    annotations = crop_annotations()
    annotations["landmarks68_visibility"][2, [0, 36]] = 1
    annotations["landmarks68_visibility"][2, [1, 45, 30]] = 0
    annotations["landmarks68_crop_px"][2, [1, 45]] = np.nan  # 30 keeps an estimated position
    annotations["landmarks68_crop_px"][2, 48] = np.nan  # called visible, but unknown
    element = CropSource(write_crops(tmp_path, annotations))[2]
    expected = np.ones(68, np.float32)
    expected[:17] = CONTOUR_WEIGHT
    expected[0] = CONTOUR_WEIGHT * OCCLUDED_WEIGHT
    expected[36] = OCCLUDED_WEIGHT
    expected[[1, 30, 45, 48]] = 0
    np.testing.assert_allclose(element["landmark_weights"], expected, rtol=1e-6)
    assert not element["landmarks"][expected == 0].any()
    pairs = LANDMARKS_18_FROM_68
    expected18 = np.minimum(expected[pairs[:, 0]], expected[pairs[:, 1]])
    np.testing.assert_allclose(element["landmark18_weights"], expected18, rtol=1e-6)
    assert not element["landmarks18"][expected18 == 0].any()


def test_reading_leaves_the_annotations_alone(tmp_path):
    source = CropSource(write_crops(tmp_path))
    first, again = source[3], source[3]
    for key, value in first.items():
        np.testing.assert_array_equal(value, again[key])


def test_crops_without_68_labels_need_no_arrays_for_them(tmp_path):
    annotations = {k: v for k, v in crop_annotations().items() if "68" not in k}
    assert len(CropSource(write_crops(tmp_path, annotations))) == 4
    with pytest.raises(ValueError, match="no face with 68 labels; set only_68=False"):
        CropSource(tmp_path, only_68=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a picture", "the crop face1.png is unreadable"),
        (b"", "the crop face1.png is unreadable"),
        (encoded(np.zeros((112, 112, 3), np.uint8)), r"face1.png is \(112, 112, 3\); expected"),
    ],
)
def test_a_bad_picture_is_named(tmp_path, content, message):
    files = {f"face{i}.png": encoded(crop_pictures()[i]) for i in range(4)}
    source = CropSource(write_crops(tmp_path, files=files | {"face1.png": content}))
    assert source[0]["image"].any()
    with pytest.raises(ValueError, match=message):
        source[1]


def without(key):
    return lambda a: a.pop(key)


def set_to(key, value):
    return lambda a: a.update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("landmarks68_visibility"), "has landmarks68_crop_px alone"),
        (set_to("landmarks21_crop_px", np.zeros((3, 21, 2))), r"expected \(4, 21, 2\) numbers"),
        (set_to("landmarks68_crop_px", np.zeros((4, 2, 68))), r"expected \(4, 68, 2\) numbers"),
        (set_to("file_name", np.array(["face0.png", "face1.png"] * 2)), "face0.png 2 times"),
        (set_to("file_name", np.array([f"face{i}.png" for i in (0, 1, 2, 9)])),
         "1 of 4 annotated crops are absent from .*, first face9.png"),
    ],
)  # fmt: skip
def test_bad_annotations_are_refused(tmp_path, change, message):
    annotations = crop_annotations()
    change(annotations)
    with pytest.raises(ValueError, match=message):
        CropSource(write_crops(tmp_path, annotations))


def test_no_faces_at_all_are_refused(tmp_path):
    annotations = {key: value[:0] for key, value in crop_annotations().items()}
    with pytest.raises(ValueError, match="names no face"):
        CropSource(write_crops(tmp_path, annotations))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*annotations.npz; expected a folder"):
        CropSource(tmp_path)
    np.savez(tmp_path / "annotations.npz", **crop_annotations())
    with pytest.raises(FileNotFoundError, match=r"no crops.tar and no folder crops"):
        CropSource(tmp_path)


def test_a_damaged_archive_is_named(tmp_path):
    write_crops(tmp_path)
    (tmp_path / "crops.tar").write_bytes(b"this is no archive" * 100)
    with pytest.raises(ValueError, match=r"crops.tar is damaged .*; copy it again"):
        CropSource(tmp_path)


@pytest.mark.shared_data
def test_real_crops_give_usable_landmarks(shared_data):
    source = CropSource(shared_data / "aflw_in_the_wild", only_68=True)
    assert len(source) == 10086
    for index in range(0, len(source), 500):
        element = source[index]
        seen = element["landmark18_weights"] > 0
        assert seen.any()
        # Within the crop but for chins and ears of extreme poses; measured: 10 px at most.
        assert (np.abs(element["landmarks18"][seen] - 60) < 71).all()


@pytest.mark.shared_data
def test_real_labels_far_outside_are_dropped(shared_data):
    source = CropSource(shared_data / "aflw_in_the_wild", only_68=True)
    with np.load(shared_data / "aflw_in_the_wild" / "annotations.npz") as file:
        labelled = file["landmarks68_visibility"] > 0
        astray = (np.abs(file["landmarks68_crop_px"] - 60) > 80).any(axis=2) & labelled
        names = file["file_name"][astray.any(axis=1)]
    assert astray.sum() == 47
    rows = [index for index in range(len(source)) if source.record_name(index) in set(names)]
    assert len(rows) == len(names)
    for index in rows:
        assert (np.abs(source[index]["landmarks"][:, 0] - 60) <= 80).all()


@pytest.mark.shared_data
def test_both_label_sets_of_real_crops_agree_on_the_18(shared_data):
    """The 18 from AFLW's 21 and from MERL-RAV's 68 are different people's work."""
    with np.load(shared_data / "aflw_in_the_wild" / "annotations.npz") as file:
        landmarks21, landmarks68 = file["landmarks21_crop_px"], file["landmarks68_crop_px"]
    from_21 = landmarks21[:, LANDMARKS_18_FROM_21]
    first, second = LANDMARKS_18_FROM_68.T
    differences = from_21 - 0.5 * (landmarks68[:, first] + landmarks68[:, second])
    distances = np.linalg.norm(differences, axis=2)
    assert np.isfinite(distances).sum() > 100_000
    # Measured 2.56 px; the nearest wrong row of either table is 6.4 px away.
    assert np.nanmean(distances) < 2.7
    assert np.nanmean(distances, axis=0).max() < 4.5


def test_faces_are_known_again_in_another_source(rendered, tmp_path):
    """What is held out of one source must be found in every other."""
    shutil.copytree(rendered, tmp_path / "under another name")
    again = RenderedSource(tmp_path / "under another name", role="in_the_wild")
    assert again.identities() == RenderedSource(rendered).identities()
    assert len(set(again.identities())) == 5
    annotations = crop_annotations()
    crops = CropSource(write_crops(tmp_path, annotations))
    assert crops.identities() == [str(name) for name in annotations["file_name"]]

"""Opening benchmarks: made-up folders in the owners' layouts, and crops folders."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.io
from PIL import ExifTags, Image

from twodasl_jax.data.face_crop import crop_image
from twodasl_jax.data.original.files import read_photo
from twodasl_jax.data.sources import write_rendered
from twodasl_jax.evaluation.benchmark_faces import (
    open_aflw2000_3d,
    open_aflw_lfpa,
    open_rendered,
)
from twodasl_jax.geometry.rotation import euler_from_rotation, rotation_from_euler


def test_aflw2000_3d_from_its_folder(original, console):
    folder = original("aflw2000_3d")
    generator = np.random.default_rng(0)
    detected = generator.uniform(0, 120, (2, 68, 2))
    relabelled = generator.uniform(40, 140, (2, 68, 2))
    boxes = np.array([[10.0, 12.0, 150.0, 160.0], [5.0, 5.0, 165.0, 145.0]])
    np.savez(
        folder / "annotations.npz",
        file_name=["image00004.jpg", "image00002.jpg"],
        roi_box=boxes,
        reannotated_landmarks_px=relabelled,
        detected_landmarks_crop_px=detected,
    )
    benchmark = open_aflw2000_3d(folder, console)
    assert benchmark.file_names == tuple(f"image0000{n}.jpg" for n in (2, 3, 4, 5))
    np.testing.assert_array_equal(benchmark.roi_box[[2, 0]], boxes)
    # Stored in float32: hundreds of pixels.
    np.testing.assert_allclose(benchmark.truth["reannotated"][[2, 0]], relabelled, atol=1e-4)
    assert np.isnan(benchmark.truth["reannotated"][[1, 3]]).all()
    expected = detected[0] * (boxes[0, 2:] - boxes[0, :2]) / 120 + boxes[0, :2]
    np.testing.assert_allclose(benchmark.published_detections[2], expected, atol=1e-4)
    assert np.isnan(benchmark.published_detections[1]).all()
    photo = read_photo(folder / "AFLW2000" / "image00004.jpg")
    np.testing.assert_array_equal(benchmark.read_photo(2), photo)
    np.testing.assert_array_equal(benchmark.crops[2], crop_image(photo, boxes[0]))
    assert "leak" in benchmark.conventions["crop_source"]


def test_labels_count_the_pixels_of_the_stored_file(original, console):
    """Whatever a camera's orientation tag says: the labels were made on the pixels as stored."""
    folder = original("aflw2000_3d")
    path = folder / "AFLW2000" / "image00004.jpg"
    with Image.open(path) as photo:
        photo.load()
    opened = []
    for orientation in (1, 6):
        tags = Image.Exif()
        tags[ExifTags.Base.Orientation] = orientation
        photo.save(path, quality=95, exif=tags)
        opened.append(open_aflw2000_3d(folder, console))
    plain, tagged = opened
    np.testing.assert_array_equal(tagged.crops, plain.crops)
    np.testing.assert_array_equal(tagged.read_photo(2), plain.read_photo(2))


def change(path, **fields):
    """Rewrites a ``.mat`` file; None removes a field."""
    kept = {name: value for name, value in scipy.io.loadmat(path).items() if name[0] != "_"}
    scipy.io.savemat(path, {k: v for k, v in (kept | fields).items() if v is not None})


def test_points_that_nothing_is_scored_by_stop_nothing(original, console):
    """As published, three of the 2,000 files hold a ``pt2d`` of 2 x 23."""
    folder = original("aflw2000_3d")
    whole = open_aflw2000_3d(folder, console)
    for number in (3, 5):
        change(folder / "AFLW2000" / f"image0000{number}.mat", pt2d=np.zeros((2, 23)))
    opened = open_aflw2000_3d(folder, console)
    assert opened.left_out == ()
    assert opened.notes == (
        "2 faces have no usable pt2d, first image00003.jpg: pt2d is (2, 23) float64; expected "
        "(2, 21) numbers. Nothing else of them is left out",
    )
    for name in ("crops", "roi_box", "yaw_degrees"):
        np.testing.assert_array_equal(getattr(opened, name), getattr(whole, name))
    for name, labels in whole.truth.items():
        np.testing.assert_array_equal(opened.truth[name], labels, err_msg=name)


def test_a_broken_face_is_named_and_left_out_on_demand_only(original, console):
    folder = original("aflw2000_3d")
    whole = open_aflw2000_3d(folder, console)
    (folder / "AFLW2000" / "image00004.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"image00004\.jpg: .* scored whole: .*allow_missing=True"):
        open_aflw2000_3d(folder, console)
    opened = open_aflw2000_3d(folder, console, allow_missing=True)
    assert [face.file_name for face in opened.left_out] == ["image00004.jpg"]
    assert "is no complete image" in opened.left_out[0].reason
    np.testing.assert_array_equal(opened.crops, whole.crops[[0, 1, 3]])
    np.testing.assert_array_equal(opened.read_photo(2), whole.read_photo(3))
    for path in (folder / "AFLW2000").glob("*.jpg"):
        path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"no face that can be scored, first image00002\.jpg: can"):
        open_aflw2000_3d(folder, console, allow_missing=True)


def test_annotations_of_more_images_than_there_are(original, console):
    folder = original("aflw2000_3d")
    names = ["image00001.jpg", *(f"image0000{n}.jpg" for n in (2, 3, 4, 5)), "image00099.jpg"]
    boxes = np.tile([10.0, 12.0, 150.0, 160.0], (6, 1)) + np.arange(6)[:, None]
    np.savez(folder / "annotations.npz", file_name=names, roi_box=boxes)
    with pytest.raises(ValueError, match=r"names 2 faces that AFLW2000 does not hold, first image00"
                       r"001\.jpg; .*allow_missing=True"):  # fmt: skip
        open_aflw2000_3d(folder, console)
    opened = open_aflw2000_3d(folder, console, allow_missing=True)
    assert opened.file_names == tuple(names[1:5])
    assert [face.file_name for face in opened.left_out] == [names[0], names[5]]
    assert "holds no such photograph" in opened.left_out[0].reason
    np.testing.assert_array_equal(opened.roi_box, boxes[1:5])
    photo = read_photo(folder / "AFLW2000" / "image00004.jpg")
    np.testing.assert_array_equal(opened.read_photo(2), photo)


def test_rows_without_a_photograph_of_aflw_lfpa(original, console):
    folder = original("aflw_lfpa")
    whole = open_aflw_lfpa(folder, console)
    (folder / "TestImages" / "2.jpg").unlink()
    with pytest.raises(ValueError, match=r"TestImages/2\.jpg: no file .*allow_missing=True"):
        open_aflw_lfpa(folder, console)
    opened = open_aflw_lfpa(folder, console, allow_missing=True)
    assert opened.file_names == ("TestImages/1.jpg", "TestImages/3.jpg", "TestImages/4.jpg")
    assert [face.file_name for face in opened.left_out] == ["TestImages/2.jpg"]
    np.testing.assert_array_equal(opened.read_photo(1), whole.read_photo(2))


def test_a_folder_of_something_else_says_what_is_expected(tmp_path, console):
    with pytest.raises(FileNotFoundError, match="holds neither AFLW2000/ nor a prepared data set"):
        open_aflw2000_3d(tmp_path, console)
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent"):
        open_aflw_lfpa(tmp_path / "absent", console)


def test_aflw_lfpa_from_its_folder(original, console):
    benchmark = open_aflw_lfpa(original("aflw_lfpa"), console)
    assert benchmark.file_names == tuple(f"TestImages/{n}.jpg" for n in (1, 2, 3, 4))
    assert np.isnan(benchmark.yaw_degrees).all()
    truth = benchmark.truth["landmarks34_px"]
    start, end = np.split(benchmark.truth["face_box"][:, None], 2, axis=-1)
    seen = np.isfinite(truth).all(axis=-1)
    assert seen.any()
    assert ((truth >= start) & (truth <= end)).all(axis=-1)[seen].mean() > 0.9
    crop = crop_image(benchmark.read_photo(1), benchmark.roi_box[1])
    np.testing.assert_array_equal(benchmark.crops[1], crop)


def test_roll_is_the_turn_in_the_picture(original, console, tmp_path):
    folder = original("aflw2000_3d")
    turn, profile = (rotation_from_euler(*map(jnp.float32, a)) for a in ((0, 0, 0.7), (0, 1.3, 0)))
    turned = [float(angle) for angle in euler_from_rotation(turn @ profile)]
    for number, (pitch, yaw, roll) in {2: (0.0, 0.0, -1.0), 3: turned}.items():
        path = folder / "AFLW2000" / f"image0000{number}.mat"
        fields = {k: v for k, v in scipy.io.loadmat(path).items() if k[0] != "_"}
        fields["Pose_Para"][0, :3] = pitch, yaw, roll
        scipy.io.savemat(path, fields)
    path = folder / "AFLW2000" / "image00004.mat"
    fields = {k: v for k, v in scipy.io.loadmat(path).items() if k[0] != "_"}
    del fields["Pose_Para"]
    scipy.io.savemat(path, fields)
    found = open_aflw2000_3d(folder, console).roll_degrees
    assert abs(np.degrees(turned[2])) > 60  # not what is seen of a profile
    # Float32 angles, through arcsin.
    np.testing.assert_allclose(found[:3], np.degrees([-1.0, 0.7, np.nan]), atol=0.01)
    left = open_aflw2000_3d(folder, console).without(np.array([0]), "some reason")
    np.testing.assert_array_equal(left.roll_degrees, found[1:])
    write_rendered(
        tmp_path / "set",
        images=np.zeros((2, 120, 120, 3), np.uint8),
        coefficients=TURNED,
        landmarks=np.random.default_rng(0).uniform(20, 100, (2, 68, 2)),
        yaw_degrees=np.zeros(2),
        settings={},
    )
    np.testing.assert_allclose(open_rendered(tmp_path / "set", console).roll_degrees, [0, 90])


TURNED = np.zeros((2, 62), np.float32)
TURNED[0, [0, 5, 10]] = 0.01
TURNED[1, [1, 4, 10]] = 0.01, -0.01, 0.01

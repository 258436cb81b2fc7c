"""What the prepared examples mean: the made-up data went in with known answers."""

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.crop_frame import crop_to_image
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients
from twodasl_jax.face_model.model import OPEN_FACE_FILE
from twodasl_jax.geometry.camera import head_pose
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_21, LANDMARKS_18_FROM_68

SPLITS = [
    ("w300_lp", "train", 8),
    ("aflw2000_3d", "test", 4),
    ("umdfaces", "batch1", 2),
    ("umdfaces", "batch2", 2),
    ("umdfaces", "batch3", 2),
    ("aflw_lfpa", "test", 4),
]
WITH_COEFFICIENTS = [("w300_lp", "train"), ("aflw2000_3d", "test")]


@pytest.fixture(scope="module")
def open_face():
    return landmark_model(face_model_from_file(OPEN_FACE_FILE))


@pytest.mark.parametrize(("name", "split", "count"), SPLITS)
def test_every_face_is_there_in_the_order_of_its_names(prepared, name, split, count):
    names = [example["file_name"] for example in prepared[name][split]]
    assert len(names) == count
    assert names == sorted(names)


@pytest.mark.parametrize(("name", "split"), WITH_COEFFICIENTS)
def test_projected_coefficients_reproduce_the_landmarks(prepared, open_face, name, split):
    for example in prepared[name][split]:
        points = landmarks_from_coefficients(open_face, jnp.asarray(example["coefficients"]))
        # float32 through the .mat files and two changes of frame, coordinates of some 100 px.
        np.testing.assert_allclose(points[:, :2], example["landmarks"], atol=2e-2)


@pytest.mark.parametrize(("name", "split"), WITH_COEFFICIENTS)
def test_the_yaw_is_pose_paras(prepared, name, split):
    for example in prepared[name][split]:
        camera = split_coefficients(jnp.asarray(example["coefficients"])).camera
        # Euler angles of a float32 rotation; the boxes are square but for a clipped pixel or two,
        # which turn the nearest rotation by a fraction of a degree.
        sx, sy, ex, ey = example["roi_box"]
        tolerance = 1e-3 if ex - sx == ey - sy else 0.1
        yaw = float(head_pose(camera).yaw)
        assert yaw == pytest.approx(float(example["pose_para"][1]), abs=tolerance)


def test_the_benchmarks_yaw_is_pose_paras_in_degrees(prepared):
    for example in prepared["aflw2000_3d"]["test"]:
        # float32 degrees.
        assert example["yaw_degrees"] == pytest.approx(np.rad2deg(example["pose_para"][1]), 1e-6)


@pytest.mark.parametrize(
    ("name", "split", "key"),
    [(*pair, "landmarks") for pair in WITH_COEFFICIENTS]
    + [("umdfaces", f"batch{k}", "landmarks21") for k in (1, 2, 3)]
    + [("aflw_lfpa", "test", "landmarks34")],
)
def test_visible_landmarks_lie_inside_the_crop(prepared, name, split, key):
    for example in prepared[name][split]:
        points = example[key]
        if key != "landmarks":
            points = points[example["visibility"] > 0.5]
        assert (points > 0).all()
        assert (points < 120).all()


def test_landmarks_in_crop_and_image_are_the_same_points(prepared):
    for name, split, crop, image in (
        ("aflw2000_3d", "test", "landmarks", "landmarks_px"),
        ("umdfaces", "batch1", "landmarks21", "landmarks21_px"),
        ("aflw_lfpa", "test", "landmarks34", "landmarks34_px"),
    ):
        for example in prepared[name][split]:
            back = crop_to_image(example[crop], example["roi_box"])
            # float32 coordinates of up to 200 px.
            np.testing.assert_allclose(back, example[image][:, :2], atol=1e-3)


def test_the_21_points_are_the_68_where_they_are_the_same(prepared):
    for example in prepared["aflw2000_3d"]["test"]:
        shared = example["landmarks_px"][:, :2][LANDMARKS_18_FROM_68].mean(axis=1)
        # float32 coordinates of up to 200 px.
        np.testing.assert_allclose(
            example["landmarks21_px"][LANDMARKS_18_FROM_21], shared, atol=1e-3
        )


def test_the_depth_of_the_landmarks_is_the_coefficients(prepared, open_face):
    for example in prepared["aflw2000_3d"]["test"]:
        points = landmarks_from_coefficients(open_face, jnp.asarray(example["coefficients"]))
        sx, sy, ex, ey = example["roi_box"]
        depth = np.asarray(points[:, 2]) * (ex - sx + ey - sy) / 240
        # As for x and y above, in image px.
        np.testing.assert_allclose(
            depth - depth.mean(),
            example["landmarks_px"][:, 2] - example["landmarks_px"][:, 2].mean(),
            atol=3e-2,
        )


def test_the_crop_is_cut_from_the_photo(prepared):
    for example in prepared["aflw2000_3d"]["test"]:
        sx, sy, ex, ey = example["roi_box"].astype(int)
        cut = example["photo"][sy:ey, sx:ex]
        expected = cv2.resize(cut, (120, 120), interpolation=cv2.INTER_LINEAR)
        # The benchmark's box is inside the image, and its crop is stored without loss.
        np.testing.assert_array_equal(example["image"], expected)


def test_training_crops_lose_little(prepared, repository):
    """JPEG at quality 95: against the crop as cut, in the mean over pixels."""
    from twodasl_jax.data.original.w300_lp import find_w300_lp, read_w300_lp

    folder = repository / "tfds_builders" / "w300_lp" / "dummy_data"
    for face, example in zip(
        find_w300_lp(folder)["train"], prepared["w300_lp"]["train"], strict=True
    ):
        assert example["file_name"].decode() == face.file_name
        difference = example["image"].astype(float) - read_w300_lp(face)["image"]
        # Measured: 0.8 to 1.0 grey levels.
        assert np.abs(difference).mean() < 2

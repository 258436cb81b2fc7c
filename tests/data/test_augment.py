import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.data.augment import (
    AugmentOptions,
    augment,
    damage_colours,
    warp_coefficients,
    warp_image,
    warp_points,
)
from twodasl_jax.data.mirrored_faces import CoefficientMirror
from twodasl_jax.face_model.landmarks import landmarks_from_coefficients
from twodasl_jax.face_model.linear import LinearModel
from twodasl_jax.geometry.camera import camera_parts, project_to_crop
from twodasl_jax.landmark_tables import LANDMARKS_18_FROM_68, MIRROR_18, MIRROR_68

IDENTITY = np.eye(2, 3)
NO_CHANGE = AugmentOptions(0, 0, 0, 0, 0, 0, 0, 0)
FLIP = AugmentOptions(0, 0, 0, 1, 0, 0, 0, 0)


def similarity(degrees, scale, shift):
    warp = cv2.getRotationMatrix2D((60, 60), degrees, scale)
    warp[:, 2] += shift
    return warp


def spot_at(point, sigma=2.5):
    """A picture of one bright spot, drawn with pixel c's centre at c + 1/2."""
    rows, columns = np.mgrid[:120, :120] + 0.5
    spot = np.exp(-((columns - point[0]) ** 2 + (rows - point[1]) ** 2) / (2 * sigma**2))
    return np.repeat(np.uint8(250 * spot + 0.5)[..., None], 3, axis=2)


def spot_of(image):
    """The spot's centroid."""
    rows, columns = np.mgrid[:120, :120] + 0.5
    weights = image[..., 0].astype(np.float64)
    return np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()


def in_the_wild(seed=0):
    generator = np.random.default_rng(seed)
    weights68, weights18 = np.ones((2, 68), np.float32)[0], np.ones(18, np.float32)
    weights68[5] = weights18[3] = 0
    points68, points18 = generator.uniform(30, 90, (68, 2)), generator.uniform(30, 90, (18, 2))
    points68[5] = points18[3] = 0
    return {
        "image": generator.integers(0, 256, (120, 120, 3)).astype(np.uint8),
        "landmarks": points68.astype(np.float32),
        "landmark_weights": weights68,
        "landmarks18": points18.astype(np.float32),
        "landmark18_weights": weights18,
    }


def annotated(seed=0):
    element = in_the_wild(seed)
    coefficients = np.random.default_rng(seed).normal(size=62).astype(np.float32)
    return {
        "image": element["image"],
        "coefficients": coefficients,
        "landmarks18": element["landmarks18"],
        "landmark18_weights": np.ones(18, np.float32),
    }


@pytest.mark.parametrize(
    ("degrees", "scale", "shift"),
    [(0, 1, (3, -7)), (0, 1.3, (0, 0)), (25, 0.9, (4, 2)), (-90, 1, 0)],
)
def test_warped_coefficients_project_to_the_warped_projection(degrees, scale, shift):
    generator = np.random.default_rng(0)
    warp = similarity(degrees, scale, shift)
    points = jnp.asarray(generator.normal(size=(3, 50)), jnp.float32)
    coefficients = generator.normal(size=62).astype(np.float32) * 20
    before = project_to_crop(jnp.asarray(coefficients[:12].reshape(3, 4)), points)
    moved = warp_coefficients(coefficients, warp)
    after = np.asarray(project_to_crop(jnp.asarray(moved[:12].reshape(3, 4)), points))
    # Float32 of numbers up to 200.
    np.testing.assert_allclose(after[:2].T, warp_points(np.asarray(before[:2]).T, warp), atol=1e-4)
    np.testing.assert_allclose(after[2], np.asarray(before[2]) * scale, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(moved[12:], coefficients[12:])


def test_a_warped_camera_is_still_a_scaled_rotation():
    camera = np.eye(3, 4) * 0.7
    warped = warp_coefficients(
        np.concatenate([camera.ravel(), np.zeros(50)]), similarity(30, 1.2, 5)
    )
    parts = camera_parts(jnp.asarray(warped[:12].reshape(3, 4)))
    # Float32 rounding.
    assert float(parts.scale) == pytest.approx(0.84, rel=1e-6)
    rows = np.asarray(parts.scale * parts.rotation)
    np.testing.assert_allclose(rows, warped[:12].reshape(3, 4)[:, :3], atol=1e-6)


@pytest.mark.parametrize(
    ("degrees", "scale", "shift"),
    [
        (0, 1, (5, -3)),
        (0, 1, (2.5, 1.25)),
        (12, 1, 0),
        (90, 1, 0),
        (-8, 1.08, (3, 4)),
        (180, 0.6, 0),
    ],
)
def test_points_stay_on_their_pixels_when_the_picture_moves(degrees, scale, shift):
    point = np.array([[70.0, 50.0]])
    warp = similarity(degrees, scale, shift)
    moved = spot_of(warp_image(spot_at(point[0]), warp))
    # The centroid of an 8-bit, bilinearly moved spot; OpenCV moves in steps of 1/32 px. With the
    # centres of pixels half a pixel wrong, turning by 90° would be out by a whole pixel.
    np.testing.assert_allclose(moved, warp_points(point, warp)[0], atol=0.05)


def test_points_stay_on_their_pixels_when_the_picture_is_mirrored():
    element = in_the_wild()
    element["landmarks18"][6] = 40.0, 55.0  # an eye's outer corner
    element["image"] = spot_at((40.0, 55.0))
    mirrored = augment(element, np.random.default_rng(0), FLIP)
    # Mirroring is exact; the centroid of 8-bit values is not.
    np.testing.assert_allclose(spot_of(mirrored["image"]), [80.0, 55.0], atol=0.01)
    np.testing.assert_array_equal(mirrored["landmarks18"][MIRROR_18[6]], [80.0, 55.0])


def test_mirroring_twice_changes_nothing():
    element, generator = in_the_wild(), np.random.default_rng(0)
    once = augment(element, generator, FLIP)
    assert (once["image"] != element["image"]).any()
    np.testing.assert_array_equal(
        once["landmark18_weights"], element["landmark18_weights"][MIRROR_18]
    )
    twice = augment(once, generator, FLIP)
    for key in ("image", "landmark_weights", "landmark18_weights"):
        np.testing.assert_array_equal(twice[key], element[key], err_msg=key)
    for key in ("landmarks", "landmarks18"):
        # 120 - (120 - x) in float32.
        np.testing.assert_allclose(twice[key], element[key], atol=1e-5, err_msg=key)


@pytest.mark.parametrize("table", [MIRROR_18, MIRROR_68])
def test_the_mirror_tables_are_their_own_inverses(table):
    np.testing.assert_array_equal(table[table], np.arange(len(table)))


def test_without_options_nothing_changes():
    element = in_the_wild()
    example = augment(element, np.random.default_rng(0), NO_CHANGE)
    for key, value in element.items():
        np.testing.assert_array_equal(example[key], value, err_msg=key)


def test_fields_and_types():
    example = augment(annotated(), np.random.default_rng(0), AugmentOptions())
    assert "landmarks18" not in example
    example |= augment(in_the_wild(), np.random.default_rng(0), AugmentOptions())
    assert {key: (value.shape, value.dtype.name) for key, value in example.items()} == {
        "image": ((120, 120, 3), "uint8"),
        "coefficients": ((62,), "float32"),
        "detected_landmarks": ((18, 2), "float32"),
        "landmarks": ((68, 2), "float32"),
        "landmark_weights": ((68,), "float32"),
        "landmarks18": ((18, 2), "float32"),
        "landmark18_weights": ((18,), "float32"),
    }


def test_unknown_points_stay_at_0_and_are_never_drawn():
    for seed in range(20):
        example = augment(in_the_wild(), np.random.default_rng(seed), AugmentOptions())
        for points, weights in (
            ("landmarks", "landmark_weights"),
            ("landmarks18", "landmark18_weights"),
        ):
            unknown = example[weights] == 0
            assert unknown.sum() == 1
            assert not example[points][unknown].any()
            assert np.isfinite(example[points]).all()
        assert np.isnan(example["detected_landmarks"][example["landmark18_weights"] == 0]).all()


def test_annotated_faces_without_a_coefficient_mirror_are_never_mirrored():
    element = annotated()
    example = augment(element, np.random.default_rng(0), FLIP)
    np.testing.assert_array_equal(example["image"], element["image"])
    np.testing.assert_array_equal(example["coefficients"], element["coefficients"])


def symmetric_landmark_model():
    """68 points about x = 3 whose first 25 directions are symmetric, the others antisymmetric."""
    generator = np.random.default_rng(0)
    plane, sides = 3.0, np.array([[-1.0], [1.0], [1.0]])

    def mirrored(points):
        return sides * points[..., MIRROR_68]

    mean = generator.normal(scale=20, size=(3, 68))
    mean = (mean + mirrored(mean)) / 2 + np.array([[plane], [0], [0]])
    basis = generator.normal(size=(50, 3, 68))
    signs = np.repeat([1.0, -1.0], 25)
    basis = (basis + signs[:, None, None] * mirrored(basis)) / 2
    landmarks = LinearModel(
        *(jnp.asarray(part, jnp.float32) for part in (mean, basis[:40], basis[40:]))
    )
    return landmarks, CoefficientMirror(np.diag(signs), np.zeros(50), plane)


def projected(landmarks, coefficients):
    """``(68, 2)`` crop pixels."""
    return np.asarray(landmarks_from_coefficients(landmarks, jnp.asarray(coefficients)))[:, :2]


@pytest.mark.parametrize("seed", range(12))
def test_image_coefficients_and_landmarks_of_an_annotated_face_stay_together(seed):
    """By re-projection, through shift, scale, rotation and flip at once."""
    landmarks, mirror = symmetric_landmark_model()
    generator = np.random.default_rng(seed)
    camera = np.array([[0.7, 0.1, 0.2, 58], [-0.1, 0.8, 0.1, 62], [0.1, 0, 0.7, 5]])
    coefficients = np.append(camera.ravel(), generator.normal(size=50)).astype(np.float32)
    tip, mirrored_tip = 30, MIRROR_68[30]
    points = projected(landmarks, coefficients)
    element = {
        "image": spot_at(points[tip]),
        "coefficients": coefficients,
        "landmarks18": points[LANDMARKS_18_FROM_68[:, 0]].astype(np.float32),
        "landmark18_weights": np.ones(18, np.float32),
    }
    flips = AugmentOptions(4, 0.08, 12, seed % 2, 0, 0, 0, 0)
    example = augment(element, generator, flips, coefficient_mirror=mirror)
    moved = projected(landmarks, example["coefficients"])
    # OpenCV places pixels to 1/32 px and rounds to 8 bits.
    np.testing.assert_allclose(spot_of(example["image"]), moved[mirrored_tip], atol=0.05)
    # Rows of 18 that are single points of 68, where the detector did not miss or move them;
    # float32 rounding of numbers about 100.
    shared = moved[LANDMARKS_18_FROM_68[:, 0]]
    offset = example["detected_landmarks"] - shared
    single = LANDMARKS_18_FROM_68[:, 0] == LANDMARKS_18_FROM_68[:, 1]
    np.testing.assert_allclose(np.nanmedian(offset[single], axis=0), 0, atol=DETECTOR_OFFSET_PX)


DETECTOR_OFFSET_PX = 4 * 0.7
"""Four standard deviations of the offset that all detected points of a face share."""


def test_a_seed_names_the_example_and_the_source_is_left_alone():
    element, untouched = in_the_wild(), in_the_wild()
    first = augment(element, np.random.default_rng(5), AugmentOptions())
    second = augment(element, np.random.default_rng(5), AugmentOptions())
    for key, value in first.items():
        np.testing.assert_array_equal(value, second[key])
    for key, value in untouched.items():
        np.testing.assert_array_equal(value, element[key])


def test_the_warp_stays_within_its_options():
    options = AugmentOptions(4, 0.08, 12, 0, 0, 0, 0, 0)
    start = np.float32([[60, 60], [100, 60]])
    element = in_the_wild()
    element["landmarks18"][:2] = start
    ends = np.stack(
        [augment(element, np.random.default_rng(s), options)["landmarks18"][:2] for s in range(200)]
    )
    shifts = np.abs(ends[:, 0] - 60)
    across = ends[:, 1] - ends[:, 0]
    scales = np.linalg.norm(across, axis=1) / 40
    degrees = np.degrees(np.arctan2(across[:, 1], across[:, 0]))
    # Float32 rounding above; of 200 uniform draws the largest is beyond 95 % of the range.
    for values, bound in ((shifts, 4), (np.abs(np.log(scales)), 0.08), (np.abs(degrees), 12)):
        assert 0.95 * bound < values.max() < bound * 1.001


def test_a_share_of_crops_is_turned_far():
    options = AugmentOptions(0, 0, 12, 0, 0, 0, 0, 0, turned_share=0.4, turned_degrees=150)
    element = in_the_wild()
    element["landmarks18"][:2] = [[60, 60], [100, 60]]
    ends = np.stack(
        [augment(element, np.random.default_rng(s), options)["landmarks18"][:2] for s in range(400)]
    )
    across = ends[:, 1] - ends[:, 0]
    degrees = np.abs(np.degrees(np.arctan2(across[:, 1], across[:, 0])))
    assert 140 < degrees.max() < 150.1
    # Of the turned ones 12 in 150 are within 12 degrees; 3 standard deviations of 400 draws.
    assert np.mean(degrees > 12.01) == pytest.approx(0.4 * (1 - 12 / 150), abs=0.075)


def test_labels_of_an_annotated_face_move_with_its_picture():
    element = annotated() | {k: v for k, v in in_the_wild().items() if k.startswith("landmark")}
    mirror = CoefficientMirror(np.eye(50), np.zeros(50), 0.0)
    found = augment(element, np.random.default_rng(0), FLIP, coefficient_mirror=mirror)
    wanted = (element["landmarks"] * [-1, 1] + [120, 0])[MIRROR_68]
    known = found["landmark_weights"] > 0
    np.testing.assert_array_equal(known, element["landmark_weights"][MIRROR_68] > 0)
    np.testing.assert_allclose(found["landmarks"][known], wanted[known], atol=1e-4)
    assert not found["landmarks"][~known].any()
    assert "landmarks18" not in found


def test_annotated_faces_without_labels_have_none_that_count():
    found = augment(annotated(), np.random.default_rng(0), AugmentOptions())
    assert found["landmarks"].shape == (68, 2)
    assert not found["landmark_weights"].any()


def test_map_dropout_leaves_the_stated_share_of_maps_empty():
    options = AugmentOptions(landmark_map_dropout=0.3, damage_probability=0)
    element = annotated()
    empty = [
        np.isnan(augment(element, np.random.default_rng(s), options)["detected_landmarks"]).all()
        for s in range(500)
    ]
    # 3 standard deviations of 500 draws.
    assert np.mean(empty) == pytest.approx(0.3, abs=0.062)


def test_damage_keeps_shape_and_leaves_its_input_alone():
    image = in_the_wild()["image"]
    untouched = image.copy()
    options = AugmentOptions(damage_probability=1)
    damaged = damage_colours(image, np.random.default_rng(0), options)
    assert damaged.shape == image.shape
    assert damaged.dtype == np.uint8
    assert damaged.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(image, untouched)


def test_jpeg_damage_keeps_the_order_of_the_channels():
    image = np.zeros((120, 120, 3), np.uint8)
    image[..., 0] = 200
    options = AugmentOptions(colour=0, damage_probability=1)
    means = np.mean(
        [damage_colours(image, np.random.default_rng(s), options) for s in range(10)],
        axis=(0, 1, 2),
    )
    assert means[0] > 2 * means[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flip_probability": 1.5}, "flip_probability is 1.5; expected a share"),
        ({"landmark_map_dropout": -0.1}, "expected a share"),
        ({"turned_share": 2}, "turned_share is 2; expected a share"),
        ({"shift_px": -1}, "shift_px is -1; expected a number of at least 0"),
        ({"scale": np.nan}, "scale is nan"),
    ],
)
def test_refuses_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        AugmentOptions(**options)

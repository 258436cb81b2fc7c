"""Crops of another size: the picture, its points and its coefficients stay together."""

import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.data.augment import AugmentOptions
from twodasl_jax.data.crop_resize import LABEL_OFFSET, resized_coefficients, resized_element
from twodasl_jax.data.mirrored_faces import CoefficientMirror
from twodasl_jax.data.pipeline import make_pipeline
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients

GEOMETRY = AugmentOptions(colour=0, damage_probability=0, landmark_map_dropout=0)
MIRROR = CoefficientMirror(np.eye(50), np.zeros(50), 0.0)


class Spots:
    """Smooth pictures whose faces are the small model's, in either role."""

    def __init__(self, face_model, coefficients, *, role):
        self.role, self.coefficients = role, np.repeat(coefficients[None], 8, axis=0)
        self.coefficients[:, 12:20] += 0.2 * np.random.default_rng(0).normal(size=(8, 8))
        self.landmarks = np.asarray(
            landmarks_from_coefficients(landmark_model(face_model), jnp.asarray(self.coefficients))
        )[..., :2]

    def __len__(self):
        return 8

    def record_name(self, index):
        return f"spot {index}"

    def identities(self):
        return [f"spot {index}" for index in range(8)]

    def __getitem__(self, index):
        rows, columns = np.mgrid[:120, :120] + 0.5
        x, y = self.landmarks[index, 30]
        spot = 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 200)
        element = {
            "image": np.repeat(np.uint8(spot + 0.5)[..., None], 3, axis=2),
            "landmarks18": self.landmarks[index, :18],
            "landmark18_weights": np.ones(18, np.float32),
        }
        if self.role == "annotated":
            return element | {"coefficients": self.coefficients[index]}
        return element | {
            "landmarks": self.landmarks[index],
            "landmark_weights": np.ones(68, np.float32),
        }


@pytest.fixture(scope="module")
def sources(small_face_model, small_frontal_coefficients):
    return [
        Spots(small_face_model, small_frontal_coefficients, role=role)
        for role in ("annotated", "in_the_wild")
    ]


def first_batch(sources, crop_size, options=GEOMETRY):
    annotated, wild = sources
    return next(
        make_pipeline(
            [(annotated, 1.0)],
            [(wild, 1.0)],
            annotated_batch_size=8,
            in_the_wild_batch_size=8,
            augment_options=options,
            seed=3,
            crop_size=crop_size,
            coefficient_mirror=MIRROR,
        )
    )


def test_the_right_size_is_left_as_it_is(sources):
    element = sources[0][0]
    for name, value in resized_element(element, crop_size=120).items():
        np.testing.assert_array_equal(value, element[name])


@pytest.mark.parametrize("size", [96, 224])
def test_coefficients_project_where_the_points_went(small_face_model, sources, size):
    landmarks, coefficients = landmark_model(small_face_model), sources[0].coefficients
    moved = resized_coefficients(coefficients, crop_size=120, new_size=size)
    before = landmarks_from_coefficients(landmarks, jnp.asarray(coefficients))
    after = landmarks_from_coefficients(landmarks, jnp.asarray(moved), crop_size=size)
    # Depth too. Float32 sums of 50 terms, pixels.
    np.testing.assert_allclose(after, np.asarray(before) * np.float32(size / 120), atol=1e-3)
    back = resized_coefficients(moved, crop_size=size, new_size=120)
    np.testing.assert_allclose(back, coefficients, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [96, 224])
def test_the_picture_goes_with_its_points(sources, size):
    element = resized_element(sources[1][0] | {LABEL_OFFSET: np.float32(0.5)}, crop_size=size)
    assert element["image"].shape == (size, size, 3)
    rows, columns = np.mgrid[:size, :size] + 0.5
    weights = element["image"][..., 0].astype(np.float64)
    centre = np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()
    # 8-bit rounding of the spot's feet, and its feet outside the crop.
    np.testing.assert_allclose(centre, element["landmarks"][30], atol=0.3 * size / 120)
    assert element[LABEL_OFFSET] == np.float32(0.5 * size / 120)


def test_batches_of_another_size_are_the_usual_ones_resampled(sources):
    """Through shift, scale, rotation, flip and the detector's noise, whose lengths grow along."""
    usual, small = first_batch(sources, 120), first_batch(sources, 96)
    ratio = np.float32(96 / 120)
    for half in ("annotated", "in_the_wild"):
        assert small[half]["image"].shape == (8, 96, 96, 3)
        for index in range(8):
            expected = resized_element({"image": usual[half]["image"][index]}, crop_size=96)
            difference = small[half]["image"][index].astype(int) - expected["image"]
            # Two resamplings in another order, black coming in at the edges among them.
            assert np.abs(difference).mean() < 1.5
        inside = usual[half]["detected_landmarks"]
        clipped = (inside <= 0) | (inside >= 118)
        found = np.where(clipped, np.nan, small[half]["detected_landmarks"])
        expected = np.where(clipped, np.nan, inside * ratio)
        np.testing.assert_allclose(found, expected, atol=1e-3)
    expected = resized_coefficients(usual["annotated"]["coefficients"], crop_size=120, new_size=96)
    np.testing.assert_allclose(small["annotated"]["coefficients"], expected, atol=1e-3)
    for name in ("landmarks", "landmarks18"):
        np.testing.assert_allclose(
            small["in_the_wild"][name], usual["in_the_wild"][name] * ratio, atol=1e-3
        )


def test_damage_fits_a_small_crop(sources):
    batch = first_batch(sources, 48, AugmentOptions(damage_probability=1.0))
    assert batch["annotated"]["image"].shape == (8, 48, 48, 3)


def test_a_source_of_the_other_half_is_refused(sources):
    with pytest.raises(ValueError, match="source 0 gives faces of the half 'in_the_wild'; open it"):
        first_batch(sources[::-1], 120)

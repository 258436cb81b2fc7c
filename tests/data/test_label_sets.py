"""Mistakes that most faces of a set share, with their causes."""

import numpy as np
import pytest

from twodasl_jax.data.label_sets import smaller_copies, why_not_of_pictures

COUNT = 12
GENERATOR = np.random.default_rng(0)
SIZES = np.tile([640.0, 480.0], (COUNT, 1))
CENTRES = GENERATOR.uniform((250, 180), (560, 320), (COUNT, 1, 2))
FACES = CENTRES + GENERATOR.uniform(-60, 60, (COUNT, 68, 2))


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (FACES / [640, 480], "px; they look like shares of the picture's size"),
        (2 * FACES / [640, 480] - 1, "they look like shares"),
        (FACES / 50, "are they pixels of these pictures"),
        (FACES * [1, -1], "y is negative"),
        (FACES + 5000, "are they of other pictures, or shifted"),
        (FACES - [700, 0], "are they of other pictures, or shifted"),
        (FACES + np.array([500.0, 0.0]), "are they of other pictures, or shifted"),
        (FACES * 0, "span 0 px; are they pixels of these pictures"),
        (FACES * 2.5, "larger copies of the pictures"),
    ],
)
def test_the_cause_is_named(points, reason):
    assert why_not_of_pictures(FACES, SIZES) is None
    assert reason in why_not_of_pictures(points, SIZES)
    assert (
        why_not_of_pictures(np.concatenate([points[:5], FACES]), np.tile(SIZES[:1], (17, 1)))
        is None
    )


def test_exchanged_axes_that_leave_the_picture_are_named():
    wide = np.tile([1200.0, 300.0], (COUNT, 1))
    faces = FACES - FACES.mean(axis=(0, 1)) + [900, 150]
    assert why_not_of_pictures(faces * [1, 0.5] + [0, 75], wide) is None
    assert "exchanged" in why_not_of_pictures((faces * [1, 0.5] + [0, 75])[..., ::-1], wide)


def test_pictures_of_a_pixel_are_named():
    assert "pictures of 12 of 12 faces are 1 x 1 px" in why_not_of_pictures(FACES, SIZES * 0 + 1)


def test_a_few_faces_may_be_cut_by_the_border_and_many_are_evidence():
    cut = FACES - CENTRES + [20.0, 200.0]  # a third of each is left of the picture
    assert why_not_of_pictures(cut[:3], SIZES[:3]) is None
    assert "outside" in why_not_of_pictures(cut, SIZES)


def test_pictures_that_cannot_be_read_say_nothing():
    assert why_not_of_pictures(FACES + 5000, np.full((COUNT, 2), np.nan)) is None
    assert why_not_of_pictures(FACES[:0], SIZES[:0]) is None


@pytest.mark.parametrize("scale", [0.5, 120 / 640, np.array([256 / 640, 256 / 480])])
def test_labels_of_smaller_copies_lie_in_a_corner(scale):
    assert smaller_copies(FACES, SIZES) is None
    larger = smaller_copies(FACES * scale, SIZES)
    assert "upper left" in larger.cause
    assert (larger.points <= 1.1 * SIZES[:, None]).all()
    assert smaller_copies(FACES[:7] * scale, SIZES[:7]) is None  # too few to say

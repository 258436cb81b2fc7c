"""What labels tell of a face without any fit."""

import numpy as np
import pytest

from twodasl_jax.data.label_checks import (
    require_not_black,
    share_inside,
    why_no_face,
    why_outside,
    why_unusable,
)

FACE = np.random.default_rng(0).uniform((100, 80), (180, 170), (68, 2))
SIZE = np.array([400.0, 300.0])


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e30, -1e30, 2e6])
def test_what_is_no_pixel_is_named(value):
    face = FACE.copy()
    face[12, 1] = value
    assert why_unusable(face, fewest=8).startswith(
        f"landmark 12 is at ({face[12, 0]:.4g}, {value:.4g}"
    )
    face[40, 0] = value
    assert "landmark 12 (and 1 more) is" in why_unusable(face, fewest=8)


def test_unknown_points_are_no_fault_until_too_few_are_left():
    face = FACE.copy()
    face[8:, 0] = np.nan  # one coordinate alone is no point
    assert why_unusable(face, fewest=8) is None
    face[7] = np.nan
    assert why_unusable(face, fewest=8) == "7 are known; a fit needs 8 labelled points"
    assert why_unusable(np.full((68, 2), np.nan), fewest=8).startswith("0 are known")


@pytest.mark.parametrize(
    ("face", "reason"),
    [
        (FACE / 400, r"span 0\.\d+ x 0\.\d+ px"),
        (np.full((68, 2), 7.0), "span 0 x 0 px"),
        (FACE * [1, 0], "on a line"),
        (FACE[:, :1] * [1.0, 2.0], "on a line"),
        (
            np.where(np.arange(68)[:, None] < 8, -1.0, FACE),
            r"8 labels lie on one spot \(-1, -1\)",
        ),
    ],
)
def test_points_without_size_or_spread_are_no_face(face, reason):
    assert why_no_face(FACE) is None
    with pytest.raises(ValueError, match=reason):
        raise ValueError(why_no_face(face))


def test_labels_beside_the_picture():
    assert why_outside(FACE, SIZE) is None
    assert "0 % of the labels" in why_outside(FACE + 5000, SIZE)
    assert "400 x 300" in why_outside(-FACE, SIZE)
    cut = FACE - [140, 0]  # about half of it
    assert 0.3 < share_inside(cut, SIZE) < 0.7
    assert why_outside(cut, SIZE) is None
    assert why_outside(FACE + 5000, np.array([np.nan, np.nan])) is None


def test_unknown_points_are_neither_inside_nor_outside():
    face = FACE.copy()
    face[:60] = np.nan
    assert share_inside(face, SIZE) == 1.0
    assert np.isnan(share_inside(np.full((68, 2), np.nan), SIZE))


@pytest.mark.parametrize("level", [0, 8])
def test_black_crops_are_refused_and_grey_ones_are_not(level):
    crop = np.full((120, 120, 3), level, np.uint8)
    crop[:20, :20] = 255  # a corner of 3 %, as of a picture that lies mostly elsewhere
    with pytest.raises(ValueError, match=r"p\.png is black where the face should be"):
        require_not_black(crop, "p.png")
    require_not_black(np.full((120, 120, 3), 60, np.uint8), "p.png")
    require_not_black(np.dstack([np.full((120, 120), 60)] + 2 * [np.zeros((120, 120))]), "red.png")

"""Pictures: where the ink lands, and that inputs stay as they were."""

import dataclasses

import chex
import numpy as np
import pytest

from twodasl_jax.predict.pictures.drawing import (
    LANDMARK_GROUPS,
    contact_sheet,
    draw_landmarks,
    draw_pose_axes,
    face_panel,
    reconstruction_strip,
)

GREY = np.full((160, 200, 3), 128, np.uint8)


def changed(before, after):
    return (before != after).any(-1)


def spread_landmarks():
    generator = np.random.default_rng(0)
    return generator.uniform((20, 20), (180, 140), (68, 2))


def test_the_groups_hold_each_landmark_once():
    indices = [index for group, _, _ in LANDMARK_GROUPS.values() for index in group]
    assert indices == list(range(68))


def test_each_landmark_is_marked():
    landmarks = spread_landmarks()
    ink = changed(GREY, draw_landmarks(GREY, landmarks))
    x, y = np.floor(landmarks).astype(int).T  # pixel c spans c to c + 1
    assert ink[y, x].all()


def test_missing_landmarks_draw_nothing():
    ink = changed(GREY, draw_landmarks(GREY, np.full((68, 2), np.nan)))
    assert not ink.any()
    landmarks = np.full((68, 2), np.nan)
    landmarks[30] = 100, 80
    rows, columns = np.nonzero(changed(GREY, draw_landmarks(GREY, landmarks)))
    centres = rows + 0.5, columns + 0.5
    assert np.hypot(centres[0] - 80, centres[1] - 100).max() < 6


def test_landmarks_far_outside_are_harmless():
    drawn = draw_landmarks(GREY, np.full((68, 3), 1e9))
    assert not changed(GREY, drawn).any()


def test_inputs_are_not_changed(frontal, photo):
    before = photo.copy()
    draw_landmarks(photo, frontal.landmarks)
    draw_pose_axes(photo, np.array([100, 80]), np.eye(3), length_px=40)
    chex.assert_trees_all_equal(photo, before)


def test_the_axes_of_a_frontal_head_run_right_and_up():
    drawn = draw_pose_axes(GREY, np.array([100.0, 80.0]), np.eye(3), length_px=40).astype(int)
    red, green = drawn[80, 130], drawn[50, 100]
    assert red[0] > red[1:].max() + 50
    assert green[1] > green[[0, 2]].max() + 50
    assert not changed(GREY, drawn.astype(np.uint8))[:, :90].any()


def test_a_panel_carries_photograph_and_points_alike(frontal):
    image = np.zeros((160, 200, 3), np.uint8)
    x, y = np.floor(frontal.landmarks_px[30]).astype(int)
    image[y - 1 : y + 2, x - 1 : x + 2] = 255
    panel, landmarks, vertices = face_panel(image, frontal, side=300)
    chex.assert_shape(panel, (300, 300, 3))
    rows, columns = np.nonzero(panel[..., 0] > 128)
    # The mark is whole pixels, the landmark is not: half a source pixel is about one here.
    chex.assert_trees_all_close(
        np.array([columns.mean(), rows.mean()]) + 0.5, landmarks[30, :2].astype(float), atol=1.2
    )
    ratio = np.ptp(vertices, axis=1) / np.ptp(frontal.vertices, axis=1)
    chex.assert_trees_all_close(ratio, np.full(3, 300 / 144, np.float32), rtol=1e-4)


def test_a_large_face_is_averaged_into_its_panel(reconstruct, frontal_coefficients):
    """Noise of one pixel under panel pixels of twelve."""
    noise = np.random.default_rng(0).integers(0, 256, (1440, 1440, 3), np.uint8)
    found = reconstruct(frontal_coefficients, np.array([120.0, 120, 1320, 1320], np.float32))
    panel, _, _ = face_panel(noise, found, side=120)
    # Independent pixels have a deviation of 74, means of 12 x 12 one of 6.
    assert panel.std() < 8
    assert panel.mean() == pytest.approx(127.5, abs=1)


def test_a_panel_is_black_beside_the_photograph(frontal):
    white = np.full((80, 100, 3), 255, np.uint8)  # the panel shows (28, 8) to (172, 152)
    panel, _, _ = face_panel(white, frontal, side=144)
    assert (panel[:71, :71] == 255).all()
    assert not panel[73:].any()
    assert not panel[:, 73:].any()
    away = np.zeros((9, 9, 3), np.uint8)
    chex.assert_shape(face_panel(away, frontal, side=144)[0], (144, 144, 3))


def test_the_strip_has_four_different_panels(frontal, dome_face, photo):
    strip = reconstruction_strip(photo, frontal, dome_face, side=96, gap=4)
    chex.assert_shape(strip, (104, 4 * 96 + 5 * 4, 3))
    panels = [strip[4:100, 4 + 100 * i : 100 + 100 * i] for i in range(4)]
    for first in range(4):
        for second in range(first):
            assert changed(panels[first], panels[second]).any()


def test_a_contact_sheet_lays_tiles_out_in_rows():
    tiles = [np.full((10, 20, 3), 40 * index, np.uint8) for index in range(5)]
    sheet = contact_sheet(tiles, columns=3, gap=2)
    chex.assert_shape(sheet, (2 * 12 + 2, 3 * 22 + 2, 3))
    assert (sheet[2:12, 2:22] == 0).all()
    assert (sheet[14:24, 24:44] == 160).all()
    assert (sheet[14:, 46:] == 255).all()
    with pytest.raises(ValueError, match="all of one shape"):
        contact_sheet([tiles[0], GREY], columns=2)
    with pytest.raises(ValueError, match="all of one shape"):
        contact_sheet([], columns=2)


@pytest.mark.parametrize("image", [np.zeros((9, 9)), np.zeros((9, 9, 3), np.float32)])
def test_images_of_the_wrong_kind_are_refused(image):
    with pytest.raises(ValueError, match=r"expected \(height, width, 3\) uint8 RGB"):
        draw_landmarks(image, spread_landmarks())
    with pytest.raises(ValueError, match=r"the landmarks are \(67, 2\)"):
        draw_landmarks(GREY, spread_landmarks()[1:])


def test_a_reconstruction_cannot_be_changed(frontal):
    with pytest.raises(dataclasses.FrozenInstanceError):
        frontal.roi_box = np.zeros(4)

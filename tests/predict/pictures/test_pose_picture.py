"""The head's box turns with the head, and the angles are written where there is room."""

import chex
import numpy as np
import pytest

from twodasl_jax.predict.pictures.pose_picture import (
    draw_head_box,
    draw_head_pose,
    head_box,
    write_text,
)

GREY = np.full((160, 200, 3), 128, np.uint8)


def ink(drawn, before=GREY):
    return (drawn != before).any(-1)


def test_a_frontal_heads_box_surrounds_it(frontal):
    corners = head_box(frontal)
    chex.assert_shape(corners, (8, 3))
    middle = 0.5 * (frontal.vertices.min(axis=1) + frontal.vertices.max(axis=1))
    # Back and front: 0.9 and 1.2 of the face's 100 px, at its farthest and nearest depth; float32.
    for rows, share, depth in ((slice(0, 4), 0.9, 0), (slice(4, 8), 1.2, -1)):
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])  # clockwise, y down
        chex.assert_trees_all_close(corners[rows, :2], middle[:2] + signs * share * 50.0, atol=1e-3)
        expected = np.sort(frontal.vertices[2])[depth]
        chex.assert_trees_all_close(corners[rows, 2], np.full(4, float(expected)), atol=1e-3)


@pytest.mark.parametrize("yaw", [-60.0, 35.0])
def test_the_box_turns_with_the_head(
    frontal, frontal_coefficients, roi_box, reconstruct, turned_by, yaw
):
    turned = reconstruct(turned_by(yaw, frontal_coefficients), roi_box)
    nose = turned.landmarks[30]
    middle = 0.5 * (turned.vertices.min(axis=1) + turned.vertices.max(axis=1))
    box = head_box(turned)
    front, back = box[4:].mean(axis=0), box[:4].mean(axis=0)
    # The front lies where the nose points.
    assert np.sign(front[0] - back[0]) == np.sign(nose[0] - middle[0])

    # A rigid turn: all distances within the box are those of the frontal one. The box's size
    # comes from vertices that went through a float32 rotation.
    def lengths(corners):
        return np.linalg.norm(corners[:, None] - corners[None], axis=-1)

    chex.assert_trees_all_close(lengths(box), lengths(head_box(frontal)), atol=1e-2)


def test_the_front_is_yellow_and_drawn_over_the_back(frontal):
    drawn = draw_head_box(GREY, head_box(frontal)).astype(int)
    # The front's left edge: 60 px to the left of the middle.
    edge = drawn[80, 38:43]
    assert edge[..., 2].min() < 100 < 200 < edge[..., 0].max()
    # The back's: 45 px. At x = 55 it runs between pixels 54 and 55, which share its ink.
    before, shared, beyond = drawn[80, 53], drawn[80, 54:56], drawn[80, 56]
    assert shared[:, 2].min() > 170
    assert shared[:, 2].min() > max(before[2], beyond[2]) + 100


def test_pose_is_drawn_and_written(frontal):
    drawn = draw_head_pose(np.full((260, 300, 3), 128, np.uint8), frontal)
    marks = ink(drawn, 128)
    # Axes from the nose's tip (100, 80) to the right and up; the box; the words above it.
    assert marks[80, 110:140].all()
    assert marks[60, 100]
    assert marks[:20, 40:140].sum() > 100
    assert not marks[200:].any()


def test_text_keeps_within_the_picture():
    for above in ([-50.0, -50.0], [190.0, 155.0], [1e4, 1e4]):
        marks = ink(write_text(GREY, "yaw +12°", above=np.array(above), height_px=14))
        rows, columns = np.nonzero(marks)
        assert len(rows) > 50
        # Something of both ends of the line: its width is that of a line with room.
        room = ink(write_text(GREY, "yaw +12°", above=np.array([60.0, 80.0]), height_px=14))
        assert np.ptp(columns) == np.ptp(np.nonzero(room)[1])


def test_text_shrinks_and_then_stays_away():
    narrow = np.full((40, 60, 3), 128, np.uint8)
    assert ink(
        write_text(narrow, "yaw +12°  pitch +3°", above=np.zeros(2), height_px=30), 128
    ).any()
    for size in ((1, 1), (5, 12), (2, 400)):
        small = np.full((*size, 3), 128, np.uint8)
        chex.assert_trees_all_equal(
            write_text(small, "yaw +12°", above=np.zeros(2), height_px=10), small
        )

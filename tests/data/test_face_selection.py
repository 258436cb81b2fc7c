"""Faces that can be none of their picture are left out by name; sets of another kind end."""

import cv2
import numpy as np
import pytest

from twodasl_jax.data.face_selection import pictures_show, select_faces
from twodasl_jax.data.labelled_faces import read_labelled_faces

COUNT = 10
NAMES = np.array([f"p{index}.png" for index in range(COUNT)])
SIZE = np.array([640.0, 480.0])
EYES = {7: (-15, -15), 10: (15, -15), 1: (-15, -25), 4: (15, -25), 15: (-12, 25), 17: (12, 25)}


def faces(centres):
    """``(n, 18, 2)`` labels: eyes, brows, mouth corners, the rest at random around."""
    points = np.random.default_rng(0).uniform(-28, 28, (len(centres), 18, 2))
    for row, place in EYES.items():
        points[:, row] = place
    return points + np.asarray(centres)[:, None]


CENTRES = np.random.default_rng(1).uniform((300, 200), (560, 400), (COUNT, 2))
FACES = faces(CENTRES)


def picture_of(face):
    picture = np.full((480, 640, 3), 200, np.uint8)
    for row in (7, 10, 1, 4):
        cv2.circle(picture, [round(value) for value in face[row]], 3, (40, 40, 40), -1)
    return picture


def select(points, pictures=lambda row: np.full((480, 640, 3), 60, np.uint8), **more):
    return select_faces(
        NAMES[: len(points)],
        points,
        where="labels.npz",
        sizes_of=lambda rows: np.tile(SIZE, (len(rows), 1)),
        read_picture=pictures,
        **more,
    )


def test_broken_faces_among_many_are_left_out_with_their_reasons():
    points = FACES.copy()
    points[1, 5, 0] = 1e30
    points[2, 3] = np.inf
    points[3] = np.nan
    points[4] += 5000
    points[5] = points[5, :1]
    selection = select(points)
    np.testing.assert_array_equal(selection.kept, [0, 6, 7, 8, 9])
    np.testing.assert_array_equal(selection.picture_size, np.tile(SIZE, (5, 1)))
    reasons = dict(selection.left_out)
    assert list(reasons) == [f"p{row}.png" for row in range(1, 6)]
    for row, text in {
        1: "1e+30",
        2: "(inf, inf)",
        3: "0 are known",
        4: "0 %",
        5: "0 x 0 px",
    }.items():
        assert text in reasons[f"p{row}.png"]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_where_all_are_broken_the_first_is_named(value):
    with pytest.raises(ValueError, match=r"none of the 10 faces of labels\.npz .* p0\.png: "):
        select(np.full_like(FACES, value))


def test_a_shared_mistake_is_refused_with_its_cause():
    with pytest.raises(ValueError, match=r"labels\.npz: .* shares of the picture's size"):
        select(FACES / SIZE)


def test_slips_beyond_reach_count_as_unknown():
    def reach(points):
        return np.where(points > 100_000, np.nan, points)

    points = FACES.copy()
    points[0, :3] = 200_000
    points[1, :12] = 200_000
    selection = select(points, reach=reach)
    assert dict(selection.left_out) == {"p1.png": "6 are known; a fit needs 8 labelled points"}


def test_a_corner_of_the_pictures_is_right_where_these_show_the_faces():
    points = FACES * 0.5  # of half-size copies
    with pytest.raises(ValueError, match="smaller copies"):
        select(points)
    with pytest.raises(ValueError, match="smaller copies"):
        select(points, lambda row: picture_of(FACES[row]))
    with pytest.raises(ValueError, match="smaller copies"):
        select(points, lambda row: None)
    corner = faces(CENTRES * 0.4)
    assert len(select(corner, lambda row: picture_of(corner[row])).kept) == COUNT


def test_pictures_show_faces_at_68_labels_too():
    labels = np.full((3, 68, 2), np.nan)
    for points, pair in {
        7: (37, 40),
        10: (43, 46),
        1: (19,),
        4: (24,),
        15: (48,),
        17: (54,),
    }.items():
        labels[:, pair] = FACES[:3, points, None]
    assert pictures_show(labels, labels + 60, lambda row: picture_of(FACES[row]))
    assert not pictures_show(labels + 60, labels, lambda row: picture_of(FACES[row]))
    assert not pictures_show(labels, labels + 60, lambda row: None)


@pytest.mark.shared_data
def test_real_faces_are_left_out_for_too_few_points_only(shared_data):
    assert read_labelled_faces(shared_data / "aflw_validation", None).left_out == ()
    wild = read_labelled_faces(shared_data / "aflw_in_the_wild", None)
    assert len(wild.names) == 10_086
    assert {reason.split(";")[0] for _, reason in wild.left_out} == {"0 are known"}

"""Two framings of one face are one; two heads side by side, or one behind the other, are two."""

import dataclasses

import chex
import numpy as np

from twodasl_jax.predict.faces.same_face import are_one, tight_box, without_doubles


def boxes(reconstruct, coefficients, *corners):
    return [reconstruct(coefficients, np.array(corner, np.float32)) for corner in corners]


def test_the_tight_box_is_around_the_landmarks(frontal):
    points = frontal.landmarks_px
    chex.assert_trees_all_equal(
        tight_box(frontal), np.concatenate([points.min(axis=0), points.max(axis=0)])
    )


def test_shifted_and_nested_framings_are_one(reconstruct, frontal_coefficients):
    first, shifted, nested, beside = boxes(
        reconstruct,
        frontal_coefficients,
        (0, 0, 120, 120),
        (30, 10, 150, 130),
        (40, 40, 80, 80),
        (90, 0, 210, 120),
    )
    assert are_one(first, shifted)
    assert are_one(first, nested)
    assert are_one(nested, first)
    assert not are_one(first, beside)


def test_a_fit_the_wrong_way_up_is_of_the_same_eyes(frontal):
    down = np.linspace(-15.0, 85.0, 68)
    away = np.column_stack([np.where(np.arange(68) % 2, -40.0, 40.0), down])
    away[36:48] *= (1.0, 0.0)  # the eyes

    def face(points):
        return dataclasses.replace(frontal, landmarks=np.column_stack([points, np.zeros(68)]))

    upright, upside_down = face(100 + away), face(100 - away)
    shared = tight_box(upside_down)[3] - tight_box(upright)[1]
    assert shared < 0.5 * 100  # less than two framings of a face share
    assert are_one(upright, upside_down)
    assert not are_one(upright, face((60, 100) - away))


def test_the_first_of_doubles_stays(reconstruct, frontal_coefficients):
    first, double, other = boxes(
        reconstruct, frontal_coefficients, (0, 0, 120, 120), (5, 5, 125, 125), (200, 0, 320, 120)
    )
    kept = without_doubles([first, double, other, other])
    assert [id(face) for face in kept] == [id(first), id(other)]

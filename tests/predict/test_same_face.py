"""Two framings of one face are one; two heads side by side, or one behind the other, are two."""

import chex
import numpy as np

from twodasl_jax.predict.same_face import are_one, tight_box, without_doubles


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


def test_the_first_of_doubles_stays(reconstruct, frontal_coefficients):
    first, double, other = boxes(
        reconstruct, frontal_coefficients, (0, 0, 120, 120), (5, 5, 125, 125), (200, 0, 320, 120)
    )
    kept = without_doubles([first, double, other, other])
    assert [id(face) for face in kept] == [id(first), id(other)]

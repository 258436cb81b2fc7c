"""Every wrong array of a face model is told by its name, what came and what was expected."""

import numpy as np
import pytest

from twodasl_jax.face_model.validation import validate_arrays, validate_present_arrays

BASES = ("shape_basis", "expression_basis")


def without(arrays, key):
    del arrays[key]


def set_value(key, index, value):
    def change(arrays):
        arrays[key][index] = value

    return change


def replace(key, make):
    def change(arrays):
        arrays[key] = make(arrays[key])

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: without(a, "uv"), "lacks uv; it has"),
        (replace("mean", lambda m: m.T), r"mean is \(121, 3\), expected \(3, n\)"),
        (replace("shape_basis", lambda b: b[:39]), r"shape_basis is \(39, 3, 121\), expected"),
        (replace("triangles", lambda t: t.astype(float)), "triangles is float64, expected int"),
        (set_value("landmark_vertices", 0, 999), r"spans \d\.\.999, expected within 0\.\.120"),
        (set_value("mean", (0, 0), np.nan), "mean holds 1 values that are not finite"),
        (set_value("triangles", (0, 1), 0), "1 triangles repeat a vertex"),
        (set_value("mirror_vertices", 0, 5), r"expected mirror\[mirror\] = identity"),
        (replace("triangles", lambda t: t[:, ::-1]), "wind clockwise seen from the front"),
        (lambda a: a.update(albedo_mean=a["mean"]), "has albedo_mean alone"),
        (
            replace("shape_basis", lambda b: 0 * b),
            "40 of the 40 directions of shape_basis are zero",
        ),
        (set_value("expression_basis", 3, 0), "1 of the 10 directions .* zero, first 3"),
        (replace("shape_basis", lambda b: b * 1e-300), "directions of shape_basis are zero"),
        (replace("shape_basis", lambda b: b * 1e300), r"reaches .*e\+\d+, .* overflows float32"),
        (replace("mean", lambda m: m * 1e40), r"mean reaches .* overflows float32"),
        (replace("mean", np.ones_like), "the mean spans 0 in x; expected the vertices of a face"),
        (set_value("mean", 2, 0), "the mean spans 0 in z"),
        (set_value("expression_basis", (0, 0, 0), np.inf), "expression_basis holds 1 values"),
        (replace("mean", lambda m: m.astype("U8")), "mean is <U8, expected numbers"),
        (replace("mean", lambda m: m[:, :0]), r"mean is \(3, 0\), expected \(3, n\)"),
        (replace("triangles", lambda t: t[:0]), "it has no triangles"),
        (set_value("triangles", (0, 1), -1), r"triangles spans -1\.\.\d+, expected within"),
        (replace("landmark_vertices", np.zeros_like), "68 landmark_vertices are 1 different"),
        (replace("landmark_vertices", lambda v: v % 50), "are no face's"),
        (replace("landmark_vertices", lambda v: v[:67]), r"is \(67,\), expected \(68,\)"),
        (lambda a: a.update(units_per_millimetre=np.ones(2)), r"is \(2,\), expected \(\)"),
        (lambda a: a.update(units_per_millimetre=np.float32(0)), "must be positive"),
        (
            lambda a: a.update(coefficient_mean=np.zeros(62), coefficient_std=np.zeros(62)),
            "coefficient_std must be positive",
        ),
    ],
)
def test_a_broken_model_is_refused_with_the_reason(arrays, change, message):
    validate_arrays(arrays, "whole")
    arrays |= {key: arrays[key].astype(np.float64) for key in ("mean", *BASES)}
    change(arrays)
    with pytest.raises(ValueError, match=message):
        validate_arrays(arrays, "broken")


def test_what_is_not_there_yet_is_not_asked_for(arrays):
    part = {key: arrays[key] for key in ("mean", "triangles")}
    validate_present_arrays(part, "part")
    with pytest.raises(ValueError, match="face model 'part': lacks shape_basis, expression_basis"):
        validate_arrays(part, "part")
    with pytest.raises(ValueError, match="spans"):
        validate_present_arrays(part | {"triangles": part["triangles"] + 1}, "part")

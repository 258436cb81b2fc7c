"""A face model is checked when it is read: every message says what came and what was expected."""

import numpy as np
import pytest

from twodasl_jax.face_model.model import load_face_model, save_face_model
from twodasl_jax.face_model.validation import validate_arrays


@pytest.fixture
def arrays(small_face_model):
    model = small_face_model
    return {
        "mean": np.array(model.linear.mean),
        "shape_basis": np.array(model.linear.shape_basis),
        "expression_basis": np.array(model.linear.expression_basis),
        "triangles": np.array(model.triangles),
        "landmark_vertices": np.array(model.landmark_vertices),
        "mirror_vertices": np.array(model.mirror_vertices),
        "uv": np.array(model.uv),
    }


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
            lambda a: a.update(coefficient_mean=np.zeros(62), coefficient_std=np.zeros(62)),
            "coefficient_std must be positive",
        ),
    ],
)
def test_a_broken_model_is_refused_with_the_reason(arrays, change, message):
    validate_arrays(arrays, "whole")
    change(arrays)
    with pytest.raises(ValueError, match=message):
        validate_arrays(arrays, "broken")


def test_a_saved_model_comes_back(arrays, tmp_path):
    save_face_model(tmp_path / "sub" / "mine.npz", arrays)
    model = load_face_model(tmp_path / "sub" / "mine.npz")
    assert model.name == "mine"
    np.testing.assert_array_equal(model.linear.mean, arrays["mean"])
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["mine.npz"]


def test_nothing_is_written_of_a_broken_model(arrays, tmp_path):
    arrays["mean"][:] = np.inf
    with pytest.raises(ValueError, match="not finite"):
        save_face_model(tmp_path / "broken.npz", arrays)
    assert not list(tmp_path.iterdir())


def test_missing_and_corrupt_files_say_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="import_bfm --help"):
        load_face_model(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"text\.npz cannot be read as an \.npz .*a text file"):
        load_face_model(tmp_path / "text.npz")

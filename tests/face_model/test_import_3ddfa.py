"""The pieces of reading 3DDFA's files; whole files and folders are read in `test_import_bfm`."""

import numpy as np
import pytest

from twodasl_jax.face_model.import_3ddfa import (
    as_stored,
    complete_arrays,
    is_interleaved,
    whole_numbers,
)


def test_the_layout_is_told_by_the_mean_or_by_mirror_pairs():
    assert is_interleaved(set(), (53215, 3))
    assert not is_interleaved(set(), (3, 53215))
    assert not is_interleaved(set(), (3, 3)), "a square mean is the package's own"
    assert is_interleaved({"mirror_pairs"}, (3, 3))


def test_whole_numbers_may_be_kept_as_floats():
    found = whole_numbers("a.mat", "tl", np.array([[1.0, 2.0], [7.0, 0.0]]))
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, [[1, 2], [7, 0]])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([1.5]), "a.mat: tl holds numbers that are not whole"),
        (np.array([np.nan]), "a.mat: tl is float64; expected whole numbers below"),
        (np.array([2.0**31]), "expected whole numbers below"),
        (np.array(["1"]), "a.mat: tl is <U1; expected whole"),
        (np.array([None], object), "a.mat: tl is object; expected whole"),
    ],
)
def test_what_is_no_index_is_refused_by_its_name(array, message):
    with pytest.raises(ValueError, match=message):
        whole_numbers("a.mat", "tl", array)


def some_arrays(model):
    linear = model.linear
    return {
        "mean": np.asarray(linear.mean),
        "shape_basis": np.asarray(linear.shape_basis),
        "expression_basis": np.asarray(linear.expression_basis),
        "triangles": np.asarray(model.triangles)[:, [0, 2, 1]],
        # Symmetric, so that their middle is the mirror plane.
        "landmark_vertices": np.arange(22, 90),
    }


def test_what_the_files_lack_is_computed(small_face_model):
    arrays = some_arrays(small_face_model)
    middle = arrays["mean"][0, arrays["landmark_vertices"]].mean()
    arrays["mean"] = arrays["mean"] - np.array([[middle], [0], [0]])
    mirror = np.asarray(small_face_model.mirror_vertices)
    pairs = np.stack([np.arange(len(mirror)), mirror], axis=1)
    found = complete_arrays(arrays, "mine", mirror_pairs=pairs)
    np.testing.assert_array_equal(found["mirror_vertices"], mirror)
    np.testing.assert_array_equal(found["triangles"], small_face_model.triangles)
    assert found["uv"].shape == (len(mirror), 2)
    assert found["units_per_millimetre"] == 1000.0


def test_a_face_without_symmetry_is_refused_by_its_name(small_face_model):
    arrays = some_arrays(small_face_model)
    noise = np.random.default_rng(0).normal(size=arrays["mean"].shape)
    arrays["mean"] = arrays["mean"] + 9 * noise
    with pytest.raises(ValueError, match=r"face model 'mine': .*not symmetric"):
        complete_arrays(arrays, "mine")


def test_arrays_are_stored_in_32_bits():
    arrays = {"mean": np.zeros(3), "triangles": np.zeros(3, np.int64), "unit": np.float64(7)}
    assert {key: array.dtype.name for key, array in as_stored(arrays).items()} == {
        "mean": "float32",
        "triangles": "int32",
        "unit": "float64",
    }

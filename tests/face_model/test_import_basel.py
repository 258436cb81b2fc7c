"""The pieces of reading the Basel files; whole folders are read in `test_import_bfm`."""

import numpy as np
import pytest

from twodasl_jax.face_model.import_basel import (
    arrays_from_basel_folder,
    load_landmark_vertices,
    read_expression_file,
)


def write_expressions(path, numbers):
    path.write_bytes(np.int32(len(numbers) - 1).tobytes() + numbers.astype("<f4").tobytes())
    return path


def test_expressions_are_a_mean_and_directions_of_interleaved_points(tmp_path):
    numbers = np.arange(12 * 5 * 3.0).reshape(12, 5, 3)
    mean, directions = read_expression_file(write_expressions(tmp_path / "Exp_Pca.bin", numbers))
    np.testing.assert_array_equal(mean, numbers[0].T)
    np.testing.assert_array_equal(directions, numbers[1:].transpose(0, 2, 1))


def test_a_cut_expression_file_is_refused(tmp_path):
    path = tmp_path / "Exp_Pca.bin"
    path.write_bytes(np.int32(10).tobytes() + bytes(4 * 100))
    with pytest.raises(ValueError, match="10 directions"):
        read_expression_file(path)


def test_fewer_directions_than_the_model_has_are_refused(tmp_path):
    path = write_expressions(tmp_path / "Exp_Pca.bin", np.zeros((10, 5, 3)))
    with pytest.raises(ValueError, match=r"says 9 directions; expected .* and 10 or more"):
        read_expression_file(path)


@pytest.mark.parametrize("between", [" ", "\n", ", "])
def test_landmarks_may_stand_in_a_text_or_an_array(tmp_path, between):
    vertices = np.arange(68)[::-1] * 3
    (tmp_path / "a.txt").write_text(between.join(map(str, vertices)))
    np.save(tmp_path / "a.npy", vertices)
    for name in ("a.txt", "a.npy"):
        np.testing.assert_array_equal(load_landmark_vertices(tmp_path / name), vertices)


def test_another_number_of_landmarks_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(67))
    with pytest.raises(ValueError, match=r"a\.npy holds 67 numbers from 0 on; expected 68 vertex"):
        load_landmark_vertices(tmp_path / "a.npy")


def test_all_missing_files_are_named_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"lacks 01_MorphableModel\.mat and Exp_Pca\.bin"):
        arrays_from_basel_folder(tmp_path, np.arange(68))

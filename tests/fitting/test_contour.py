"""Lines of the jaw: on the face, mirror images of each other, from the landmark inwards."""

import numpy as np
import pytest

from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.fitting.contour import CHIN, NUM_CANDIDATES, NUM_CONTOUR, contour_candidates


def check_lines(face_model):
    lines = contour_candidates(face_model)
    mean = np.asarray(face_model.linear.mean)
    landmarks = np.asarray(face_model.landmark_vertices)
    assert lines.shape == (NUM_CONTOUR, NUM_CANDIDATES)
    np.testing.assert_array_equal(lines[:, 0], landmarks[:NUM_CONTOUR])
    assert (lines[CHIN] == landmarks[CHIN]).all()
    width = np.ptp(mean[0, landmarks])
    for row in (*range(CHIN), *range(CHIN + 1, NUM_CONTOUR)):
        x, y = mean[:2, lines[row]]
        # Inwards and level, as far as vertices lie where they are wanted: within 3 % of the width.
        assert np.all(np.diff(np.abs(x)) < 0.03 * width)
        assert np.abs(x[-1]) < 0.5 * np.abs(x[0])
        assert np.abs(y - y[0]).max() < 0.03 * width
    mirror = np.asarray(face_model.mirror_vertices)
    np.testing.assert_array_equal(mirror[lines[:CHIN, 1:]], lines[:CHIN:-1, 1:])


def test_lines_of_the_open_face_model():
    check_lines(load_face_model())


@pytest.mark.shared_data
def test_lines_of_bfm(shared_data):
    check_lines(face_model_from_file(shared_data / "bfm" / "bfm2009_53215.npz"))

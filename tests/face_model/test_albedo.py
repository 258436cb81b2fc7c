"""Painted skin: in range, scale free, symmetric where the face is."""

import numpy as np
import pytest

from twodasl_jax.face_model.albedo import albedo_from_landmarks
from twodasl_jax.face_model.model import load_face_model


@pytest.fixture(scope="module")
def face():
    model = load_face_model()
    mean = np.asarray(model.linear.mean)
    return model, mean, mean[:, np.asarray(model.landmark_vertices)]


def test_colours_are_colours_and_lips_are_redder_than_the_forehead(face):
    _, mean, landmarks = face
    albedo, basis = albedo_from_landmarks(mean, landmarks)
    assert albedo.shape == mean.shape
    assert basis.shape[1:] == mean.shape
    assert 0 <= albedo.min() <= albedo.max() <= 1
    lower_lip = np.linalg.norm(mean - landmarks[:, [57]] - [[0], [3], [0]], axis=0).argmin()
    forehead = mean[1].argmax()
    redness = albedo[0] - albedo[1]
    assert redness[lower_lip] > redness[forehead]


def test_the_unit_of_length_does_not_matter(face):
    _, mean, landmarks = face
    for paint, again in zip(
        albedo_from_landmarks(mean, landmarks),
        albedo_from_landmarks(1000 * mean, 1000 * landmarks),
        strict=True,
    ):
        # float32 positions, divided by another unit.
        np.testing.assert_allclose(again, paint, atol=1e-4)


def test_a_symmetric_face_is_painted_symmetrically(face):
    model, mean, landmarks = face
    albedo, _ = albedo_from_landmarks(mean, landmarks)
    mirrored = albedo[:, np.asarray(model.mirror_vertices)]
    # Soft edges of 1 % of the face; positions mirror to float32.
    np.testing.assert_allclose(mirrored, albedo, atol=2e-2)


def test_wrong_shapes_are_refused(face):
    _, mean, landmarks = face
    with pytest.raises(ValueError, match=r"expected \(3, n\), \(3, 68\)"):
        albedo_from_landmarks(mean.T, landmarks)

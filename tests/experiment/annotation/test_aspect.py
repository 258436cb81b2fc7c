"""Labels of copies of another shape are told from unusual faces."""

import dataclasses
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from rich.console import Console

from twodasl_jax.data.labelled_faces import LabelledFaces
from twodasl_jax.experiment.annotation import aspect as annotation_aspect
from twodasl_jax.experiment.annotation.aspect import UNUSUAL, unusualness, why_stretched
from twodasl_jax.experiment.sources.rendered_data import sample_model_faces
from twodasl_jax.face_model.model import FaceModel, load_face_model
from twodasl_jax.jobs.annotate import fit_faces

COUNT = 8


@pytest.fixture(scope="module")
def open_face():
    return load_face_model()


@pytest.fixture(scope="module")
def faces(open_face):
    found = sample_model_faces(open_face, np.random.default_rng(0), COUNT)
    return LabelledFaces(
        names=np.array([f"p{index}" for index in range(COUNT)]),
        landmark_set=68,
        landmarks=found.landmarks.astype(np.float32),
        weights=np.ones((COUNT, 68), np.float32),
        roi_box=None,
        visibility=None,
        landmarks21=None,
        read_encoded=lambda index, box: (b"", ".png"),
        read_picture=lambda index: None,
        picture_size=np.full((COUNT, 2), 120.0),
        left_out=(),
    )


def judge(open_face, faces):
    def refit(some):
        fits = fit_faces(open_face, some, marching=False, console=Console(quiet=True))
        return fits.coefficients, fits.residual_percent

    return why_stretched(
        open_face, faces, *refit(faces), rows=np.arange(len(faces.names)), refit=refit
    )


def test_a_stretch_is_named_and_right_labels_pass(open_face, faces, monkeypatch):
    monkeypatch.setattr(annotation_aspect, "STRETCHES", (2.0,))  # one compiled batch size
    assert judge(open_face, faces) is None
    narrow = (faces.landmarks - 60) * np.float32([0.5, 1]) + 60
    reason = judge(open_face, dataclasses.replace(faces, landmarks=narrow))
    assert "of 8 faces fit better with x about 2 times as long" in reason


PLAIN = cast(FaceModel, SimpleNamespace(whitening=None))


def test_unusualness_is_in_the_models_own_deviations():
    mean, std = np.linspace(-5, 5, 62), np.linspace(1, 3, 62)
    model = cast(FaceModel, SimpleNamespace(whitening=(mean, std)))
    np.testing.assert_allclose(unusualness(model, mean[None]), 0)
    np.testing.assert_allclose(unusualness(model, (mean + 2 * std)[None]), 200)
    np.testing.assert_allclose(unusualness(PLAIN, np.ones((1, 62))), 50)


@pytest.mark.parametrize(
    ("sums", "residual", "count", "refused"),
    [
        (9.0, 1.0, COUNT, True),
        (9.0, 3.0, COUNT, False),  # more usual, but it fits worse
        (UNUSUAL * 1.2, 1.0, COUNT, False),  # hardly more usual: a set of unusual faces
        (9.0, 1.0, COUNT - 1, False),  # too few to say
    ],
)
def test_unusual_faces_alone_are_no_evidence(faces, sums, residual, count, refused):
    unusual = np.zeros((COUNT, 62))
    unusual[:, 12] = np.sqrt(1.5 * UNUSUAL)

    def refit(some):
        found = np.zeros((len(some.names), 62))
        found[:, 12] = np.sqrt(sums)
        return found, np.full(len(some.names), residual)

    reason = why_stretched(
        PLAIN, faces, unusual, np.full(COUNT, 2.0), rows=np.arange(count), refit=refit
    )
    assert (reason is not None) == refused

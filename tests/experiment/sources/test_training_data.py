"""From a config to training data: what the console is told, and what is passed on."""

import dataclasses
import io
from types import SimpleNamespace

import numpy as np
import pytest
from ml_collections import ConfigDict
from rich.console import Console

from configs import quickstart
from twodasl_jax.experiment.settings.reading import experiment_settings
from twodasl_jax.experiment.sources import training_data
from twodasl_jax.experiment.sources.training_data import make_coefficient_mirror, open_given_sources
from twodasl_jax.face_model.mirrored_model import fit_mirror
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.face_model.model_identity import face_model_identity


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


def data(**augment):
    config = quickstart.get_config()
    config.data.augment = augment
    return experiment_settings(config).data


def fits(monkeypatch, identity):
    """Training data of fits that were made with a face model of this identity."""

    def opened(path, *, face_model_crc, role):
        return SimpleNamespace(face_model_identity=identity, path=path, role=role)

    monkeypatch.setattr(training_data, "FittedSource", opened)
    source = ConfigDict({"kind": "fits", "path": "runs/fits", "images": "photos"})
    config = quickstart.get_config()
    config.data.annotated = config.data.in_the_wild = (source,)
    return experiment_settings(config).data


def test_fits_of_another_face_model_are_refused_by_their_expressions_too(
    monkeypatch, small_face_model
):
    linear = small_face_model.linear
    other = dataclasses.replace(
        small_face_model, linear=linear._replace(expression_basis=-linear.expression_basis)
    )
    chosen = fits(monkeypatch, face_model_identity(other))
    with pytest.raises(ValueError, match=r"faces of runs/fits were fitted .* in expression_basis"):
        open_given_sources(chosen, small_face_model)
    opened = open_given_sources(chosen, other)
    assert {key: source.role for key, source in opened.items()} == {
        ("annotated", 0): "annotated", ("in_the_wild", 0): "in_the_wild"
    }  # fmt: skip


def test_fits_of_an_earlier_version_say_that_they_carry_no_identity(
    monkeypatch, small_face_model, caplog
):
    open_given_sources(fits(monkeypatch, None), small_face_model)
    assert "runs/fits carries no identity of its face model" in caplog.text


def test_a_faithful_face_model_flips_annotated_faces_and_the_run_says_so(console):
    face_model = load_face_model()
    mirror = make_coefficient_mirror(data(), face_model, console)
    assert mirror is not None
    np.testing.assert_array_equal(mirror.matrix, fit_mirror(face_model).matrix)
    said = console.file.getvalue()
    assert "annotated faces are flipped: a face of 'open_face' differs" in said
    assert "by 0.22 px (6% of its shape)" in said


def test_an_unfaithful_one_does_not_and_the_run_says_why(small_face_model, console):
    assert make_coefficient_mirror(data(), small_face_model, console) is None
    said = console.file.getvalue()
    assert "annotated faces are not flipped: a face of 'small' differs" in said
    assert "more than 0.5 px" in said


def test_without_flips_nothing_is_fitted_and_nothing_said(small_face_model, console):
    assert make_coefficient_mirror(data(flip_probability=0.0), small_face_model, console) is None
    assert not console.file.getvalue()

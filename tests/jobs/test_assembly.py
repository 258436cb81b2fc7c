"""From a config to objects: what the console is told, and what is passed on."""

import io

import numpy as np
import pytest
from ml_collections import ConfigDict
from rich.console import Console

from twodasl_jax.face_model.mirrored_model import fit_mirror
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.jobs.assembly import make_coefficient_mirror


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


def config(**augment):
    return ConfigDict({"data": {"augment": augment}})


def test_a_faithful_face_model_flips_annotated_faces_and_the_run_says_so(console):
    face_model = load_face_model()
    mirror = make_coefficient_mirror(config(), face_model, console)
    assert mirror is not None
    np.testing.assert_array_equal(mirror.matrix, fit_mirror(face_model).matrix)
    said = console.file.getvalue()
    assert "annotated faces are flipped: a face of 'open_face' differs" in said
    assert "by 0.22 px (6% of its shape)" in said


def test_an_unfaithful_one_does_not_and_the_run_says_why(small_face_model, console):
    assert make_coefficient_mirror(config(), small_face_model, console) is None
    said = console.file.getvalue()
    assert "annotated faces are not flipped: a face of 'small' differs" in said
    assert "more than 0.5 px" in said


def test_without_flips_nothing_is_fitted_and_nothing_said(small_face_model, console):
    assert make_coefficient_mirror(config(flip_probability=0.0), small_face_model, console) is None
    assert not console.file.getvalue()

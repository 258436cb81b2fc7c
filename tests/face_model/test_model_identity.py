"""Which face model coefficients belong to: every array counts that gives them a meaning."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.face_model.model_identity import (
    ARRAYS,
    describe_identity,
    differing_arrays,
    face_model_identity,
    require_same_face_model,
    short_identity,
)


def changed(face_model, name):
    """The model with one number of one array changed."""
    if name in ("triangles", "landmark_vertices"):
        array = np.array(getattr(face_model, name))
        array.flat[:2] = array.flat[1], array.flat[0]
        return dataclasses.replace(face_model, **{name: jnp.asarray(array)})
    array = np.array(getattr(face_model.linear, name))
    array.flat[-1] = np.nextafter(array.flat[-1], np.float32(np.inf))
    return dataclasses.replace(
        face_model, linear=face_model.linear._replace(**{name: jnp.asarray(array)})
    )


@pytest.mark.parametrize("name", ARRAYS)
def test_a_changed_array_is_named(small_face_model, name):
    own = face_model_identity(small_face_model)
    other = face_model_identity(changed(small_face_model, name))
    assert list(differing_arrays(own, other)) == [name]
    assert short_identity(own) != short_identity(other)
    with pytest.raises(ValueError, match=rf"(?s)the run was trained with .*differ in {name}.*do"):
        require_same_face_model(own, other, owner="the run was trained", advice="do something")


def test_names_colours_and_the_sign_of_zero_do_not_count(small_face_model):
    own = face_model_identity(small_face_model)
    linear = small_face_model.linear
    mean = np.array(linear.mean)
    assert (mean == 0).any()
    other = dataclasses.replace(
        small_face_model,
        name="renamed",
        albedo_mean=None,
        linear=linear._replace(mean=jnp.asarray(np.where(mean == 0, -0.0, mean), jnp.float32)),
    )
    require_same_face_model(own, face_model_identity(other), owner="", advice="")
    assert short_identity(own) == short_identity(face_model_identity(other))


def test_it_is_told_in_words(small_face_model):
    told = describe_identity(face_model_identity(small_face_model))
    assert told.startswith("'small' (121 vertices, identity ")

"""Any number of crops through few programs: padding changes nothing, devices change nothing."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twodasl_jax.methods.method import Faces
from twodasl_jax.methods.predictor import Predictor, padded_rows


class Means:
    """A method whose one point is the mean of the crop times its only parameter."""

    crop_size = 4

    def __init__(self):
        self.shapes = []

    def predict(self, networks, constants, image, landmarks):
        self.shapes.append(image.shape[0])
        mean = image.astype(jnp.float32).mean((1, 2))[..., None] * networks + constants
        unknown = jnp.isnan(landmarks).all((1, 2))
        camera = jnp.zeros((image.shape[0], 3, 4))
        return Faces(camera, mean, unknown[:, None].astype(jnp.float32))


@pytest.fixture
def crops():
    return np.random.default_rng(0).integers(0, 256, (11, 4, 4, 3)).astype(np.uint8)


@pytest.mark.parametrize("sizes", [(1,), (4,), (1, 2, 8), (16,), (3,)])
def test_every_face_is_its_own_whatever_the_batch(crops, sizes):
    predictor = Predictor(Means(), jnp.float32(1), batch_sizes=sizes)
    faces = predictor(jnp.float32(2), crops)
    expected = crops.astype(np.float32).mean((1, 2))[..., None] * 2 + 1
    np.testing.assert_allclose(faces.points, expected, rtol=1e-6)
    chex.assert_shape(faces.camera, (11, 3, 4))
    assert faces.texture is None
    assert (faces.code == 1).all()  # no landmarks were given


def test_one_program_for_a_batch_size_and_the_last_is_padded(crops):
    method, done = Means(), []
    predictor = Predictor(method, jnp.float32(0), batch_sizes=(2, 4))
    for _ in range(2):
        predictor(jnp.float32(1), crops, on_batch=done.append)
    # Devices share a batch of 2 and of 4; what is traced is one device's share.
    devices = jax.local_device_count()
    assert method.shapes == [4 // np.gcd(4, devices)]
    assert done == [4, 8, 11] * 2
    predictor(jnp.float32(1), crops[:2])
    assert method.shapes == [4 // np.gcd(4, devices), 2 // np.gcd(2, devices)]


def test_only_what_is_wanted_leaves_the_device(crops):
    predictor = Predictor(
        Means(), jnp.float32(0), batch_sizes=(4,), outputs=lambda faces: faces.points[:, 0, 0]
    )
    chex.assert_shape(predictor(jnp.float32(1), crops), (11,))


def test_padding_repeats_from_the_first():
    np.testing.assert_array_equal(padded_rows(3, (2, 8)), [0, 1, 2, 0, 1, 2, 0, 1])
    np.testing.assert_array_equal(padded_rows(2, (2, 8)), [0, 1])


def test_nothing_to_predict_is_refused(crops):
    with pytest.raises(ValueError, match="no crop to predict"):
        Predictor(Means(), 0, batch_sizes=(4,))(1, crops[:0])
    with pytest.raises(ValueError, match="from 1 up"):
        Predictor(Means(), 0, batch_sizes=(0, 4))

"""A second method, as small as one can be: the mean face under a regressed camera.

96-pixel crops, no landmark map, an empty code, no arrays of its own, no Flax.
"""

import dataclasses
import types

import jax
import jax.numpy as jnp

from twodasl_jax.coefficients import split_coefficients
from twodasl_jax.methods.method import Faces
from twodasl_jax.training.parallel import mean_over
from twodasl_jax.training.state import Networks, apply_gradients

CROP_SIZE = 96
PATCHES = 6


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Of the one network."""

    scale: float = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossSettings:
    """None."""


@dataclasses.dataclass(frozen=True)
class MeanShape:
    """A `methods.method.Method`."""

    scale: float
    weight: float
    crop_size = CROP_SIZE
    reads = ("annotated",)
    network_names = ("pose",)
    code_layout = types.MappingProxyType({})

    def init(self, key):
        shape = (3 * PATCHES**2, 12)
        kernel = self.scale * jax.random.normal(key, shape) / jnp.sqrt(shape[0])
        # A face in the middle of the crop, upright, whatever the picture.
        bias = jnp.eye(3, 4).at[:2, 3].set(CROP_SIZE / 2).ravel()
        return Networks({"pose": {"kernel": 1e-2 * kernel, "bias": bias}}, {})

    def step(self, state, batch, constants, *, optimizer, axis_name=None):
        known = split_coefficients(batch.annotated.coefficients).camera

        def loss(params):
            camera = self._camera(params["pose"], batch.annotated.image)
            return self.weight * jnp.square(camera - known).mean()

        value, gradients = jax.value_and_grad(loss)(state.params)
        gradients = mean_over(gradients, axis_name)
        metrics = mean_over({"loss": value, "camera": value}, axis_name)
        return apply_gradients(state, gradients, optimizer, batch_stats={}), metrics

    def with_passes(self, num_passes):
        return self

    def predict(self, networks, constants, image, landmarks):
        camera = self._camera(networks.params["pose"], image)
        return self.decode(networks, constants, camera, jnp.zeros((len(image), 0)))

    def decode(self, networks, constants, camera, code):
        return Faces(camera, jnp.broadcast_to(constants, (len(code), *constants.shape)), code)

    def _camera(self, pose, image):
        side = CROP_SIZE // PATCHES
        patches = image.reshape(-1, PATCHES, side, PATCHES, side, 3).mean((2, 4)) / 255
        return (patches.reshape(len(image), -1) @ pose["kernel"] + pose["bias"][None]).reshape(
            -1, 3, 4
        )


class MeanShapeFamily:
    """A `methods.method.MethodFamily`."""

    network_names = prediction_network_names = ("pose",)
    settings = types.MappingProxyType({"models": ModelSettings, "losses": LossSettings})

    def make(self, *, models, losses, stage):
        unknown = set(stage.loss_weights) - {"camera"}
        if unknown:
            raise ValueError(f"no loss is called {', '.join(unknown)}; choose one of camera")
        return MeanShape(models.scale, stage.loss_weights["camera"])

    def make_predicting(self, models):
        return MeanShape(models.scale, 0.0)

    def meaning(self, models):
        return {"crop_size": CROP_SIZE}

    def widened(self, networks, meaning, models):
        return networks, meaning

    def with_fresh_head(self, networks, fresh):
        return fresh

    def require_fit(self, face_model, losses):
        """Any face model has a mean."""

    def fit_arrays(self, face_model, coefficients):
        return {}

    def why_other_arrays(self, saved, wanted):
        return None

    def training_constants(self, face_model, arrays, losses):
        return face_model.linear.mean

    def prediction_constants(self, face_model, arrays, *, dense=True):
        mean = face_model.linear.mean
        return mean if dense else mean[:, face_model.landmark_vertices]

    def code_statistics(self, arrays):
        return None

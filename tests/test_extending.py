"""docs/extending.md does what it says: its code is run, block by block, and then used."""

import re
from collections.abc import Iterator
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from twodasl_jax.coefficients import Whitening
from twodasl_jax.data.augment import AugmentOptions
from twodasl_jax.data.pipeline import make_pipeline
from twodasl_jax.data.source_protocol import Source
from twodasl_jax.losses.landmark import safe_norm
from twodasl_jax.methods import twodasl_losses
from twodasl_jax.methods.twodasl_passes import Constants, LossInputs, Prediction
from twodasl_jax.models import coefficient_regressor


@pytest.fixture(scope="module")
def page(repository):
    """What the page's blocks define; the tables that they add to are as before afterwards."""
    text = (repository / "docs" / "extending.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", text, flags=re.S | re.M)
    with pytest.MonkeyPatch.context() as patch:
        losses, backbones = dict(twodasl_losses.LOSSES), dict(coefficient_regressor.BACKBONES)
        patch.setattr(twodasl_losses, "LOSSES", losses)
        patch.setattr(coefficient_regressor, "BACKBONES", backbones)
        names: dict[str, Any] = {
            "Any": Any, "Array": Array, "BACKBONES": backbones, "Float": Float,
            "Iterator": Iterator, "LOSSES": losses, "Loss": twodasl_losses.Loss,
            "LossInputs": LossInputs, "OutputFile": object, "PhotoFaces": object,
            "chex": chex, "nn": nn, "np": np, "safe_norm": safe_norm,
        }  # fmt: skip
        for block in blocks:
            exec(compile(block, "docs/extending.md", "exec"), names)
        yield names


def test_the_new_loss_is_known_and_computed(page, small_face_model, small_frontal_coefficients):
    from twodasl_jax.array_types import InTheWildBatch
    from twodasl_jax.face_model.landmarks import landmark_model

    assert "eye_contact" in twodasl_losses.choosable()
    assert twodasl_losses.reads_in_the_wild(["eye_contact"])
    whitening = Whitening(jnp.asarray(small_frontal_coefficients), jnp.ones(62))
    constants = Constants(landmark_model(small_face_model), jnp.zeros((154, 154)), whitening)
    given = jnp.full((3, 18, 2), 60.0)
    half = InTheWildBatch.empty()._replace(landmarks18=given)

    def value(whitened):
        first = Prediction(whitened, constants)
        formula = twodasl_losses.LOSS_FORMULAS["paper"]
        inputs = LossInputs(half, first, None, None, constants, formula, True)
        return twodasl_losses.LOSSES["eye_contact"].function(inputs)

    values = value(jnp.zeros((3, 62)))
    landmarks = Prediction(jnp.zeros((3, 62)), constants).landmarks18[:, :12]
    expected = np.linalg.norm(np.asarray(landmarks) - 60.0, axis=-1).sum(axis=-1)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    gradient = jax.grad(lambda whitened: value(whitened).mean())(jnp.zeros((3, 62)))
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


class Known:
    """Annotated faces, to fill the other half."""

    role = "annotated"
    coefficients = np.zeros((8, 62), np.float32)

    def __init__(self, source):
        self._source = source

    def __len__(self):
        return len(self._source)

    def __getitem__(self, index):
        return self._source[index] | {"coefficients": self.coefficients[index]}

    def record_name(self, index):
        return self._source.record_name(index)

    def identities(self):
        return self._source.identities()


def test_the_new_source_feeds_the_pipeline(page):
    source: Source = page["GreyFaces"]()
    batches = make_pipeline(
        [(Known(source), 1.0)],
        [(source, 1.0)],
        annotated_batch_size=4,
        in_the_wild_batch_size=4,
        augment_options=AugmentOptions(),
        seed=0,
    )
    batch = next(batches)
    chex.assert_shape(batch["in_the_wild"]["image"], (4, 120, 120, 3))
    chex.assert_shape(batch["in_the_wild"]["landmarks"], (4, 68, 2))


def test_the_new_backbone_makes_a_regressor(page):
    regressor = coefficient_regressor.make_regressor("mean_colour")
    crops = jnp.zeros((2, 120, 120, 4))
    variables = regressor.init(jax.random.key(0), crops, train=False)
    chex.assert_shape(regressor.apply(variables, crops, train=False), (2, 62))

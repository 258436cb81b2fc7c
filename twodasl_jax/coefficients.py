"""The 62 coefficients: splitting and joining, and whitening.

Their order is `coefficient_layout`'s, which is free of JAX; its names may be imported from here.

Paper says f, t and a 9-number projection matrix (1 + 2 + 9); the released data use these
12 numbers; we do as the released data, because every published coefficient is in that
form. ``t_z`` cannot be observed under scaled orthography; losses leave it out.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from twodasl_jax.coefficient_layout import (
    CAMERA,
    EXPRESSION,
    NUM_CAMERA,
    NUM_COEFFICIENTS,
    NUM_EXPRESSION,
    NUM_SHAPE,
    SHAPE,
    TRANSLATION_Z,
)

__all__ = [
    "CAMERA",
    "EXPRESSION",
    "NUM_CAMERA",
    "NUM_COEFFICIENTS",
    "NUM_EXPRESSION",
    "NUM_SHAPE",
    "SHAPE",
    "TRANSLATION_Z",
    "Coefficients",
    "Whitening",
    "join_coefficients",
    "split_coefficients",
    "unwhiten",
    "whiten",
]


class Coefficients(NamedTuple):
    """One face (or a batch of faces) in its three parts, raw (not whitened).

    Attributes:
      camera: ``(*batch, 3, 4)`` ``[f·R | t]``, view frame (y up), crop pixels.
      shape: ``(*batch, 40)``.
      expression: ``(*batch, 10)``.
    """

    camera: Any
    shape: Any
    expression: Any


class Whitening(NamedTuple):
    """Per-coefficient statistics of one face model and training set.

    They travel with every checkpoint; coefficients whitened by one set mean nothing
    under another.

    Attributes:
      mean: ``(62,)``.
      std: ``(62,)``, positive.
    """

    mean: Any
    std: Any


def split_coefficients(coefficients: Float[Array, "*batch 62"]) -> Coefficients:
    """Splits raw coefficients into camera matrix, shape and expression."""
    camera = coefficients[..., CAMERA]
    return Coefficients(
        camera=camera.reshape(*camera.shape[:-1], 3, 4),
        shape=coefficients[..., SHAPE],
        expression=coefficients[..., EXPRESSION],
    )


def join_coefficients(parts: Coefficients) -> Float[Array, "*batch 62"]:
    """Inverse of `split_coefficients`."""
    camera = parts.camera.reshape(*parts.camera.shape[:-2], NUM_CAMERA)
    return jnp.concatenate([camera, parts.shape, parts.expression], axis=-1)


def whiten(
    coefficients: Float[Array, "*batch 62"], whitening: Whitening
) -> Float[Array, "*batch 62"]:
    """``p = (q - mean) / std``: raw coefficients to the network's output space."""
    mean, std = (jnp.broadcast_to(array, coefficients.shape) for array in whitening)
    return (coefficients - mean) / std


def unwhiten(
    whitened: Float[Array, "*batch 62"], whitening: Whitening
) -> Float[Array, "*batch 62"]:
    """``q = p·std + mean``: the network's output to raw coefficients."""
    mean, std = (jnp.broadcast_to(array, whitened.shape) for array in whitening)
    return whitened * std + mean

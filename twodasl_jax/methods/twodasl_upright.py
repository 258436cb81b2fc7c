"""A head that lies in the picture is shown to the network again, upright.

Photographs of heads that lie or hang are rare in training, so a network sees them less well than
those that stand. The first pass need only see how the head lies.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from twodasl_jax.coefficient_layout import CAMERA, NUM_CAMERA
from twodasl_jax.crop_frame import CROP_SIZE, HALF_PIXEL, flip_y

LEAST_TURN_RADIANS = math.radians(20)
"""Heads that lie less were trained on, and are looked at once."""


def turn_to_upright(coefficients: Float[Array, "b 62"]) -> Float[Array, " b"]:
    """The turn of the picture that brings a head upright, by its own vertical axis.

    Args:
      coefficients: raw.

    Returns:
      Radians, counterclockwise as one sees the picture; 0 below `LEAST_TURN_RADIANS`.
    """
    axis = coefficients[:, CAMERA].reshape(-1, 3, 4)[:, :2, 1]
    turn = jnp.arctan2(axis[:, 0], axis[:, 1])
    return jnp.where(jnp.abs(turn) < LEAST_TURN_RADIANS, 0.0, turn)


def turned_pictures(
    image: UInt8[Array, "b 120 120 3"], turn: Float[Array, " b"]
) -> UInt8[Array, "b 120 120 3"]:
    """Pictures turned about their middle, bilinear; black comes in, as in training.

    Args:
      image: crops.
      turn: radians, counterclockwise as one sees the picture.
    """
    middle = CROP_SIZE / 2
    place = jnp.arange(CROP_SIZE) + HALF_PIXEL - middle
    y, x = jnp.meshgrid(place, place, indexing="ij")

    def one(
        picture: Float[Array, "120 120 3"], angle: Float[Array, ""]
    ) -> Float[Array, "120 120 3"]:
        cosine, sine = jnp.cos(angle), jnp.sin(angle)
        from_x = cosine * x - sine * y + middle - HALF_PIXEL
        from_y = sine * x + cosine * y + middle - HALF_PIXEL

        def channel(values: Float[Array, "120 120"]) -> Float[Array, "120 120"]:
            return jax.scipy.ndimage.map_coordinates(
                values, [from_y, from_x], order=1, mode="constant", cval=0.0
            )

        return jax.vmap(channel, in_axes=-1, out_axes=-1)(picture)

    turned = jax.vmap(one)(image.astype(jnp.float32), turn)
    return jnp.round(turned).astype(jnp.uint8)


def turned_back(
    coefficients: Float[Array, "b 62"], turn: Float[Array, " b"]
) -> Float[Array, "b 62"]:
    """The coefficients, seen in the turned picture, of the picture as it was; exact.

    Args:
      coefficients: raw, of `turned_pictures`.
      turn: of them.
    """
    camera = coefficients[:, CAMERA].reshape(-1, 3, 4)
    middle = jnp.array([CROP_SIZE / 2, flip_y(CROP_SIZE / 2)])
    cosine, sine = jnp.cos(turn), jnp.sin(turn)
    # The view frame's y points up: against the turn.
    back = jnp.stack([jnp.stack([cosine, sine], -1), jnp.stack([-sine, cosine], -1)], -2)
    rows = camera[:, :2].at[:, :, 3].add(-middle)
    rows = jnp.einsum("bij,bjk->bik", back, rows, precision="highest").at[:, :, 3].add(middle)
    moved = camera.at[:, :2].set(rows).reshape(-1, NUM_CAMERA)
    return coefficients.at[:, CAMERA].set(moved)

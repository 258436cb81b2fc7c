"""Shading of diffuse surfaces: nine spherical harmonics per colour channel, or a headlight.

Normals are unit vectors of the *view frame*: x right, **y up**, z towards the viewer.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

_C0 = 0.5 / math.sqrt(math.pi)  # 0.282095
_C1 = math.sqrt(3 / (4 * math.pi))  # 0.488603
_C2 = 0.5 * math.sqrt(15 / math.pi)  # 1.092548
_C3 = 0.25 * math.sqrt(5 / math.pi)  # 0.315392
_C4 = 0.25 * math.sqrt(15 / math.pi)  # 0.546274

# What is left of each order after convolution with the clamped cosine, over π: Ramamoorthi and
# Hanrahan 2001, eq. 8.
_LAMBERT = (1.0, *[2 / 3] * 3, *[1 / 4] * 5)


def spherical_harmonics(normals: Float[Array, "*batch 3 n"]) -> Float[Array, "*batch 9 n"]:
    """The nine real, orthonormal spherical harmonics of orders 0-2.

    In the order and with the signs of Ramamoorthi and Hanrahan, "An efficient representation
    for irradiance environment maps", SIGGRAPH 2001, eq. 3: ``1``, ``y, z, x``,
    ``xy, yz, 3z²-1, xz, x²-y²`` times 0.282095, 0.488603 (three), 1.092548 (xy, yz, xz),
    0.315392 and 0.546274.

    Args:
      normals: unit vectors, view frame, planar.
    """
    x, y, z = (normals[..., i, :] for i in range(3))
    return jnp.stack(
        [
            jnp.full_like(x, _C0),
            _C1 * y,
            _C1 * z,
            _C1 * x,
            _C2 * x * y,
            _C2 * y * z,
            _C3 * (3 * z * z - 1),
            _C2 * x * z,
            _C4 * (x * x - y * y),
        ],
        axis=-2,
    )


def shade_spherical_harmonics(
    normals: Float[Array, "*batch 3 n"],
    albedo: Float[Array, "*batch 3 n"],
    lighting: Float[Array, "*batch 9 3"],
) -> Float[Array, "*batch 3 n"]:
    """``colour_c = albedo_c · Σ_k lighting_kc · Y_k(normal)``.

    Args:
      normals: unit vectors, view frame, planar.
      albedo: RGB, planar, in [0, 1].
      lighting: of the *reflected* light, the Lambertian kernel already in it;
        ``lighting[0] = 1 / 0.282095`` with the rest 0 leaves the albedo as it is. Made by
        `directional_lighting`, or free.

    Returns:
      RGB, planar, not clipped.
    """
    return albedo * (jnp.swapaxes(lighting, -1, -2) @ spherical_harmonics(normals))


def directional_lighting(
    direction: Float[Array, "*batch 3"],
    *,
    ambient: Float[Array, "*batch 3"],
    directional: Float[Array, "*batch 3"],
) -> Float[Array, "*batch 9 3"]:
    """Lighting coefficients of one distant light and a uniform surrounding.

    A surface that faces the light is lit by about ``ambient + directional``; the clamped
    cosine is kept to its order-2 part, which errs by at most 6 % of `directional`.

    Args:
      direction: towards the light, view frame; normalised here, not zero.
      ambient: RGB.
      directional: RGB.
    """
    unit = direction / jnp.linalg.norm(direction, axis=-1, keepdims=True)
    # The projection of max(cos, 0) is π·[1, 2/3, 1/4]·Y(direction) per order.
    response = spherical_harmonics(unit[..., None])
    kernel = jnp.asarray(_LAMBERT, response.dtype)[:, None]
    response = math.pi * jnp.broadcast_to(kernel, response.shape) * response
    lighting = response * directional[..., None, :]
    return lighting.at[..., 0, :].add(ambient / _C0)


def brightest_light(lighting: Float[Array, "*batch 9 3"]) -> Float[Array, "*batch 3"]:
    """The light of bands 0 and 1 in the direction that they light most, RGB.

    Args:
      lighting: as `shade_spherical_harmonics` takes it.
    """
    uniform, directed = lighting[..., 0, :] * _C0, lighting[..., 1:4, :] * _C1
    return jnp.abs(uniform) + jnp.linalg.norm(directed, axis=-2)


def shade_headlight(
    normals: Float[Array, "*batch 3 n"], albedo: Float[Array, "*batch 3 n"], *, ambient: float = 0.3
) -> Float[Array, "*batch 3 n"]:
    """A light at the camera: ``albedo · (ambient + (1 - ambient)·max(n_z, 0))``.

    Args:
      normals: unit vectors, view frame, planar.
      albedo: RGB, planar, in [0, 1].
      ambient: share of the light that falls everywhere, in [0, 1].

    Returns:
      RGB, planar, in [0, 1] for an albedo that is.
    """
    facing = jnp.maximum(normals[..., 2:, :], 0.0)
    return albedo * (ambient + (1.0 - ambient) * facing)

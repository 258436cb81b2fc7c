"""From projected, coloured meshes to pictures: one face, a batch, a batch across devices."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from twodasl_jax.rendering.rasterizer import OVERFLOW_LIMIT, interpolate, rasterize

Batching = Literal["map", "vmap"]


class Render(NamedTuple):
    """A picture of a face, or a batch of them.

    Attributes:
      image: ``(*batch, height, width, 3)`` RGB in [0, 1].
      coverage: ``(*batch, height, width)`` share of each pixel that the face covers; 0 or 1
        without supersampling.
      overflow: ``(*batch)`` int32: not 0 where the picture is incomplete and must not be used.
    """

    image: Float[Array, "*batch height width 3"]
    coverage: Float[Array, "*batch height width"]
    overflow: Int[Array, "*batch"]


@runtime_checkable
class _HasOverflow(Protocol):
    @property
    def overflow(self) -> Any: ...


RenderLike = TypeVar("RenderLike", bound=_HasOverflow)


def finer_pixels(vertices: Float[Array, "3 n"], factor: int) -> Float[Array, "3 n"]:
    """Carries points of the raster frame to that of a picture with `factor` times the pixels.

    Args:
      vertices: planar; depth stays.
      factor: finer pixels along a side of one.
    """
    # Pixel c spans c - 1/2 .. c + 1/2; its `factor` parts have their centres at whole numbers.
    offset = 0.5 * (factor - 1)
    return vertices * factor + jnp.array([[offset], [offset], [0.0]], vertices.dtype)


def render_face(
    vertices: Float[Array, "3 n"],
    triangles: Int[Array, "t 3"],
    colours: Float[Array, "3 n"],
    background: Float[Array, "height width 3"],
    *,
    capacity: int,
    supersample: int = 1,
    cull_back_faces: bool = False,
) -> Render:
    """Draws one mesh over a background. Pure; differentiable in vertices and colours.

    Args:
      vertices: planar, crop frame, pixels of the background.
      triangles: vertex numbers; winding as in `rasterize`.
      colours: RGB of the vertices, already lit, planar.
      background: RGB in [0, 1]; its size is the picture's.
      capacity: of the rasteriser, **at the supersampled size**.
      supersample: each pixel is the mean of this number squared: 2 smooths the outline.
      cull_back_faces: see `rasterize`.

    Returns:
      A `Render`; ``face + (1 - coverage)·background``, clipped to [0, 1].

    Raises:
      ValueError: where `supersample` is below 1, or the rasteriser refuses the sizes.
    """
    if supersample < 1:
        raise ValueError(f"supersample is {supersample}, expected a whole number from 1 up")
    height, width, _ = background.shape
    vertices = finer_pixels(vertices, supersample)
    raster = rasterize(
        vertices,
        triangles,
        height=height * supersample,
        width=width * supersample,
        capacity=capacity,
        cull_back_faces=cull_back_faces,
    )
    # 0 outside the face, so that means over finer pixels weigh by coverage.
    layers = jnp.concatenate(
        [
            interpolate(colours, raster, vertices, triangles),
            (raster.triangle_ids >= 0).astype(colours.dtype)[None],
        ]
    )
    layers = layers.reshape(4, height, supersample, width, supersample).mean((2, 4))
    coverage = layers[3]
    image = jnp.moveaxis(layers[:3], 0, -1) + (1.0 - coverage)[..., None] * background
    return Render(jnp.clip(image, 0.0, 1.0), coverage, raster.overflow)


def map_over_batch(function: Callable[..., Any], batching: Batching) -> Callable[..., Any]:
    """Applies a one-example function along the leading axis of all its arguments.

    Args:
      function: of positional arrays or pytrees.
      batching: ``'map'``, one after the other (`jax.lax.map`): 3 times as fast for rendering on
        CPUs; ``'vmap'``, all at once: for accelerators.

    Raises:
      ValueError: for another name.
    """
    if batching == "vmap":
        return jax.vmap(function)
    if batching == "map":
        return lambda *batch: jax.lax.map(lambda one: function(*one), batch)
    raise ValueError(f"batching is '{batching}', expected 'map' or 'vmap'")


def render_batch(
    vertices: Float[Array, "b 3 n"],
    triangles: Int[Array, "t 3"],
    colours: Float[Array, "b 3 n"],
    background: Float[Array, "b height width 3"],
    *,
    capacity: int,
    supersample: int = 1,
    cull_back_faces: bool = False,
    batching: Batching = "map",
) -> Render:
    """`render_face` for a batch; arguments as there, `batching` as in `map_over_batch`."""

    def draw(vertices: Array, colours: Array, background: Array) -> Render:
        return render_face(
            vertices,
            triangles,
            colours,
            background,
            capacity=capacity,
            supersample=supersample,
            cull_back_faces=cull_back_faces,
        )

    return map_over_batch(draw, batching)(vertices, colours, background)


def render_with_enough_capacity(
    render: Callable[[int], RenderLike], capacity: int
) -> tuple[RenderLike, int]:
    """Renders; where the capacity overflows, once more with one that suffices.

    Host side: it waits for the overflow count. The second attempt compiles again; keep the
    returned capacity for later calls: it is doubled, not fitted, so that the next picture finds
    the larger one compiled.

    Args:
      render: takes a capacity, returns something with an `overflow`.
      capacity: to begin with.

    Returns:
      The complete render, and the capacity that it took: the given one, or a power of two times it.

    Raises:
      ValueError: where the mesh would need more candidates than the rasteriser can count.
    """
    result = render(capacity)
    worst = int(jnp.max(result.overflow))
    if worst == 0:
        return result, capacity
    needed = capacity + worst
    while capacity < needed:
        capacity *= 2
    if capacity >= OVERFLOW_LIMIT:
        raise ValueError(
            f"the mesh needs {capacity} candidates or more, the rasteriser takes fewer than "
            f"{OVERFLOW_LIMIT}; the vertices are probably not in crop pixels"
        )
    result = render(capacity)
    return result, capacity

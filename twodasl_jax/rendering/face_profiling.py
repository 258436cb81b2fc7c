"""Photographed faces turned to larger yaw: face profiling, by which 300W-LP was made.

Zhu et al. 2016, "Face Alignment Across Large Poses: A 3D Solution", section 5. A fitted face gives
every pixel of the head its depth. The head is turned about its own vertical axis and drawn again,
textured with the photograph, over its surroundings (`surroundings.py`), which move with it.

Faces are turned *away* from the viewer only. What becomes visible of a head then (its near side)
was seen before, at a grazing angle at worst; what was hidden stays so.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from twodasl_jax.coefficients import Coefficients, join_coefficients, split_coefficients
from twodasl_jax.crop_frame import CROP_SIZE, image_to_raster
from twodasl_jax.face_model.landmarks import landmark_model
from twodasl_jax.face_model.linear import vertices_from_coefficients
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.geometry.camera import crop_framing, project_to_crop
from twodasl_jax.geometry.mesh import vertex_normals
from twodasl_jax.geometry.rotation import rotation_from_euler
from twodasl_jax.rendering.rasterizer import interpolate, rasterize
from twodasl_jax.rendering.render import Batching, finer_pixels, map_over_batch
from twodasl_jax.rendering.surroundings import GRID, grid_triangles, move_surroundings

RIM_PX = 5.0
"""Pixels of a crop of 120, the width of the outline's rim that no texture comes from."""

HIDDEN_PX = 5.0
"""Depth behind what a photograph shows from which a point is hidden, pixels of a crop of 120: the
surroundings' grid is coarse."""

_SIDES_FROM, _SIDES_TO = np.deg2rad(40.0), np.deg2rad(60.0)
_OBLIQUE = 0.5
_FAR_SIDE = np.deg2rad(110.0)


class TurnedFaces(NamedTuple):
    """Faces at their new yaw.

    Attributes:
      image: ``(*batch, size, size, 3)`` RGB in [0, 1].
      coefficients: ``(*batch, 62)`` raw, of the new picture: exact.
      unseen_share: ``(*batch)`` share of the visible face that the photograph did not show: it was
        behind another part of the head, or outside the picture. Its texture is made up.
      overflow: ``(*batch)`` int32: not 0 where the picture is incomplete and must not be used.
    """

    image: Float[Array, "*batch size size 3"]
    coefficients: Float[Array, "*batch 62"]
    unseen_share: Float[Array, "*batch"]
    overflow: Int[Array, "*batch"]


def head_yaw(camera: Float[Array, "*batch 3 4"]) -> Float[Array, "*batch"]:
    """Angle of the viewer about the head's own vertical axis, radians; 0 is a frontal head.

    It is the yaw of `euler_from_rotation` where there is no roll, and does not depend on how far
    the head is turned in the picture's plane.

    Args:
      camera: ``[f·R | t]``.
    """
    return jnp.arctan2(camera[..., 2, 0], camera[..., 2, 2])


def turned_camera(
    camera: Float[Array, "3 4"],
    landmark_points: Float[Array, "3 68"],
    turn: Float[Array, ""],
    *,
    crop_size: int = CROP_SIZE,
) -> Float[Array, "3 4"]:
    """The camera of a head turned about its own vertical axis, framed by the crop rule.

    ``R' = R·Ry(turn)``; the box of the 68 landmarks comes to lie in the crop's middle, its longer
    side ``size/√2`` (method.md section 2). The landmarks' mean depth stays.

    Args:
      camera: ``[f·R | t]``.
      landmark_points: in the model's frame.
      turn: radians, added to `head_yaw`.
      crop_size: side of the crop, pixels.
    """
    zero = jnp.zeros_like(turn)
    high = jax.lax.Precision.HIGHEST
    turned = jnp.matmul(camera[:, :3], rotation_from_euler(zero, turn, zero), precision=high)
    points = jnp.matmul(turned, landmark_points, precision=high)
    scale, in_plane = crop_framing(points, crop_size=crop_size)
    depth = jnp.matmul(camera[2, :3], landmark_points, precision=high).mean() + camera[2, 3]
    in_depth = depth - scale * points[2].mean()
    return jnp.concatenate([scale * turned, jnp.append(in_plane, in_depth)[:, None]], axis=1)


def turn_faces(
    face_model: FaceModel,
    images: Float[Array, "b size size 3"],
    coefficients: Float[Array, "b 62"],
    turns: Float[Array, " b"],
    *,
    capacity: int,
    supersample: int = 2,
    batching: Batching = "map",
) -> TurnedFaces:
    """Turns photographed faces about their own vertical axes.

    Args:
      face_model: that was fitted.
      images: RGB in [0, 1], the crops.
      coefficients: raw, fitted to them.
      turns: radians, added to `head_yaw`; of its sign, unless that is near 0.
      capacity: of the rasteriser, for ``supersample·size`` pixels.
      supersample: each pixel is the mean of this number squared.
      batching: see `map_over_batch`.
    """
    size = images.shape[1]
    landmarks = landmark_model(face_model)

    def turn_one(image: Array, code: Array, turn: Array) -> TurnedFaces:
        parts = split_coefficients(code)
        points = vertices_from_coefficients(face_model.linear, parts.shape, parts.expression)
        landmark_points = vertices_from_coefficients(landmarks, parts.shape, parts.expression)
        camera = turned_camera(parts.camera, landmark_points, turn, crop_size=size)
        before, after = (
            _raster_frame(project_to_crop(view, points, crop_size=size))
            for view in (parts.camera, camera)
        )
        around = move_surroundings(
            before, after, face_model.triangles, size=size, capacity=capacity
        )
        gone = _hidden_by_the_head(points, landmark_points, head_yaw(camera))
        shown = jnp.where(gone[None], jnp.nan, after)  # the rasteriser draws no triangle of theirs
        # All of the surroundings is behind all of the face.
        behind = around.after[2] - around.after[2].max() + after[2].min() - 1.0
        vertices = jnp.concatenate([shown, around.after.at[2].set(behind)], axis=1)
        triangles = jnp.concatenate(
            [face_model.triangles, grid_triangles() + face_model.num_vertices]
        )
        fine, side = finer_pixels(vertices, supersample), size * supersample
        raster = rasterize(
            fine, triangles, height=side, width=side, capacity=capacity, cull_back_faces=True
        )
        inward = _away_from_the_rim(parts.camera, points, landmark_points, face_model.triangles)
        from_face = jnp.concatenate([before[:2] + inward * (size / CROP_SIZE), before])
        from_grid = jnp.concatenate([around.before, around.before, around.before[:1]])
        origin = interpolate(
            jnp.concatenate([from_face, from_grid], axis=1), raster, fine, triangles
        )
        colours = _sample(image, origin[:2])
        picture = colours.reshape(size, supersample, size, supersample, 3).mean((1, 3))
        on_face = (raster.triangle_ids >= 0) & (raster.triangle_ids < len(face_model.triangles))
        unseen = on_face & ~_was_seen(origin[2:], around.depth, size)
        new_code = join_coefficients(Coefficients(camera, parts.shape, parts.expression))
        share = unseen.sum() / jnp.maximum(on_face.sum(), 1)
        return TurnedFaces(picture, new_code, share, around.overflow + raster.overflow)

    return map_over_batch(turn_one, batching)(images, coefficients, turns)


def _hidden_by_the_head(
    points: Float[Array, "3 n"], landmark_points: Float[Array, "3 68"], yaw: Float[Array, ""]
) -> Bool[Array, " n"]:
    """Points on the far side of the skull, of which a face model lacks the back and the top.

    About the vertical axis between the ears they lie more than `_FAR_SIDE` from the viewer: on any
    head that is round they cannot be seen. A far ear would be, over the open edge of the forehead.
    """
    ears = landmark_points[:, jnp.array([0, 16])].mean(axis=1)
    x, z = points[0] - ears[0], points[2] - ears[2]
    towards = x * jnp.sin(yaw) + z * jnp.cos(yaw)
    return towards < np.cos(_FAR_SIDE) * jnp.hypot(x, z)


def _away_from_the_rim(
    camera: Float[Array, "3 4"],
    points: Float[Array, "3 n"],
    landmark_points: Float[Array, "3 68"],
    triangles: Int[Array, "t 3"],
) -> Float[Array, "2 n"]:
    """By how much texture is taken from farther inside the head, crop pixels.

    A fit is seldom right to the pixel, and a sliver of background at the head's outline would be
    stretched over all of the cheek that the photograph showed obliquely. So the sides of the head
    (never the nose) take their colours from up to `RIM_PX` inside where they are seen obliquely.
    """
    view = jnp.matmul(camera[:, :3], points, precision=jax.lax.Precision.HIGHEST)
    normals = vertex_normals(view, triangles)
    ears = landmark_points[:, jnp.array([0, 16])].mean(axis=1)
    x, z = points[0] - ears[0], points[2] - ears[2]
    sideways = _smooth_step((jnp.arctan2(jnp.abs(x), z) - _SIDES_FROM) / (_SIDES_TO - _SIDES_FROM))
    oblique = _smooth_step(1.0 - normals[2] / _OBLIQUE)
    length = RIM_PX * sideways * oblique
    outward = normals[:2] / jnp.maximum(jnp.hypot(normals[0], normals[1]), 1e-6)[None]
    return length[None] * outward * jnp.array([[-1.0], [1.0]])  # y points down in the crop


def _smooth_step(share: Float[Array, " n"]) -> Float[Array, " n"]:
    share = jnp.clip(share, 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)


def _raster_frame(points: Float[Array, "3 n"]) -> Float[Array, "3 n"]:
    x, y, z = points
    return jnp.stack([image_to_raster(x), image_to_raster(y), z])


def _sample(
    image: Float[Array, "size size 3"], where: Float[Array, "2 h w"]
) -> Float[Array, "h w 3"]:
    """The picture's colours at raster positions, bilinearly; its border goes on beyond it."""
    size = image.shape[0]
    x, y = jnp.clip(where, 0.0, size - 1.0)
    left = jnp.clip(jnp.floor(x), 0, size - 2).astype(jnp.int32)
    top = jnp.clip(jnp.floor(y), 0, size - 2).astype(jnp.int32)
    along, down = (x - left)[..., None], (y - top)[..., None]
    upper = image[top, left] * (1 - along) + image[top, left + 1] * along
    lower = image[top + 1, left] * (1 - along) + image[top + 1, left + 1] * along
    return upper * (1 - down) + lower * down


def _was_seen(
    origin: Float[Array, "3 h w"], depth: Float[Array, "g g"], size: int
) -> Bool[Array, "h w"]:
    """Whether points of the old picture lay in it, and not behind the head that it showed."""
    x, y, z = origin
    inside = (jnp.minimum(x, y) >= -0.5) & (jnp.maximum(x, y) <= size - 0.5)
    column, row = (
        jnp.clip(jnp.round((along + 0.5) * (GRID - 1) / size), 0, GRID - 1).astype(jnp.int32)
        for along in (x, y)
    )
    return inside & (z > depth[row, column] - HIDDEN_PX * size / CROP_SIZE)

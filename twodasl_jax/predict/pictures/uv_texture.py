"""A face's texture in its model's uv layout, sampled from the photograph texel by texel.

The mesh is rasterised in uv space, which gives each texel its place on the face and so in the
photograph. Texels whose place the photograph hides take their left-right mirror image's, and
those that are hidden on both sides are filled from their neighbours; `Origin` tells which is
which.
"""

import enum
from typing import NamedTuple

import cv2
import numpy as np

from twodasl_jax.crop_frame import image_to_raster
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.predict.faces.reconstruct import Reconstruction
from twodasl_jax.predict.pictures.maps import view_normals
from twodasl_jax.predict.pictures.surface import FaceSurface, face_surface
from twodasl_jax.predict.pictures.visibility import FaceNotShownError, depth_buffer, in_picture

SIZES = range(16, 8193)
"""Texels along a side that a texture may have."""

_FACING = 0.3
"""A surface seen more obliquely than this cosine (73°) counts as hidden: its texels would be
smeared, and the smallest error of the fit would put the background there."""

_SMALLEST_LAYOUT = 0.01
"""A layout that covers a smaller share of the square is none."""

_MARGIN = 0.02
"""The colours run on this far beyond the layout's edge, as a share of the texture's side, so that
smoothed sampling at the edge finds no black."""


_LARGEST_STRETCH = 3.0
"""Of a triangle's longest edge by the mirror table: a larger one is no mirror image."""

_SEAM = 0.06
"""Width of the band in which seen colours pass over into mirrored ones, as a share of the side."""


class Origin(enum.IntEnum):
    """Where a texel's colour comes from: the values of the mask."""

    NONE = 0
    """No part of the face lies here."""
    NEIGHBOURS = 85
    """Hidden on both sides of the face, or a speck: filled from the texels around."""
    MIRRORED = 170
    """Hidden: the colour of its left-right mirror image."""
    SEEN = 255
    """Sampled from the photograph; beside mirrored texels it passes over into their colours."""


class UvTexture(NamedTuple):
    """A texture and where its colours come from; row 0 is the top, ``v = 1``.

    The centre of the texel in row r and column c is ``u = (c + ½)/size``,
    ``v = 1 - (r + ½)/size``.

    Attributes:
      colours: ``(size, size, 3)`` uint8 sRGB, black outside the layout and its margin.
      origin: ``(size, size)`` uint8, values of `Origin`.
    """

    colours: np.ndarray
    origin: np.ndarray


def uv_texture(
    image: np.ndarray, reconstruction: Reconstruction, face_model: FaceModel, *, size: int = 512
) -> UvTexture:
    """Samples a face's texture from its photograph.

    Args:
      image: ``(height, width, 3)`` uint8 RGB, the photograph of the reconstruction.
      reconstruction: where the face is.
      face_model: its uv layout, triangles and mirror vertices.
      size: of the texture, texels.

    Raises:
      FaceNotShownError: where the photograph shows none of the face.
      ValueError: where the model has no usable layout, or the size is none of `SIZES`.
    """
    if size not in SIZES:
        raise ValueError(
            f"a texture of {size} texels a side; expected {SIZES.start} to {SIZES.stop - 1}"
        )
    layout = uv_layout(face_model, size=size)
    vertices = reconstruction.vertices
    mirror = np.asarray(face_model.mirror_vertices)
    facing = view_normals(vertices, face_model.triangles)[2]
    own = _over_layout(layout, np.concatenate([vertices, facing[None]]), size)
    twin = _over_layout(layout, np.concatenate([vertices, facing[None]])[:, mirror], size)
    buffer = depth_buffer(vertices, face_model.triangles)
    height, width = image.shape[:2]

    def shown(texels: np.ndarray) -> np.ndarray:
        inside = in_picture(texels, height=height, width=width)
        return inside & (texels[3] > _FACING) & buffer.sees(texels[:3])

    origin = np.full((size, size), Origin.NONE, np.uint8)
    origin[layout.region.slices][layout.triangle_ids >= 0] = Origin.NEIGHBOURS
    is_mapped = origin > 0
    has_twin = np.zeros_like(is_mapped)
    has_twin[layout.region.slices] = _keeps_shape_mirrored(face_model)[layout.triangle_ids]
    seen, twin_seen = is_mapped & shown(own), is_mapped & has_twin & shown(twin)
    # Specks at the eyelids and nostrils are better filled: the other side's light may differ.
    mirrored = _without_specks(twin_seen & ~seen)
    origin[mirrored] = Origin.MIRRORED
    origin[seen] = Origin.SEEN
    if not (origin >= Origin.MIRRORED).any():
        raise FaceNotShownError(
            f"the {width} x {height} picture shows nothing of the face, so it gives no texture; is "
            "it the photograph that the reconstruction was made from?"
        )
    share = _share_of_own(seen, mirrored, twin_seen)[..., None]
    sampled = share * _sampled(image, own, vertices, size)
    sampled += (1.0 - share) * _sampled(image, twin, vertices, size)
    return UvTexture(_filled(sampled, origin), origin)


def uv_layout(face_model: FaceModel, *, size: int) -> FaceSurface:
    """The mesh spread out over a texture, in texels.

    Where parts of the face share texels (a cylinder's layout puts the inside of the mouth behind
    the lips), the outermost is kept, by the mean face's distance from a vertical axis at its back.

    Raises:
      ValueError: where the uv coordinates leave the square, or cover next to nothing of it.
    """
    uv = np.asarray(face_model.uv, np.float64)
    if uv.min() < 0 or uv.max() > 1:
        raise ValueError(
            f"face model '{face_model.name}' has uv from {uv.min():.3g} to {uv.max():.3g}; "
            "expected 0 to 1, or no --outputs=uv_texture"
        )
    x, _, z = np.asarray(face_model.linear.mean, np.float64)
    distance = np.hypot(x - np.median(x), z - z.min())
    texels = np.stack([uv[:, 0] * size, (1.0 - uv[:, 1]) * size, distance])
    layout = face_surface(texels, face_model.triangles, height=size, width=size)
    covered = (layout.triangle_ids >= 0).sum() / size**2
    if covered < _SMALLEST_LAYOUT:
        raise ValueError(
            f"face model '{face_model.name}' has no usable uv layout: its triangles cover "
            f"{covered:.1%} of the texture; give the model uv (n, 2), or leave uv_texture out"
        )
    return layout


def _keeps_shape_mirrored(face_model: FaceModel) -> np.ndarray:
    """Which triangles the mirror table carries to about as small a triangle: ``(t,)`` bool.

    Where a mesh is not quite symmetric (BFM at the lips and the nostrils), corners that are
    neighbours have mirror images that are not: a triangle between those would be a smear.
    """
    mean = np.asarray(face_model.linear.mean, np.float64).T
    corners = np.asarray(face_model.triangles)

    def longest_edge(triangles: np.ndarray) -> np.ndarray:
        points = mean[triangles]
        return np.linalg.norm(points - np.roll(points, 1, axis=1), axis=-1).max(axis=1)

    mirrored = longest_edge(np.asarray(face_model.mirror_vertices)[corners])
    return mirrored <= _LARGEST_STRETCH * longest_edge(corners)


def _over_layout(layout: FaceSurface, attributes: np.ndarray, size: int) -> np.ndarray:
    """Vertex attributes ``(k, n)`` at each texel: ``(k, size, size)`` float32, 0 outside."""
    values = np.zeros((len(attributes), size, size), np.float32)
    for tile, _, part in layout.tiles(attributes):
        values[(slice(None), *tile.slices)] = part
    return values


def _without_specks(mask: np.ndarray) -> np.ndarray:
    """A mask less its parts that are narrower than 2 % of its side."""
    side = max(2, len(mask) // 50)
    return cv2.morphologyEx(
        mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((side, side), np.uint8)
    ).astype(bool)


def _share_of_own(seen: np.ndarray, mirrored: np.ndarray, twin_seen: np.ndarray) -> np.ndarray:
    """How much of a texel's colour is its own, the rest its mirror image's: float32, 0 to 1.

    Towards a region that is mirrored the colours of the two sides mix, so that no seam shows
    where the light differs between them.
    """
    away = cv2.distanceTransform((~mirrored).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    mixed = np.where(twin_seen, (away / (_SEAM * len(seen))).clip(0, 1), 1.0)
    return np.where(seen, mixed, 0.0).astype(np.float32)


def _sampled(image: np.ndarray, places: np.ndarray, vertices: np.ndarray, size: int) -> np.ndarray:
    """The photograph at ``(2 or more, size, size)`` places, bilinear: ``(size, size, 3)`` uint8."""
    height, width = image.shape[:2]
    # All pixels that bilinear sampling mixes: a position at a pixel's edge takes both sides of it.
    box = image_to_raster(vertices[:2])
    low = np.floor(box.min(axis=1)).clip(0, (width - 1, height - 1)).astype(int)
    high = np.ceil(box.max(axis=1)).clip(low, (width - 1, height - 1)).astype(int)
    cut = image[low[1] : high[1] + 1, low[0] : high[0] + 1]
    # Where a texel spans several pixels, their mean is sampled: single ones would be noise.
    shrink = max(1, int(np.ptp(vertices[:2], axis=1).max() / size))
    whole = -(-np.array(cut.shape[:2]) // shrink) * shrink
    padding = [(0, int(whole[0]) - cut.shape[0]), (0, int(whole[1]) - cut.shape[1]), (0, 0)]
    cut = np.pad(cut, padding, mode="edge")
    columns, rows = int(whole[1]) // shrink, int(whole[0]) // shrink
    cut = cv2.resize(cut, (columns, rows), interpolation=cv2.INTER_AREA)
    x, y = (image_to_raster((places[axis] - low[axis]) / shrink) for axis in range(2))
    return cv2.remap(
        cut,
        x.astype(np.float32),
        y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _filled(sampled: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Colours with the holes, and a margin around the layout, filled from what is known.

    Pull and push (Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4): means over ever
    coarser grids, then from the coarsest back each hole takes the next coarser grid's value.
    """
    known = (origin >= Origin.MIRRORED).astype(np.float32)
    levels: list[tuple[np.ndarray, np.ndarray]] = [(sampled * known[..., None], known)]
    while min(levels[-1][1].shape) > 1:
        # Shares of known colour, so that the sums divide to the mean of what is known.
        colour, weight = levels[-1]
        half = tuple(-(-side // 2) for side in weight.shape[::-1])
        levels.append(
            (
                cv2.resize(colour, half, interpolation=cv2.INTER_AREA),
                cv2.resize(weight, half, interpolation=cv2.INTER_AREA),
            )
        )
    colour, weight = levels.pop()
    filled = colour / np.maximum(weight, 1e-6)[..., None]
    while levels:
        colour, weight = levels.pop()
        filled = cv2.resize(filled, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
        share = weight[..., None]
        own = colour / np.maximum(share, 1e-6)
        filled = filled + (own - filled) * share.clip(0, 1)
    reach = 2 * round(_MARGIN * len(origin)) + 1
    kept = cv2.dilate((origin > 0).astype(np.uint8), np.ones((reach, reach), np.uint8))
    return (filled * kept[..., None]).clip(0, 255).round().astype(np.uint8)

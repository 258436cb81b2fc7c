"""Photographs made of labelled face crops, whose faces are known: what detectors are measured on.

A crop lies anywhere in a drawn background, at any size, turned in the plane, its edge faded out.
"""

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from twodasl_jax.crop_frame import CROP_SIZE, image_to_raster
from twodasl_jax.data.augment import warp_points
from twodasl_jax.rendering.backgrounds import photo_like_backgrounds

LEAST_VISIBLE = 30
"""Fewest labelled points of a face that is used."""

YAW_BINS = ((0.0, 30.0), (30.0, 60.0), (60.0, 180.0))

PICTURE = (960, 960)
GROUP, GROUP_PICTURE = 12, (1600, 1200)

_EDGE = 10
"""Crop pixels over which a crop fades into the background."""


class LabelledCrops(NamedTuple):
    """Crops, their visible points (NaN elsewhere; crop pixels) and yaws (degrees)."""

    crops: np.ndarray
    points: np.ndarray
    yaw_degrees: np.ndarray


class PlacedFace(NamedTuple):
    """A crop in a picture.

    Attributes:
      points: ``(68, 2)`` its visible points in the picture, NaN elsewhere.
      roi_box: ``(4,)`` the square with the crop's middle and side, as if it were not turned.
      turn_degrees: of the picture, counterclockwise, that makes the crop upright again.
      yaw_degrees: of the head.
    """

    points: np.ndarray
    roi_box: np.ndarray
    turn_degrees: float
    yaw_degrees: float


def read_crops(
    folder: Path, count: int, seed: int, *, yaw_bin: tuple[float, float] | None = None
) -> LabelledCrops:
    """A random choice of the faces with enough visible labels of 68.

    Args:
      folder: ``crops.tar`` and ``annotations.npz``, as of ``kind="crops"``.
      count: faces to choose, or all where there are fewer.
      seed: of the choice.
      yaw_bin: bounds of the absolute yaw, degrees (above the first); None is any.
    """
    labels = dict(np.load(folder / "annotations.npz"))
    visible = labels["landmarks68_visibility"] >= 1
    usable = visible.sum(axis=1) >= LEAST_VISIBLE
    yaws = labels["yaw_degrees"].astype(np.float64)
    if yaw_bin is not None:
        least = -1.0 if yaw_bin[0] == 0 else yaw_bin[0]
        usable &= (np.abs(yaws) > least) & (np.abs(yaws) <= yaw_bin[1])
    order = np.random.default_rng(seed).permutation(np.flatnonzero(usable))
    chosen = np.sort(order[:count])
    wanted = [Path(str(labels["file_name"][index])).stem for index in chosen]
    pictures = {}
    with tarfile.open(folder / "crops.tar") as archive:
        for member in archive:
            if Path(member.name).stem in set(wanted):
                data = archive.extractfile(member).read()  # pyright: ignore
                picture = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
                pictures[Path(member.name).stem] = picture
    points = np.where(visible[..., None], labels["landmarks68_crop_px"], np.nan)[chosen]
    crops = np.stack([pictures[name] for name in wanted])
    return LabelledCrops(crops, points.astype(np.float64), yaws[chosen])


def background(generator: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A drawn picture without a face, ``(height, width, 3)``; size is width, height."""
    square = photo_like_backgrounds(generator, 1, size=max(size))[0]
    return np.ascontiguousarray(square[: size[1], : size[0]])


def place(
    picture: np.ndarray,
    faces: LabelledCrops,
    index: int,
    *,
    middle: Sequence[float],
    side: float,
    turn_degrees: float,
) -> PlacedFace:
    """Lays a crop into a picture, in place.

    Args:
      picture: ``(height, width, 3)`` uint8.
      faces: the crops.
      index: which of them.
      middle: where its middle comes to lie, x, y.
      side: which it gets, pixels.
      turn_degrees: of the picture, counterclockwise, that would make it upright again.
    """
    whole = max(round(side), 1)
    how = cv2.INTER_AREA if whole < CROP_SIZE else cv2.INTER_CUBIC
    crop = cv2.resize(faces.crops[index], (whole, whole), interpolation=how)
    fade = np.minimum(np.arange(CROP_SIZE), np.arange(CROP_SIZE)[::-1]) / _EDGE
    fade = np.minimum(fade[:, None], fade[None]).clip(0, 1).astype(np.float32)
    fade = cv2.resize(fade, (whole, whole), interpolation=cv2.INTER_LINEAR)
    warp = cv2.getRotationMatrix2D((whole / 2, whole / 2), -turn_degrees, 1.0)
    warp[:, 2] += np.asarray(middle) - whole / 2
    raster = np.column_stack([warp[:, :2], image_to_raster(warp[:, :2] @ (0.5, 0.5) + warp[:, 2])])
    size = picture.shape[1::-1]
    share = cv2.warpAffine(fade, raster, size)[..., None]
    laid = cv2.warpAffine(crop, raster, size, borderMode=cv2.BORDER_REPLICATE)
    picture[:] = np.round(share * laid + (1 - share) * picture).astype(np.uint8)
    scaled = np.column_stack([warp[:, :2] * (whole / CROP_SIZE), warp[:, 2]])
    half = whole / 2
    return PlacedFace(
        warp_points(faces.points[index], scaled).astype(np.float64),
        np.array([middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half]),
        turn_degrees,
        float(faces.yaw_degrees[index]),
    )


def read_bins(folder: Path, count: int, seed: int) -> list[LabelledCrops]:
    """The same number of faces of each yaw bin."""
    return [read_crops(folder, count, seed, yaw_bin=yaw_bin) for yaw_bin in YAW_BINS]


def single(
    faces: LabelledCrops, index: int, side: float, turn: float
) -> tuple[np.ndarray, list[PlacedFace]]:
    """A picture with one face somewhere in it; the same for each side and turn but for these."""
    generator = np.random.default_rng(index)
    picture = background(generator, PICTURE)
    reach = min(side / 2, PICTURE[0] / 2)
    middle = generator.uniform(reach, PICTURE[0] - reach, 2)
    return picture, [place(picture, faces, index, middle=middle, side=side, turn_degrees=turn)]


def group(faces: LabelledCrops, number: int) -> tuple[np.ndarray, list[PlacedFace]]:
    """A picture of twelve faces, their crops of 60 to 300 pixels; of the first, the next twelve."""
    generator = np.random.default_rng(number)
    picture = background(generator, GROUP_PICTURE)
    placed = []
    for k in range(GROUP):
        corner = np.array([200 + 400 * (k % 4), 200 + 400 * (k // 4)])
        middle = corner + generator.uniform(-40, 40, 2)
        side = np.exp(generator.uniform(np.log(60), np.log(300)))
        index, turn = (GROUP * number + k) % len(faces.crops), generator.uniform(-20, 20)
        placed.append(place(picture, faces, index, middle=middle, side=side, turn_degrees=turn))
    return picture, placed

"""From a photograph to a face in it: load, crop, predict, carry back to image pixels.

The network comes in as a plain function over crops, so nothing here knows checkpoints,
whitening or landmark maps.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from absl import logging
from PIL import Image, ImageOps, UnidentifiedImageError

from twodasl_jax.coefficients import NUM_COEFFICIENTS, split_coefficients
from twodasl_jax.crop_frame import crop_to_image, depth_to_image
from twodasl_jax.data.face_crop import (
    crop_image,
    roi_box_from_detection,
    roi_box_from_landmarks,
)
from twodasl_jax.face_model.linear import vertices_from_coefficients
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.geometry.camera import CameraParts, camera_parts, head_pose, project_to_crop

PredictCrops = Callable[[np.ndarray], np.ndarray]
"""``(b, 120, 120, 3)`` uint8 RGB crops to ``(b, 62)`` raw coefficients."""

_SMALLEST_FACE_PX = 8.0
"""A refined crop with a shorter side than this holds no face: the prediction ran away."""


@dataclasses.dataclass(frozen=True)
class HeadPose:
    """Head pose in degrees, with the signs of 300W-LP's ``Pose_Para``."""

    pitch: float
    yaw: float
    roll: float


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """One face of one photograph; image pixels unless a name says otherwise.

    The *image frame* is x right, y down, z towards the viewer, in pixels of the photograph
    (depth scaled like x and y).

    Attributes:
      coefficients: ``(62,)`` raw, of the crop cut at `roi_box`.
      roi_box: ``(4,)`` ``(sx, sy, ex, ey)``: where the crop was cut.
      crop: ``(120, 120, 3)`` uint8 RGB: what the network saw.
      box: ``(4,)`` ``(x1, y1, x2, y2)`` where the face was first looked for: a detector's box, a
        given one, or the whole image's square.
      score: the detector's confidence in the box, 0 to 1; None where no detector gave it.
      landmarks: ``(68, 3)`` iBUG-68, image frame.
      vertices: ``(3, n)`` planar, image frame; ``face_model.triangles`` joins them.
      head_pose: degrees.
      camera: scale (crop pixels per model unit), rotation, translation, as numpy arrays.
    """

    coefficients: np.ndarray
    roi_box: np.ndarray
    crop: np.ndarray
    box: np.ndarray
    score: float | None
    landmarks: np.ndarray
    vertices: np.ndarray
    head_pose: HeadPose
    camera: CameraParts

    @property
    def landmarks_px(self) -> np.ndarray:
        """``(68, 2)``: the landmarks without depth."""
        return self.landmarks[:, :2]


def load_image(path: str | Path) -> np.ndarray:
    """Reads a photograph as RGB, upright.

    EXIF rotation is applied; grey, palette, CMYK and 16-bit images are converted;
    transparency is laid over white; of an animation the first frame is taken.

    Args:
      path: any format that Pillow reads.

    Returns:
      ``(height, width, 3)`` uint8.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is no image, is cut short, or is of a kind without a known range.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no image at {path}; expected the path of a JPEG, PNG or the like")
    try:
        with Image.open(path) as image:
            # exif_transpose reads all pixels: a file that is cut short fails here.
            upright = ImageOps.exif_transpose(image)
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is no image that Pillow can read; convert it to PNG") from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read to its end: {error}") from error
    return _rgb_array(upright, path)


def _rgb_array(image: Image.Image, path: Path) -> np.ndarray:
    if image.mode == "F":
        raise ValueError(
            f"{path} holds floating-point pixels, whose range is unknown; save it as 8 or 16 bit"
        )
    if image.mode == "I" or image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise ValueError(
                f"{path} holds values {grey.min()}..{grey.max()}; expected 16 bit, 0..65535"
            )
        return np.repeat((grey // 257).astype(np.uint8)[..., None], 3, axis=-1)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, rgba)
    return np.array(image.convert("RGB"))


def whole_image_box(height: int, width: int) -> np.ndarray:
    """The smallest centred square around an image: ``(4,)`` ``(sx, sy, ex, ey)``, pixels."""
    side = max(height, width)
    start = np.array([(width - side) / 2, (height - side) / 2])
    return np.concatenate([start, start + side]).round().astype(np.float32)


def reconstruction_from_coefficients(
    face_model: FaceModel,
    coefficients: np.ndarray,
    roi_box: np.ndarray,
    *,
    crop: np.ndarray,
    box: np.ndarray,
    score: float | None = None,
) -> Reconstruction:
    """Decodes, projects and carries one face back to the photograph.

    Args:
      face_model: the model the coefficients belong to.
      coefficients: ``(62,)`` raw (not whitened).
      roi_box: ``(4,)`` the crop they were predicted on, image pixels.
      crop: ``(120, 120, 3)`` uint8 RGB, its pixels.
      box: ``(4,)`` where the face was first looked for, image pixels.
      score: the detector's confidence in that box.

    Raises:
      ValueError: on a wrong shape, on values that are not finite, on an empty box.
    """
    coefficients = np.asarray(coefficients, np.float32)
    roi_box = np.asarray(roi_box, np.float32)
    if coefficients.shape != (NUM_COEFFICIENTS,) or roi_box.shape != (4,):
        raise ValueError(
            f"coefficients are {coefficients.shape} and roi_box {roi_box.shape}; expected "
            f"({NUM_COEFFICIENTS},) and (4,): one face at a time"
        )
    if not np.isfinite(coefficients).all():
        raise ValueError("the coefficients are not all finite; the network's weights are broken")
    _check_box(roi_box)
    parts = split_coefficients(jnp.asarray(coefficients))
    points = vertices_from_coefficients(face_model.linear, parts.shape, parts.expression)
    crop_vertices = np.asarray(project_to_crop(parts.camera, points))
    positions = crop_to_image(crop_vertices[:2].T, roi_box)
    depth = depth_to_image(crop_vertices[2], roi_box)
    vertices = np.concatenate([positions.T, depth[None]])
    angles = head_pose(parts.camera)
    return Reconstruction(
        coefficients=coefficients,
        roi_box=roi_box,
        crop=crop,
        box=np.asarray(box, np.float32),
        score=score,
        landmarks=vertices[:, np.asarray(face_model.landmark_vertices)].T,
        vertices=vertices,
        head_pose=HeadPose(*(float(np.degrees(angle)) for angle in angles)),
        camera=CameraParts(*(np.asarray(part) for part in camera_parts(parts.camera))),  # pyright: ignore[reportArgumentType]
    )


def predict_photo(
    image: np.ndarray,
    box: np.ndarray | None,
    predict_crops: PredictCrops,
    face_model: FaceModel,
    *,
    num_refinements: int = 2,
) -> Reconstruction:
    """Reconstructs the face of a photograph, given its box or, failing that, by re-cropping.

    Each refinement cuts the crop anew around the predicted landmarks, as training crops were
    cut. Without a box the search starts from the whole image: that finds one face that fills
    a good part of a portrait, not a small one in a crowd.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      box: ``(4,)`` a detector's ``(x1, y1, x2, y2)``, image pixels, or None.
      predict_crops: both passes of the network (the second fed with the landmark map of the
        first), from crops to raw coefficients.
      face_model: the model the coefficients belong to.
      num_refinements: how often to re-crop and predict again; 0 keeps the first crop.

    Raises:
      ValueError: on an image or box of the wrong kind, or when the predicted face shrinks to
        nothing or leaves the image.
    """
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"the image is {image.shape} {image.dtype}; expected (height, width, 3) uint8 RGB "
            "(load_image gives that)"
        )
    if num_refinements < 0:
        raise ValueError(f"num_refinements is {num_refinements}; expected 0 or more")
    if box is None:
        roi_box = start = whole_image_box(*image.shape[:2])
        logging.warning(
            "no face box was given: starting from the whole %d x %d image and re-cropping %d "
            "times; give the face's box for a reliable result",
            image.shape[1],
            image.shape[0],
            num_refinements,
        )
    else:
        start = np.asarray(box, np.float32)
        _check_box(start)
        roi_box = np.asarray(roi_box_from_detection(start), np.float32)
    reconstruction = _predict_at(image, roi_box, start, predict_crops, face_model)
    for _ in range(num_refinements):
        roi_box = np.asarray(roi_box_from_landmarks(reconstruction.landmarks_px), np.float32)
        _check_still_a_face(roi_box, image.shape)
        reconstruction = _predict_at(image, roi_box, start, predict_crops, face_model)
    return reconstruction


def _predict_at(
    image: np.ndarray,
    roi_box: np.ndarray,
    box: np.ndarray,
    predict_crops: PredictCrops,
    face_model: FaceModel,
) -> Reconstruction:
    crop = crop_image(image, roi_box)
    coefficients = np.asarray(predict_crops(crop[None]))
    if coefficients.shape != (1, NUM_COEFFICIENTS):
        raise ValueError(
            f"predict_crops gave {coefficients.shape} for one crop; expected "
            f"(1, {NUM_COEFFICIENTS})"
        )
    return reconstruction_from_coefficients(
        face_model, coefficients[0], roi_box, crop=crop, box=box
    )


def _check_box(box: np.ndarray) -> None:
    fits = box.shape == (4,) and np.isfinite(box).all()
    if not fits or (box[2:] - box[:2] < 1.0).any():
        raise ValueError(
            f"the box is {np.array2string(box, precision=1)}; expected four finite numbers "
            "(left, top, right, bottom) in image pixels, right and bottom at least 1 px further"
        )


def _check_still_a_face(roi_box: np.ndarray, image_shape: tuple[int, ...]) -> None:
    height, width = image_shape[:2]
    inside = (roi_box[:2] < (width, height)).all() and (roi_box[2:] > 0).all()
    side = (roi_box[2:] - roi_box[:2]).min()
    if not (inside and side >= _SMALLEST_FACE_PX):
        raise ValueError(
            f"re-cropping went to {np.array2string(roi_box, precision=1)} of a {width} x {height} "
            "image, where no face can be; give the face's box, or num_refinements=0"
        )

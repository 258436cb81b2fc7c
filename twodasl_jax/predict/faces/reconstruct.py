"""From coefficients to faces in a photograph: decode, project, carry back to image pixels."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from twodasl_jax.coefficients import NUM_COEFFICIENTS, split_coefficients
from twodasl_jax.crop_frame import CROP_SIZE, crop_to_image, depth_to_image
from twodasl_jax.face_model.linear import vertices_from_coefficients
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.geometry.camera import CameraParts, camera_parts, project_to_crop
from twodasl_jax.geometry.rotation import EulerAngles, euler_from_rotation
from twodasl_jax.methods.method import Faces


@dataclasses.dataclass(frozen=True)
class HeadPose:
    """Head pose in degrees, with the signs of 300W-LP's ``Pose_Para``."""

    pitch: float
    yaw: float
    roll: float


@dataclasses.dataclass(frozen=True, eq=False)  # arrays have no single equality
class Reconstruction:
    """One face of one photograph; image pixels unless a name says otherwise.

    The *image frame* is x right, y down, z towards the viewer, in pixels of the photograph
    (depth scaled like x and y); it is continuous: pixel c spans c to c + 1.

    Attributes:
      coefficients: ``(62,)`` raw, of the crop cut at `roi_box`.
      roi_box: ``(4,)`` ``(sx, sy, ex, ey)``: where the crop was cut.
      crop: ``(120, 120, 3)`` uint8 RGB, cut at `roi_box`: what the network saw, up to the turn.
      box: ``(4,)`` ``(x1, y1, x2, y2)`` where the face was first looked for: a detector's box, a
        given one, or the middle of the whole image.
      score: the detector's confidence in the box, 0 to 1; None where no detector gave it.
      fit_confidence: the estimated probability that the landmarks' NME is under 10 %
        (`predict.faces.fit_confidence`); None for coefficients that came from elsewhere.
      turn_degrees: the network saw the photograph turned by so much, counterclockwise about the
        middle of `roi_box`, for an upright head; all else here is of the photograph as it is.
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
    fit_confidence: float | None = None
    turn_degrees: float = 0.0

    @property
    def landmarks_px(self) -> np.ndarray:
        """``(68, 2)``: the landmarks without depth."""
        return self.landmarks[:, :2]


class CropFaces(NamedTuple):
    """What a batch of crops shows; ``jax.device_get`` of it has numpy arrays.

    Attributes:
      coefficients: ``(b, 62)`` raw.
      vertices: ``(b, 3, n)`` crop frame, pixels.
      camera: scale, rotation and translation of each.
      head_pose: radians.
    """

    coefficients: Float[Array, "b 62"]
    vertices: Float[Array, "b 3 n"]
    camera: CameraParts
    head_pose: EulerAngles


ReconstructCrops = Callable[[np.ndarray, np.ndarray], CropFaces]
"""``(b, 120, 120, 3)`` uint8 crops and ``(b, 18, 2)`` landmarks (NaN: unknown) to their faces."""


def crop_faces(faces: Faces) -> CropFaces:
    """Projects a batch of faces; pure, to be compiled.

    Args:
      faces: as a method predicts them.
    """
    camera = camera_parts(faces.camera)
    flat = faces.camera.reshape(*faces.camera.shape[:-2], -1)
    return CropFaces(
        jnp.concatenate([flat, faces.code], axis=-1),
        project_to_crop(faces.camera, faces.points),
        camera,
        euler_from_rotation(camera.rotation),
    )


def decode_crops(face_model: FaceModel, coefficients: Float[Array, "b 62"]) -> CropFaces:
    """Decodes and projects a batch of faces; pure, to be compiled (`_decode` is).

    Args:
      face_model: the model the coefficients belong to.
      coefficients: raw (not whitened).
    """
    parts = split_coefficients(coefficients)
    points = vertices_from_coefficients(face_model.linear, parts.shape, parts.expression)
    code = jnp.concatenate([parts.shape, parts.expression], axis=-1)
    return crop_faces(Faces(parts.camera, points, code))


# Compiled once for each face model and number of faces, whoever calls.
_decode = jax.jit(decode_crops)


def carry_to_image(
    faces: CropFaces,
    index: int,
    roi_box: np.ndarray,
    *,
    face_model: FaceModel,
    crop: np.ndarray,
    box: np.ndarray,
    score: float | None,
) -> Reconstruction:
    """One face of a batch, carried back to the photograph.

    Args:
      faces: of a batch, as numpy arrays.
      index: which one.
      roi_box: ``(4,)`` where its crop was cut, image pixels.
      face_model: the model the coefficients belong to.
      crop: ``(120, 120, 3)`` uint8 RGB, its pixels.
      box: ``(4,)`` where the face was first looked for, image pixels.
      score: the detector's confidence in that box.

    Raises:
      ValueError: on values that are not finite, on an empty box.
    """
    if not np.isfinite(faces.coefficients[index]).all():
        raise ValueError("the coefficients are not all finite; the network's weights are broken")
    roi_box = np.asarray(roi_box, np.float32)
    check_box(roi_box)
    planar = faces.vertices[index]
    positions = crop_to_image(planar[:2].T, roi_box)
    vertices = np.concatenate([positions.T, depth_to_image(planar[2], roi_box)[None]])
    angles = (float(np.degrees(angle[index])) for angle in faces.head_pose)
    return Reconstruction(
        coefficients=np.asarray(faces.coefficients[index]),
        roi_box=roi_box,
        crop=crop,
        box=np.asarray(box, np.float32),
        score=score,
        landmarks=vertices[:, np.asarray(face_model.landmark_vertices)].T,
        vertices=vertices,
        head_pose=HeadPose(*angles),
        camera=CameraParts(*(part[index] for part in faces.camera)),
    )


def reconstruction_from_coefficients(
    face_model: FaceModel,
    coefficients: np.ndarray,
    roi_box: np.ndarray,
    *,
    crop: np.ndarray | None = None,
    box: np.ndarray | None = None,
    score: float | None = None,
    fit_confidence: float | None = None,
    turn_degrees: float = 0.0,
) -> Reconstruction:
    """Decodes, projects and carries one face of known coefficients back to the photograph.

    Args:
      face_model: the model the coefficients belong to.
      coefficients: ``(62,)`` raw (not whitened).
      roi_box: ``(4,)`` the crop they belong to, image pixels.
      crop: ``(120, 120, 3)`` uint8 RGB, its pixels; black where None.
      box: ``(4,)`` where the face was first looked for, image pixels; `roi_box` where None.
      score: the detector's confidence in that box.
      fit_confidence: as in `Reconstruction`.
      turn_degrees: as in `Reconstruction`; the coefficients are of the crop without the turn.

    Raises:
      ValueError: on a wrong shape, on values that are not finite, on an empty box.
    """
    coefficients = np.asarray(coefficients, np.float32)
    if coefficients.shape != (NUM_COEFFICIENTS,) or np.shape(roi_box) != (4,):
        raise ValueError(
            f"coefficients are {coefficients.shape} and roi_box {np.shape(roi_box)}; expected "
            f"({NUM_COEFFICIENTS},) and (4,): one face at a time"
        )
    face = carry_to_image(
        jax.device_get(_decode(face_model, jnp.asarray(coefficients)[None])),
        0,
        roi_box,
        face_model=face_model,
        crop=np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8) if crop is None else crop,
        box=roi_box if box is None else box,
        score=score,
    )
    return dataclasses.replace(face, fit_confidence=fit_confidence, turn_degrees=turn_degrees)


def check_box(box: np.ndarray) -> None:
    """Refuses a box that frames nothing.

    Raises:
      ValueError: naming what came.
    """
    fits = np.shape(box) == (4,) and np.isfinite(box).all()
    if not fits or (box[2:] - box[:2] < 1.0).any():
        raise ValueError(
            f"the box is {np.array2string(np.asarray(box), precision=1)}; expected four finite "
            "numbers (left, top, right, bottom) in image pixels, right and bottom at least 1 px "
            "further"
        )

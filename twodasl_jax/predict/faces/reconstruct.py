"""From a method's faces of crops to faces in a photograph: project, carry back to image pixels."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jaxtyping import Array, Float

from twodasl_jax.crop_frame import crop_to_image, depth_to_image
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
      camera_matrix: ``(3, 4)`` ``[M | t]`` from model points to the view frame (y up) of the crop
        cut at `roi_box`.
      points: ``(3, n)`` planar, before the camera, in the face model's units.
      code: ``(k,)`` what the points were decoded from.
      roi_box: ``(4,)`` ``(sx, sy, ex, ey)``: where the crop was cut.
      crop: ``(size, size, 3)`` uint8 RGB, cut at `roi_box`: what the network saw, up to the turn.
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
      texture: ``(3, n)`` RGB of the points in [0, 1], where the method predicts it.
    """

    camera_matrix: np.ndarray
    points: np.ndarray
    code: np.ndarray
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
    texture: np.ndarray | None = None

    @property
    def coefficients(self) -> np.ndarray:
        """Camera and code in one row: 2DASL's 62."""
        return np.concatenate([self.camera_matrix.ravel(), self.code])

    @property
    def crop_size(self) -> int:
        """Side of the crop, pixels."""
        return len(self.crop)

    @property
    def landmarks_px(self) -> np.ndarray:
        """``(68, 2)``: the landmarks without depth."""
        return self.landmarks[:, :2]


class CropFaces(NamedTuple):
    """What a batch of crops shows; ``jax.device_get`` of it has numpy arrays.

    Attributes:
      faces: as the method predicted them.
      vertices: ``(b, 3, n)`` crop frame, pixels.
      camera: scale, rotation and translation of each.
      head_pose: radians.
    """

    faces: Faces
    vertices: Float[Array, "b 3 n"]
    camera: CameraParts
    head_pose: EulerAngles

    @property
    def coefficients(self) -> np.ndarray:
        """``(b, k)`` camera and code joined: 2DASL's 62; of numpy arrays."""
        flat = np.reshape(self.faces.camera, (len(self.faces.camera), -1))
        return np.concatenate([flat, self.faces.code], axis=1)


class ReconstructCrops(Protocol):
    """A network on crops."""

    @property
    def crop_size(self) -> int:
        """Side of its crops, pixels."""
        ...

    def __call__(self, crops: np.ndarray, landmarks: np.ndarray, /) -> CropFaces:
        """The faces of ``(b, size, size, 3)`` uint8 crops and ``(b, 18, 2)`` landmarks.

        NaN is an unknown landmark; all arrays that come back are numpy's.
        """
        ...


Decode = Callable[[np.ndarray, np.ndarray], Faces]
"""``(b, 3, 4)`` cameras and ``(b, k)`` codes to faces as numpy arrays: a method's decoder."""


def crop_faces(faces: Faces, *, crop_size: int) -> CropFaces:
    """Projects a batch of faces; pure, to be compiled.

    Args:
      faces: as a method predicts them.
      crop_size: side of its crops, pixels.
    """
    camera = camera_parts(faces.camera)
    return CropFaces(
        faces,
        project_to_crop(faces.camera, faces.points, crop_size=crop_size),
        camera,
        euler_from_rotation(camera.rotation),
    )


# Compiled once for each number of faces and points, whoever calls.
_project = jax.jit(crop_faces, static_argnames="crop_size")


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
      face_model: whose vertices the points are.
      crop: ``(size, size, 3)`` uint8 RGB, its pixels.
      box: ``(4,)`` where the face was first looked for, image pixels.
      score: the detector's confidence in that box.

    Raises:
      ValueError: on values that are not finite, on an empty box.
    """
    face: Faces = jax.tree.map(lambda array: np.asarray(array[index]), faces.faces)
    if not all(np.isfinite(part).all() for part in (face.camera, face.code, face.points)):
        raise ValueError("the coefficients are not all finite; the network's weights are broken")
    size = len(crop)
    roi_box = np.asarray(roi_box, np.float32)
    check_box(roi_box)
    planar = faces.vertices[index]
    positions = crop_to_image(planar[:2].T, roi_box, crop_size=size)
    depth = depth_to_image(planar[2], roi_box, crop_size=size)
    vertices = np.concatenate([positions.T, depth[None]])
    angles = (float(np.degrees(angle[index])) for angle in faces.head_pose)
    return Reconstruction(
        camera_matrix=face.camera,
        points=face.points,
        code=face.code,
        roi_box=roi_box,
        crop=crop,
        box=np.asarray(box, np.float32),
        score=score,
        landmarks=vertices[:, np.asarray(face_model.landmark_vertices)].T,
        vertices=vertices,
        head_pose=HeadPose(*angles),
        camera=CameraParts(*(part[index] for part in faces.camera)),
        texture=face.texture,
    )


def under_another_camera(
    face: Reconstruction, camera: np.ndarray, face_model: FaceModel, **changes: Any
) -> Reconstruction:
    """The same points seen by another camera of the same crop, carried to the photograph anew.

    Args:
      face: whose crop, boxes and confidence stay.
      camera: ``(3, 4)`` as `Reconstruction.camera_matrix`.
      face_model: its own.
      changes: other attributes: points and code that were changed too, another crop.

    Raises:
      ValueError: on values that are not finite.
    """
    face = dataclasses.replace(face, **changes)
    texture = None if face.texture is None else face.texture[None]
    moved = Faces(np.asarray(camera, np.float32)[None], face.points[None], face.code[None], texture)
    carried = carry_to_image(
        jax.device_get(_project(moved, crop_size=face.crop_size)),
        0,
        face.roi_box,
        face_model=face_model,
        crop=face.crop,
        box=face.box,
        score=face.score,
    )
    return dataclasses.replace(
        carried, fit_confidence=face.fit_confidence, turn_degrees=face.turn_degrees
    )


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

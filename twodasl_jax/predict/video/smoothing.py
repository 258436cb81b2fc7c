"""A face over time without jitter: which of its numbers are filtered, and how.

Camera and code are not filtered as they stand. The camera belongs to a crop that moves from frame
to frame, so a face at rest has a camera that changes, and the elementwise mean of two cameras
``[f·R | t]`` is no camera: its rows are neither orthogonal nor of one length. Filtering 53,215
vertices would keep neither pose nor coefficients in step with the picture. So the face is taken
apart in the frame of the video, each part is filtered by its own nature, and the face is decoded
anew: landmarks, vertices, pose and coefficients then agree.

- where it is: the projected centre of the mean face, jointly, in shares of the face's size;
- how large it is: the logarithm of the scale;
- how it is turned: the nine entries of the rotation jointly, and the nearest rotation to the
  result. That is the chordal mean of the rotations seen, without the jumps that angles have;
- its stretch: the network's matrix ``M`` is not quite ``f·R``, and landmarks fit worse where it is
  made so. What is left of it, the symmetric ``Rᵀ·M/f``, is filtered and put back;
- the code's expression: each entry, its speed measured by how far it moves the face;
- the rest of the code, a person's shape, the same in all frames: a low cutoff that does not rise.
"""

from collections.abc import Mapping

import numpy as np

from twodasl_jax.crop_frame import crop_to_image, flip_y, image_to_crop
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.predict.faces.reconstruct import Decode, Reconstruction, under_another_camera
from twodasl_jax.predict.video.one_euro import OneEuroFilter


class FaceSmoother:
    """Smooths one person's reconstructions, frame after frame."""

    def __init__(
        self, face_model: FaceModel, decode: Decode, code_layout: Mapping[str, slice]
    ) -> None:
        """Prepares the filters.

        Args:
          face_model: whose vertices the faces' points are.
          decode: the method's, of cameras and codes.
          code_layout: the method's: where in the code the expression is, if anywhere.
        """
        self._face_model, self._decode = face_model, decode
        self._moving = code_layout.get("expression", slice(0, 0))
        marks = np.asarray(face_model.landmark_vertices)
        mean = np.asarray(face_model.linear.mean, np.float64)[:, marks]
        self._anchor = mean.mean(axis=1)
        # The longer side of the mean face's landmarks, in model units.
        self._model_size = float(np.ptp(mean[:2], axis=1).max())
        self._expression_unit: np.ndarray | None = None
        # Speeds are in face sizes, e-folds and √2·radians per second.
        self._centre = OneEuroFilter(min_cutoff=1.0, beta=12.0, joint=True)
        self._log_scale = OneEuroFilter(min_cutoff=1.0, beta=12.0)
        self._rotation = OneEuroFilter(min_cutoff=1.0, beta=3.0, joint=True)
        self._stretch = OneEuroFilter(min_cutoff=1.0, beta=0.0)
        self._expression = OneEuroFilter(min_cutoff=2.0, beta=30.0)
        self._shape = OneEuroFilter(min_cutoff=0.3, beta=0.0)

    def __call__(self, face: Reconstruction, time: float) -> Reconstruction:
        """The face as smoothed up to now, in the same crop.

        Args:
          face: of the frame.
          time: of the frame, seconds; later than in the call before.

        Raises:
          ValueError: for a face whose crop is no square, or time that runs backwards.
        """
        sides = np.asarray(face.roi_box[2:] - face.roi_box[:2], np.float64)
        if abs(sides[0] - sides[1]) > 1e-3 * sides[0]:
            raise ValueError(f"the crop is {sides[0]} x {sides[1]} pixels; expected a square")
        camera = self._smooth_camera(face, sides[0] / face.crop_size, time)
        code = self._smooth_code(face.code, time)
        decoded = self._decode(camera[None].astype(np.float32), code[None])
        texture = None if decoded.texture is None else decoded.texture[0]
        changes = {"points": decoded.points[0], "code": code, "texture": texture}
        return under_another_camera(face, camera, self._face_model, **changes)

    def _smooth_camera(self, face: Reconstruction, ratio: float, time: float) -> np.ndarray:
        """``(3, 4)`` of the same crop; `ratio` is image pixels per crop pixel."""
        size = face.crop_size
        scale, rotation = (np.asarray(part, np.float64) for part in face.camera[:2])
        camera, roi_box = face.camera_matrix.astype(np.float64), face.roi_box.astype(np.float64)
        matrix, translation = camera[:, :3], camera[:, 3]
        anchor = matrix @ self._anchor + translation
        position = np.array([anchor[0], flip_y(anchor[1], crop_size=size)])
        centre = crop_to_image(position[None], roi_box, crop_size=size)[0]
        centre = self._centre(centre, time, unit=self._model_size * float(scale) * ratio)
        smooth_scale = np.exp(self._log_scale(np.log(scale * ratio), time)) / ratio
        smooth_rotation = _nearest_rotation(self._rotation(rotation, time))
        stretch = self._stretch(rotation.T @ matrix / scale, time)
        matrix = smooth_scale * smooth_rotation @ stretch
        x, y = image_to_crop(centre[None], roi_box, crop_size=size)[0]
        there = np.array([x, flip_y(y, crop_size=size), anchor[2]])
        return np.column_stack([matrix, there - matrix @ self._anchor])

    def _smooth_code(self, code: np.ndarray, time: float) -> np.ndarray:
        smooth = np.array(code)
        moving = np.zeros(len(code), bool)
        moving[self._moving] = True
        if not moving.all():
            smooth[~moving] = self._shape(code[~moving], time)
        if moving.any():
            if self._expression_unit is None:
                self._expression_unit = self._model_size / self._reach(len(code))
            smooth[moving] = self._expression(code[moving], time, unit=self._expression_unit)
        return smooth

    def _reach(self, length: int) -> np.ndarray:
        """How far a unit of each entry of the expression moves the 68 landmarks, model units."""
        steps = np.eye(length, dtype=np.float32)[self._moving]
        codes = np.concatenate([np.zeros((1, length), np.float32), steps])
        cameras = np.tile(np.eye(3, 4, dtype=np.float32), (len(codes), 1, 1))
        marks = np.asarray(self._face_model.landmark_vertices)
        points = self._decode(cameras, codes).points[..., marks].astype(np.float64)
        moved = points[1:] - points[:1]
        reach = np.sqrt((moved**2).sum(axis=1).mean(axis=-1))
        return np.maximum(reach, 1e-9 * self._model_size)


def _nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """The polar factor; a mean of rotations less than 180 degrees apart has a positive one."""
    left, _, right = np.linalg.svd(matrix)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    return (left * signs) @ right

"""A face over time without jitter: which of its numbers are filtered, and how.

The 62 coefficients are not filtered as they stand. They belong to a crop that moves from frame to
frame, so a face at rest has a camera that changes, and the elementwise mean of two cameras
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
- expression: each coefficient, its speed measured by how far it moves the face;
- shape: a person's, the same in all frames: a low cutoff that does not rise.
"""

import numpy as np

from twodasl_jax.coefficients import CAMERA, EXPRESSION, SHAPE
from twodasl_jax.crop_frame import CROP_SIZE, crop_to_image, flip_y, image_to_crop
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.predict.faces.reconstruct import Reconstruction, reconstruction_from_coefficients
from twodasl_jax.predict.video.one_euro import OneEuroFilter


class FaceSmoother:
    """Smooths one person's reconstructions, frame after frame."""

    def __init__(self, face_model: FaceModel) -> None:
        """Prepares the filters.

        Args:
          face_model: the model that the coefficients belong to.
        """
        self._face_model = face_model
        marks = np.asarray(face_model.landmark_vertices)
        mean = np.asarray(face_model.linear.mean, np.float64)[:, marks]
        self._anchor = mean.mean(axis=1)
        # The longer side of the mean face's landmarks, in model units.
        size = float(np.ptp(mean[:2], axis=1).max())
        basis = np.asarray(face_model.linear.expression_basis)[..., marks].astype(np.float64)
        reach = np.sqrt((basis**2).sum(axis=1).mean(axis=-1))
        self._expression_unit = size / np.maximum(reach, 1e-9 * size)
        self._model_size = size
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
        ratio = sides[0] / CROP_SIZE  # image pixels per crop pixel
        scale, rotation = (np.asarray(part, np.float64) for part in face.camera[:2])
        camera = face.coefficients[CAMERA].astype(np.float64).reshape(3, 4)
        matrix, translation = camera[:, :3], camera[:, 3]
        anchor = matrix @ self._anchor + translation
        position = np.array([anchor[0], flip_y(anchor[1])])
        centre = crop_to_image(position[None], face.roi_box.astype(np.float64))[0]
        size = self._model_size * float(scale) * ratio
        centre = self._centre(centre, time, unit=size)
        smooth_scale = np.exp(self._log_scale(np.log(scale * ratio), time)) / ratio
        smooth_rotation = _nearest_rotation(self._rotation(rotation, time))
        stretch = self._stretch(rotation.T @ matrix / scale, time)
        matrix = smooth_scale * smooth_rotation @ stretch
        x, y = image_to_crop(centre[None], face.roi_box.astype(np.float64))[0]
        translation = np.array([x, flip_y(y), anchor[2]]) - matrix @ self._anchor
        coefficients = np.empty_like(face.coefficients)
        coefficients[CAMERA] = np.column_stack([matrix, translation]).ravel()
        coefficients[SHAPE] = self._shape(face.coefficients[SHAPE], time)
        coefficients[EXPRESSION] = self._expression(
            face.coefficients[EXPRESSION], time, unit=self._expression_unit
        )
        return reconstruction_from_coefficients(
            self._face_model,
            coefficients,
            face.roi_box,
            crop=face.crop,
            box=face.box,
            score=face.score,
            fit_confidence=face.fit_confidence,
            turn_degrees=face.turn_degrees,
        )


def _nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """The polar factor; a mean of rotations less than 180 degrees apart has a positive one."""
    left, _, right = np.linalg.svd(matrix)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    return (left * signs) @ right

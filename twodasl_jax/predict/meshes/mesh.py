"""The reconstructed face as a mesh: its vertices in millimetres, coloured by the photograph."""

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.spatial import KDTree

from twodasl_jax.crop_frame import image_to_raster
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.predict.faces.reconstruct import Reconstruction
from twodasl_jax.predict.pictures.visibility import FaceNotShownError, in_picture, visible_vertices


def mesh_vertices(reconstruction: Reconstruction, face_model: FaceModel) -> np.ndarray:
    """The face in millimetres: x right, y up; it looks along +z, however the head was turned.

    Args:
      reconstruction: whose points they are.
      face_model: the model it belongs to.

    Returns:
      ``(n, 3)`` float32, centred on the mean vertex.
    """
    points = reconstruction.points.astype(np.float64)
    points = points / face_model.units_per_millimetre
    points -= points.mean(axis=1, keepdims=True)
    return points.T.astype(np.float32)


def colours_from_photo(
    image: np.ndarray, reconstruction: Reconstruction, face_model: FaceModel
) -> np.ndarray:
    """Samples the photograph at each vertex.

    A vertex that the photograph does not show takes its left-right mirror image's colour, and
    where that is hidden too, the colour of the nearest coloured vertex.

    Args:
      image: ``(height, width, 3)`` uint8 RGB, the photograph of the reconstruction.
      reconstruction: where its vertices are.
      face_model: its triangles and mirror vertices.

    Returns:
      ``(n, 3)`` uint8 sRGB.

    Raises:
      FaceNotShownError: when not one vertex is seen in the picture.
    """
    height, width = image.shape[:2]
    x, y = image_to_raster(reconstruction.vertices[:2].astype(np.float32))
    seen = visible_vertices(reconstruction, face_model)
    seen &= in_picture(reconstruction.vertices, height=height, width=width)
    if not seen.any():
        raise FaceNotShownError(
            f"no vertex of the face lies in the {width} x {height} picture; is it the photograph "
            "that the reconstruction was made from?"
        )
    # Not by cv2.remap: that refuses more than 32,767 points, and BFM has 53,215.
    sampled = np.stack(
        [map_coordinates(image[..., i], (y, x), order=1, mode="nearest") for i in range(3)],
        axis=-1,
    )
    mirror = np.asarray(face_model.mirror_vertices)
    source = np.where(seen, np.arange(seen.size), np.where(seen[mirror], mirror, -1))
    unknown = source < 0
    if unknown.any():
        mean = np.asarray(face_model.linear.mean).T
        _, nearest = KDTree(mean[~unknown]).query(mean[unknown])
        source[unknown] = source[np.flatnonzero(~unknown)[nearest]]
    return sampled[source]

"""AFLW2000-3D: the benchmark's 2,000 photographs with fitted 3D faces and both label sets."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from twodasl_jax.coefficient_layout import NUM_COEFFICIENTS
from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.data.face_builder import FaceBuilder, array_feature
from twodasl_jax.data.original.aflw2000_3d import (
    Aflw2000Face,
    find_aflw2000_3d,
    read_aflw2000_3d,
)
from twodasl_jax.face_model.annotation import coefficients_of_face


class Builder(FaceBuilder):
    """Split ``test``, ordered by file name."""

    CROP_ENCODING = "png"

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    The folder AFLW2000 as its owners publish it, and beside it, if you have them, annotations.npz
    or the 3DDFA family's lists (README.md of this builder).
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(CROP_SIZE, CROP_SIZE, 3), encoding_format="png"
                    ),
                    "photo": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                    "file_name": tfds.features.Text(),
                    "coefficients": array_feature(NUM_COEFFICIENTS, doc="raw, of the crop"),
                    "landmarks": array_feature(68, 2, doc="crop px"),
                    "landmarks_px": array_feature(68, 3, doc="image px"),
                    "landmarks21_px": array_feature(21, 2, doc="image px, NaN where not visible"),
                    "visibility": tfds.features.Tensor(shape=(21,), dtype=np.bool_),
                    "has_landmarks21": tfds.features.Scalar(dtype=np.bool_),
                    "yaw_degrees": tfds.features.Scalar(dtype=np.float32),
                    "roi_box": array_feature(4, doc="sx, sy, ex, ey, image px"),
                    "roi_box_is_published": tfds.features.Scalar(dtype=np.bool_),
                    "image_height": tfds.features.Scalar(dtype=np.int32),
                    "pose_para": array_feature(7, doc="pitch, yaw, roll, tx, ty, tz, f"),
                    "shape_para": array_feature(199, doc="Shape_Para"),
                    "exp_para": array_feature(29, doc="Exp_Para"),
                    "benchmark_yaw_degrees": tfds.features.Scalar(dtype=np.float32),
                    "reannotated_landmarks_px": array_feature(68, 2, doc="image px or NaN"),
                    "has_reannotated": tfds.features.Scalar(dtype=np.bool_),
                    "detected_landmarks": array_feature(68, 2, doc="crop px or NaN"),
                    "has_detected": tfds.features.Scalar(dtype=np.bool_),
                }
            ),
            homepage="http://www.cbsr.ia.ac.cn/users/xiangyuzhu/projects/3DDFA/main.htm",
            disable_shuffling=True,
        )

    @staticmethod
    def find_faces(manual_dir: Path) -> dict[str, list[Aflw2000Face]]:
        """See `find_aflw2000_3d`."""
        return find_aflw2000_3d(manual_dir)

    @staticmethod
    def read_face(face: Aflw2000Face) -> dict[str, Any]:
        """See `read_aflw2000_3d`; adds the 62 coefficients."""
        fields = read_aflw2000_3d(face)
        return fields | {"coefficients": coefficients_of_face(fields)}

"""300W-LP: 122,450 photographs with fitted 3D faces, as crops with the 62 coefficients."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from twodasl_jax.coefficient_layout import NUM_COEFFICIENTS
from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.data.face_builder import FaceBuilder, array_feature
from twodasl_jax.data.original.w300_lp import W300LpFace, find_w300_lp, read_w300_lp
from twodasl_jax.face_model.annotation import coefficients_of_face


class Builder(FaceBuilder):
    """Split ``train``, ordered by folder and file name."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    The folder 300W_LP, with AFW, AFW_Flip, HELEN, HELEN_Flip, IBUG, IBUG_Flip, LFPW and LFPW_Flip
    in it, as its owners publish it (README.md of this builder).
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(CROP_SIZE, CROP_SIZE, 3), encoding_format="jpeg"
                    ),
                    "coefficients": array_feature(NUM_COEFFICIENTS, doc="raw, of the crop"),
                    "landmarks": array_feature(68, 2, doc="crop px"),
                    "landmark_source": tfds.features.Text(doc="pts_3d or pt2d"),
                    "file_name": tfds.features.Text(),
                    "subset": tfds.features.Text(),
                    "is_flipped": tfds.features.Scalar(dtype=np.bool_),
                    "roi_box": array_feature(4, doc="sx, sy, ex, ey, image px"),
                    "image_height": tfds.features.Scalar(dtype=np.int32),
                    "pose_para": array_feature(7, doc="pitch, yaw, roll, tx, ty, tz, f"),
                    "shape_para": array_feature(199, doc="Shape_Para"),
                    "exp_para": array_feature(29, doc="Exp_Para"),
                }
            ),
            homepage="http://www.cbsr.ia.ac.cn/users/xiangyuzhu/projects/3DDFA/main.htm",
            disable_shuffling=True,
        )

    @staticmethod
    def find_faces(manual_dir: Path) -> dict[str, list[W300LpFace]]:
        """See `find_w300_lp`."""
        return find_w300_lp(manual_dir)

    @staticmethod
    def read_face(face: W300LpFace) -> dict[str, Any]:
        """See `read_w300_lp`; adds the 62 coefficients."""
        fields = read_w300_lp(face)
        return fields | {"coefficients": coefficients_of_face(fields)}

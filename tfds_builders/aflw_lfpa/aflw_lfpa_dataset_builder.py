"""AFLW-LFPA: 1,299 test photographs with 34 points, as crops."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.data.face_builder import FaceBuilder, array_feature
from twodasl_jax.data.original.aflw_lfpa import LfpaFace, find_aflw_lfpa, read_aflw_lfpa


class Builder(FaceBuilder):
    """Split ``test``, ordered by image number."""

    CROP_ENCODING = "png"

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    The folder TestImages with BoundingBox.mat and Landmark.mat beside it, as their owners publish
    them (README.md of this builder).
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(CROP_SIZE, CROP_SIZE, 3), encoding_format="png"
                    ),
                    "landmarks34": array_feature(34, 2, doc="crop px, NaN where not visible"),
                    "landmarks34_px": array_feature(34, 2, doc="image px, NaN where not visible"),
                    "visibility": tfds.features.Tensor(shape=(34,), dtype=np.bool_),
                    "face_box": array_feature(4, doc="x1, y1, x2, y2, image px"),
                    "roi_box": array_feature(4, doc="sx, sy, ex, ey, image px"),
                    "file_name": tfds.features.Text(),
                }
            ),
            homepage="http://cvlab.cse.msu.edu/project-pifa.html",
            disable_shuffling=True,
        )

    @staticmethod
    def find_faces(manual_dir: Path) -> dict[str, list[LfpaFace]]:
        """See `find_aflw_lfpa`."""
        return find_aflw_lfpa(manual_dir)

    @staticmethod
    def read_face(face: LfpaFace) -> dict[str, Any]:
        """See `read_aflw_lfpa`."""
        return read_aflw_lfpa(face)

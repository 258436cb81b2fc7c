"""UMDFaces: 367,888 photographs with 21 points, as crops, in their three batches."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from twodasl_jax.crop_frame import CROP_SIZE
from twodasl_jax.data.face_builder import FaceBuilder, array_feature
from twodasl_jax.data.original.umdfaces import UmdFace, find_umdfaces, read_umdfaces


class Builder(FaceBuilder):
    """Splits ``batch1``, ``batch2``, ``batch3``, each in the order of its CSV file."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    The folders umdfaces_batch1, umdfaces_batch2 and umdfaces_batch3 with their
    umdfaces_batchK_ultraface.csv, as their owners publish them (README.md of this builder).
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(CROP_SIZE, CROP_SIZE, 3), encoding_format="jpeg"
                    ),
                    "landmarks21": array_feature(21, 2, doc="crop px, AFLW's order"),
                    "landmarks21_px": array_feature(21, 2, doc="image px, AFLW's order"),
                    "visibility": array_feature(21, doc="the CSV's VIS1 … VIS21"),
                    "face_box": array_feature(4, doc="x, y, width, height, image px"),
                    "roi_box": array_feature(4, doc="sx, sy, ex, ey, image px"),
                    "yaw_degrees": tfds.features.Scalar(dtype=np.float32),
                    "pitch_degrees": tfds.features.Scalar(dtype=np.float32),
                    "roll_degrees": tfds.features.Scalar(dtype=np.float32),
                    "subject_id": tfds.features.Scalar(dtype=np.int32),
                    "file_name": tfds.features.Text(),
                    "batch": tfds.features.Text(),
                }
            ),
            homepage="http://umdfaces.io",
            disable_shuffling=True,
        )

    @staticmethod
    def find_faces(manual_dir: Path) -> dict[str, list[UmdFace]]:
        """See `find_umdfaces`."""
        return find_umdfaces(manual_dir)

    @staticmethod
    def read_face(face: UmdFace) -> dict[str, Any]:
        """See `read_umdfaces`."""
        return read_umdfaces(face)

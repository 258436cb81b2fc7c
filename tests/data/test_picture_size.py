"""Sizes from headers are those of the pictures as OpenCV reads them."""

import cv2
import numpy as np
import pytest
from PIL import Image

from twodasl_jax.data.picture_size import picture_size


@pytest.mark.parametrize("orientation", [None, 1, 3, 6, 8])
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_agrees_with_opencv(tmp_path, ending, orientation):
    path, picture = tmp_path / f"p.{ending}", Image.new("RGB", (40, 30), (9, 99, 9))
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    picture.save(path, exif=exif)
    read = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert read is not None
    assert picture_size(path) == (read.shape[1], read.shape[0])


def test_what_is_no_picture_has_no_size(tmp_path):
    (tmp_path / "p.png").write_bytes(b"no picture")
    assert np.isnan(picture_size(tmp_path / "p.png")).all()
    assert np.isnan(picture_size(tmp_path / "absent.png")).all()

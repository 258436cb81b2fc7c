import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest

from twodasl_jax.user_files.picture import decode_picture, read_picture, size_of

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)


def png(width=None, height=None):
    """A small PNG whose head may tell another size."""
    encoded = bytearray(cv2.imencode(".png", PIXELS[..., ::-1])[1].tobytes())
    if width is not None:
        encoded[16:24] = struct.pack(">II", width, height)
        encoded[29:33] = struct.pack(">I", zlib.crc32(encoded[12:29]))
    return bytes(encoded)


def turned_jpeg():
    """With an EXIF block of one entry: orientation 6, a quarter turn."""
    encoded = cv2.imencode(".jpg", PIXELS)[1].tobytes()
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
    block = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01" + entry + bytes(4)
    return encoded[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + encoded[2:]


def test_pixels_are_those_of_the_file(tmp_path):
    (tmp_path / "x.png").write_bytes(png())
    np.testing.assert_array_equal(read_picture(tmp_path / "x.png"), PIXELS)
    assert size_of(png(), "x.png") == (40, 30)


def test_the_orientation_tag_counts_where_it_is_asked_for():
    assert decode_picture(turned_jpeg(), "x.jpg").shape == (30, 40, 3)
    assert decode_picture(turned_jpeg(), "x.jpg", upright=True).shape == (40, 30, 3)


@pytest.mark.parametrize(
    ("width", "height"), [(40_000, 30_000), (2**31 - 1, 2**31 - 1), (9000, 9000)]
)
def test_a_head_that_names_too_many_pixels_is_refused_before_decoding(width, height):
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"x\.png (has|is no complete image)"):
        decode_picture(png(width, height), "x.png")
    assert tracemalloc.get_traced_memory()[1] < 3e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", r"\(0 bytes\)$"),
        (b"words", "a text file"),
        (b"<html></html>", "a web page"),
        (png()[:60], "no complete image"),
        (png(0, 0), "no complete image"),
        (np.random.default_rng(0).bytes(500), "of no known kind"),
    ],
)
def test_what_is_no_picture_is_told(content, kind):
    with pytest.raises(ValueError, match=kind) as refused:
        decode_picture(content, "x.png")
    assert str(refused.value).startswith("x.png is no complete image")

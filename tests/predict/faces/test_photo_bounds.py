"""Pictures that would cost too much are refused by their headers, whatever kind they are."""

import io
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from twodasl_jax.predict.faces.photo import read_image
from twodasl_jax.predict.faces.photo_bounds import PhotoTooLargeError, count_scans


def file_of(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def picture(side=40):
    values = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    return Image.fromarray(values)


def png_of_size(width, height):
    data = bytearray(file_of(picture(), "PNG"))
    data[16:24] = struct.pack(">II", width, height)
    crc = zlib.crc32(data[12:29])
    data[29:33] = struct.pack(">I", crc)
    return bytes(data)


@pytest.mark.parametrize(
    "size", [(9000, 9000), (12000, 12000), (65535, 65535), (2**31 - 1, 1), (2**31 - 1, 2**31 - 1)]
)
def test_the_header_alone_refuses(size):
    tracemalloc.start()
    with pytest.raises(PhotoTooLargeError, match="expected at most 80 million"):
        read_image(io.BytesIO(png_of_size(*size)), "bomb.png")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e6


def test_pillow_adds_no_warning_of_its_own(tmp_path, repository):
    """In a process of its own: tests make errors of warnings."""
    (tmp_path / "bomb.png").write_bytes(png_of_size(12000, 12000))
    code = (
        "import sys; from twodasl_jax.predict.faces.photo import load_image; "
        "load_image(sys.argv[1])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "bomb.png")]
    run = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert "PhotoTooLargeError" in run.stderr
    assert "DecompressionBombWarning" not in run.stderr


def test_a_small_tiff_in_huge_tiles_is_refused():
    """libtiff's buffer is a whole tile: 3 GB for these."""
    data = bytearray(file_of(picture(), "TIFF", compression="tiff_deflate"))
    start = struct.unpack_from("<I", data, 4)[0]
    (count,) = struct.unpack_from("<H", data, start)
    entries = [bytes(data[start + 2 + 12 * k : start + 14 + 12 * k]) for k in range(count)]
    renamed = []
    for entry in entries:
        tag, kind, number, value = struct.unpack("<HHII", entry)
        if tag == 278:  # rows per strip: the tile's width and length stand in its place
            renamed.append(struct.pack("<HHII", 322, 4, 1, 32768))
            renamed.append(struct.pack("<HHII", 323, 4, 1, 32768))
        elif tag in (273, 279):  # where the strip lies, and its length
            renamed.append(struct.pack("<HHII", {273: 324, 279: 325}[tag], kind, number, value))
        else:
            renamed.append(entry)
    renamed.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
    directory = struct.pack("<H", len(renamed)) + b"".join(renamed) + bytes(4)
    struct.pack_into("<I", data, 4, len(data))
    with pytest.raises(PhotoTooLargeError, match="in tiles of 32768 x 32768"):
        read_image(io.BytesIO(bytes(data) + directory), "tiles.tif")


def test_a_progressive_jpeg_of_many_scans_is_refused():
    data = file_of(picture(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    with pytest.raises(PhotoTooLargeError, match=r"many.jpg is a progressive JPEG of \d+ scans"):
        read_image(io.BytesIO(data[:-2] + scan * 200 + b"\xff\xd9"), "many.jpg")
    assert read_image(io.BytesIO(data), "usual.jpg").shape == (40, 40, 3)


def test_scans_of_the_first_picture_are_counted_alone():
    thumbnail = file_of(picture(16), "JPEG", progressive=True)
    plain = file_of(picture(), "JPEG")
    exif = struct.pack(">H", len(thumbnail) + 2) + thumbnail
    inside = plain[:2] + b"\xff\xe1" + exif + plain[2:]
    assert count_scans(plain) == count_scans(inside) == count_scans(plain + thumbnail) == 1
    assert count_scans(file_of(picture(), "JPEG", progressive=True)) == 10
    assert count_scans(b"") == count_scans(b"\xff\xd8") == count_scans(b"\xff\xd8\xff\xda") - 1 == 0


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_many_frames_only_the_first_is_read(kind, monkeypatch):
    frames = [Image.new("RGB", (50, 40), (level, 0, 255 - level)) for level in range(60)]
    data = file_of(frames[0], kind, save_all=True, append_images=frames[1:])
    tracemalloc.start()
    image = read_image(io.BytesIO(data), "animated")
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()
    assert image.shape == (40, 50, 3)
    assert image[0, 0, 0] < 16, "the first frame has no red"


def test_huge_texts_in_a_png_are_refused_with_its_name():
    data = file_of(picture(), "PNG")
    text = b"zTXt" + b"note\0\0" + zlib.compress(bytes(50_000_000))
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    with pytest.raises(ValueError, match=r"^note.png "):
        read_image(io.BytesIO(data[:33] + chunk + data[33:]), "note.png")


def test_reading_in_threads_leaves_the_warnings_as_they_were():
    data = file_of(picture(300), "JPEG")
    with warnings.catch_warnings():
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as threads:
            images = list(threads.map(lambda _: read_image(io.BytesIO(data), "me.jpg"), range(200)))
        assert warnings.filters == before
    assert all(np.array_equal(image, images[0]) for image in images)


def test_only_the_given_formats_are_read():
    with pytest.raises(ValueError, match=r"me\.bmp is no image"):
        read_image(io.BytesIO(file_of(picture(), "BMP")), "me.bmp", formats=["JPEG", "PNG"])

"""Pictures of 16 bits, of which they use some: every kind of file looks like its 8-bit original."""

import io

import chex
import cv2
import numpy as np
import pytest
from PIL import Image

from twodasl_jax.predict.faces.deep_pixels import eight_bits, is_deep_colour, used_bits
from twodasl_jax.predict.faces.photo import read_image

HEIGHT, WIDTH = 24, 16


def picture():
    """Smooth colours that use the whole range; every corner differs."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    across, down = columns * 255 // (WIDTH - 1), rows * 255 // (HEIGHT - 1)
    return np.stack([across, down, 255 - across], axis=-1).astype(np.uint8)


def with_bits(pixels, bits):
    return np.round(pixels / 255.0 * (2**bits - 1)).astype(np.uint16)


def encoded(pixels, ending):
    """The file as OpenCV writes it; RGB or RGBA in."""
    order = [2, 1, 0, 3][: pixels.shape[2]] if pixels.ndim == 3 else ...
    return cv2.imencode(ending, pixels[..., order] if pixels.ndim == 3 else pixels)[1].tobytes()


def read(data):
    return read_image(io.BytesIO(data), "x.png")


@pytest.fixture
def told(monkeypatch):
    lines = []
    monkeypatch.setattr(
        "twodasl_jax.predict.faces.deep_pixels.logging.warning",
        lambda form, *values: lines.append(form % values),
    )
    return lines


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("ending", [".png", ".tif", ".ppm"])
def test_colours_look_like_their_eight_bits(bits, ending, told):
    image = read(encoded(with_bits(picture(), bits), ending))
    # Rounded twice.
    chex.assert_trees_all_close(image.astype(int), picture().astype(int), atol=1)
    expected = f"x.png uses {bits} of its 16 bits: they were spread over its range"
    assert told == ([] if bits == 16 else [expected])


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("ending", [".png", ".tif", ".pgm"])
def test_grey_looks_like_its_eight_bits(bits, ending):
    grey = picture()[..., 1]
    image = read(encoded(with_bits(grey, bits), ending))
    for channel in range(3):
        chex.assert_trees_all_close(image[..., channel].astype(int), grey.astype(int), atol=1)


@pytest.mark.parametrize("alpha_bits", [12, 16])
def test_transparency_has_a_range_of_its_own(alpha_bits):
    alpha = np.full((HEIGHT, WIDTH, 1), 2**alpha_bits - 1, np.uint16)
    alpha[:4] = 0
    image = read(encoded(np.dstack([with_bits(picture(), 12), alpha]), ".png"))
    assert (image[:4] == 255).all()
    chex.assert_trees_all_close(image[4:].astype(int), picture()[4:].astype(int), atol=1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_pngs_are_turned_too(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain, file = io.BytesIO(), io.BytesIO()
    Image.fromarray(picture()).save(plain, "PNG", exif=exif)
    chunk = plain.getvalue()
    start = chunk.index(b"eXIf") - 4
    length = int.from_bytes(chunk[start : start + 4], "big") + 12
    deep = encoded(with_bits(picture(), 12), ".png")
    file.write(deep[:33] + chunk[start : start + length] + deep[33:])  # behind the header
    upright = read_image(io.BytesIO(chunk), "plain")
    deep_upright = read_image(io.BytesIO(file.getvalue()), "deep")
    assert upright.shape == ((HEIGHT, WIDTH, 3) if orientation < 5 else (WIDTH, HEIGHT, 3))
    chex.assert_trees_all_close(deep_upright.astype(int), upright.astype(int), atol=1)


def test_single_bright_pixels_do_not_count():
    values = np.full((100, 100), 4000, np.uint16)
    values[5, 5] = 65535
    assert used_bits(values) == 12
    # 4000 of 4095, in 255ths.
    assert (eight_bits(values, "x") == np.where(values > 4095, 255, 249)).all()


def test_black_stays_black_and_is_not_told(told):
    assert not eight_bits(np.zeros((4, 4), np.uint16), "x").any()
    assert told == []


def test_channels_one_after_another_are_refused():
    file = io.BytesIO()
    Image.fromarray(picture()).save(file, "TIFF", tiffinfo={284: 1})
    image = Image.open(io.BytesIO(file.getvalue()))
    image.tag_v2[258], image.tag_v2[284] = (16, 16, 16), 2
    with pytest.raises(ValueError, match=r"x\.tif holds its 16-bit channels one after another"):
        is_deep_colour(image, "x.tif")

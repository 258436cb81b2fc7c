"""Photographs: every kind becomes RGB, what cannot be read says why, patterns find files."""

import chex
import numpy as np
import pytest
from PIL import Image, ImageFile

from twodasl_jax.predict.photo import find_photos, load_image


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "RGBA", "P", "1", "CMYK"])
def test_every_kind_of_image_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    grey = Image.new("RGB", (7, 5), (90, 90, 90))
    # convert("P") would round to a fixed palette; quantize keeps the colour.
    (grey.quantize(4) if mode == "P" else grey.convert(mode)).save(path)
    image = load_image(path)
    chex.assert_shape(image, (5, 7, 3))
    assert image.dtype == np.uint8
    if mode == "1":  # dithered to black and white
        assert set(np.unique(image)) == {0, 255}
    else:
        assert (image == 90).all()


def test_sixteen_bits_keep_their_range(tmp_path):
    levels = np.array([[0, 257, 32896, 65535]], np.uint16)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    chex.assert_trees_all_equal(
        load_image(tmp_path / "deep.png")[..., 1], np.array([[0, 1, 128, 255]], np.uint8)
    )


def test_transparency_is_laid_over_white(tmp_path):
    Image.new("RGBA", (3, 3), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (load_image(tmp_path / "clear.png") == 255).all()


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to view
    Image.new("RGB", (8, 4)).save(tmp_path / "turned.jpg", exif=exif)
    chex.assert_shape(load_image(tmp_path / "turned.jpg"), (8, 4, 3))


def test_unreadable_files_say_why(tmp_path):
    with pytest.raises(FileNotFoundError, match="no image at"):
        load_image(tmp_path / "absent.png")
    with pytest.raises(FileNotFoundError, match="no image at"):
        load_image(tmp_path)
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(ValueError, match="no image that Pillow can read"):
        load_image(tmp_path / "text.png")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for suffix in ("jpg", "png"):
        Image.fromarray(noise).save(tmp_path / f"whole.{suffix}")
        data = (tmp_path / f"whole.{suffix}").read_bytes()
        (tmp_path / f"cut.{suffix}").write_bytes(data[: len(data) // 2])
        with pytest.raises(ValueError, match="cannot be read to its end"):
            load_image(tmp_path / f"cut.{suffix}")
    Image.fromarray(np.zeros((3, 3), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(ValueError, match="floating-point pixels"):
        load_image(tmp_path / "float.tif")


@pytest.mark.parametrize("side", [10_000, 20_000])
def test_an_immense_picture_is_refused_by_its_header(tmp_path, monkeypatch, side):
    # One bit a pixel, all alike: a small file that would be 1.2 GB of RGB.
    Image.new("1", (side, side)).save(tmp_path / "immense.png")
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("pixels were read"))
    with pytest.raises(ValueError, match=r"immense.png has .* pixels; expected at most 80 million"):
        load_image(tmp_path / "immense.png")


def test_one_pixel_is_a_picture(tmp_path):
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "one.png")
    chex.assert_trees_all_equal(load_image(tmp_path / "one.png"), np.array([[[1, 2, 3]]], np.uint8))


def test_files_folders_and_patterns_name_photographs(tmp_path):
    folder = tmp_path / "mit Lücken ☺"
    (folder / "deep").mkdir(parents=True)
    names = ["b.JPG", "a.png", "deep/c.webp"]
    for name in names:
        (folder / name).write_bytes(b"-")
    (folder / "notes.txt").write_bytes(b"-")
    assert find_photos(folder) == sorted(folder / name for name in names)
    assert find_photos(folder / "a.png") == [folder / "a.png"]
    assert find_photos(folder / "*.png") == [folder / "a.png"]
    assert find_photos(f"{folder}/**/*.webp") == [folder / "deep" / "c.webp"]
    bracketed = folder / "x[1].jpg"  # a pattern's letters, but there is such a file
    bracketed.write_bytes(b"-")
    assert find_photos(bracketed) == [bracketed]
    for absent in (folder / "*.gif", folder / "absent.png", folder / "absent"):
        with pytest.raises(FileNotFoundError, match=r"no image at .*expected a picture file"):
            find_photos(absent)

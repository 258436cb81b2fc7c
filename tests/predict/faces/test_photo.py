"""Photographs: every kind becomes RGB, what cannot be read says why, patterns find files."""

import io

import chex
import numpy as np
import pytest
from PIL import Image, ImageFile

from twodasl_jax.predict.faces.photo import find_photos, load_image, passed_over, read_image


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


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "avif", "mpo"])
def test_all_orientations_are_turned_upright(tmp_path, ending):
    rows, columns = np.indices((24, 40))
    stored = np.stack([rows * 10, columns * 6, 0 * rows], axis=-1).astype(np.uint8)
    across = stored.swapaxes(0, 1)
    # EXIF 2.32, tag Orientation: where the stored picture's row 0 and column 0 are to be seen.
    upright = {
        1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1],
        5: across, 6: across[:, ::-1], 7: across[::-1, ::-1], 8: across[::-1],
        9: stored,  # no such orientation
    }  # fmt: skip
    for orientation, expected in upright.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f"{orientation}.{ending}"
        Image.fromarray(stored).save(path, exif=exif, **{"quality": 95} if ending != "tif" else {})
        image = load_image(path).astype(int)
        assert image.shape == expected.shape
        # Lossy kinds keep smooth ramps within some levels; a wrong turn is off by 60 and more.
        assert np.abs(image - expected).mean() < 10


def test_lab_and_other_rare_modes_are_read_or_named(tmp_path):
    planes = [Image.new("L", (4, 3), value) for value in (128, 0, 0)]
    Image.merge("LAB", planes).save(tmp_path / "lab.tif")
    chex.assert_shape(load_image(tmp_path / "lab.tif"), (3, 4, 3))


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


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "JPEG2000", "PPM", "MPO"])
def test_damaged_files_are_named_whatever_their_decoder_raises(kind):
    generator = np.random.default_rng(0)
    file = io.BytesIO()
    noise = generator.integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(noise).save(file, kind)
    refused = []
    for _ in range(60):
        data = bytearray(file.getvalue())
        for place in generator.integers(0, min(len(data), 200), 6):
            data[place] = generator.integers(0, 256)
        try:
            read_image(io.BytesIO(bytes(data)), "the file")
        except ValueError as error:
            refused.append(str(error))
    assert refused
    assert all(message.startswith("the file ") for message in refused)


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
    names = ["b.JPG", "a.png", "deep/c.webp", "d.jfif", "e.gif", "f.Avif", "g.mpo", "h.jp2"]
    for name in names:
        (folder / name).write_bytes(b"-")
    (folder / "notes.txt").write_bytes(b"-")
    found = find_photos(folder)
    assert found.photos == sorted(folder / name for name in names)
    assert (found.hidden, found.others) == ([], [folder / "notes.txt"])
    assert find_photos(folder / "a.png").photos == [folder / "a.png"]
    assert find_photos(folder / "notes.txt").photos == [folder / "notes.txt"]  # it was named
    assert find_photos(folder / "*.png").photos == [folder / "a.png"]
    assert find_photos(f"{folder}/**/*.webp").photos == [folder / "deep" / "c.webp"]
    assert find_photos(folder / "*.txt").photos == [folder / "notes.txt"]
    bracketed = folder / "x[1].jpg"  # a pattern's letters, but there is such a file
    bracketed.write_bytes(b"-")
    assert find_photos(bracketed).photos == [bracketed]
    for absent in (folder / "*.bmp", folder / "absent.png", folder / "absent"):
        with pytest.raises(FileNotFoundError, match=r"no image at .*expected a picture file"):
            find_photos(absent)


def test_what_was_passed_over_is_counted_and_named(tmp_path):
    (tmp_path / "__MACOSX").mkdir()
    for name in ("a.jpg", "._a.jpg", ".DS_Store", "__MACOSX/b.jpg", "b.HEIC", "c.heif", "d.txt"):
        (tmp_path / name).write_bytes(b"-")
    found = find_photos(tmp_path)
    assert found.photos == [tmp_path / "a.jpg"]
    lines = passed_over(tmp_path, found.hidden, found.others)
    assert lines == [
        f"passed over in {tmp_path}: 2 hidden or of the system, first ._a.jpg",
        f"passed over in {tmp_path}: 1 .heic, 1 .heif, which Pillow cannot read, first b.HEIC: "
        "convert them to JPEG or PNG",
        f"passed over in {tmp_path}: 1 .txt, which are no pictures",
    ]
    pattern = find_photos(f"{tmp_path}/**/*")
    assert pattern.photos == [tmp_path / "a.jpg"]
    assert pattern.hidden == [tmp_path / "__MACOSX" / "b.jpg"]
    assert find_photos(tmp_path / "._a.jpg").photos == [tmp_path / "._a.jpg"]  # it was named
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 \.heic, 1 \.heif, which Pillow cannot read"):
        find_photos(tmp_path)

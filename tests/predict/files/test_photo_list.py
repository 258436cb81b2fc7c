"""Photographs and names for their results: none shares its results with another."""

import io
import os

import pytest
from PIL import Image
from rich.console import Console

from twodasl_jax.predict.files.photo_list import ASTRONAUT, list_photos, result_stem


def save(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3)).save(path)


def names(folder, *images):
    return [photo.name for photo in list_photos([str(i) for i in images], results=folder / "out")]


def test_the_astronaut_is_the_default(tmp_path):
    ((path, name),) = list_photos(None, results=tmp_path)
    assert path is None
    assert name == ASTRONAUT


def test_photographs_of_one_name_keep_results_of_their_own(tmp_path):
    for name in ("a.jpg", "a.png", "b.png", "b_1.png", "c_1.png", "deep/a.png"):
        save(tmp_path / name)
    assert names(tmp_path, tmp_path) == ["a_jpg", "a_png", "b", "b_1_png", "c_1", "deep/a"]
    assert len(set(names(tmp_path, f"{tmp_path}/**/a.png"))) == 2


def test_a_photograph_named_twice_is_one(tmp_path):
    for name in ("a.png", "b.png"):
        save(tmp_path / name)
    assert names(tmp_path, tmp_path / "a.png", tmp_path, f"{tmp_path}/*.png") == ["a", "b"]


def test_a_link_beside_its_photograph_does_not_take_its_results(tmp_path):
    save(tmp_path / "b.jpg")
    for name in ("a.jpg", "c.jpg"):
        (tmp_path / name).symlink_to("b.jpg")
    (tmp_path / "folder").symlink_to(tmp_path)
    assert names(tmp_path, tmp_path, tmp_path / "folder" / "b.jpg") == ["a", "b", "c"]


def test_earlier_results_are_no_photographs(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "out" / "a_strip.jpg")
    assert names(tmp_path, tmp_path) == ["a"]
    with pytest.raises(ValueError, match="where the results would go; choose another folder"):
        list_photos([str(tmp_path)], results=tmp_path)


def test_names_that_some_file_system_takes_for_one_are_kept_apart(tmp_path):
    decomposed = "e\u0301"
    for name in ("A.jpg", "a.JPG", "é.png", f"{decomposed}.png", "_1.png", "b..png"):
        save(tmp_path / name)
    listed = names(tmp_path, tmp_path)
    assert len({name.casefold() for name in listed}) == 6
    assert {"A_jpg", "a_2", "_1", "b."} <= set(listed)


def test_names_are_made_fit_for_other_files(tmp_path):
    (tmp_path / "p").mkdir()
    latin, line = os.fsencode(tmp_path / "p") + b"/caf\xe9.png", tmp_path / "p" / "a\nb.png"
    save(line)
    with open(latin, "wb") as file:
        Image.new("RGB", (4, 3)).save(file, "PNG")
    photos = list_photos([str(tmp_path / "p")], results=tmp_path / "out")
    assert [photo.name for photo in photos] == ["a%0Ab", "caf%E9"]
    assert all(photo.path is not None and photo.path.is_file() for photo in photos)
    for kept in ("a b", " '\"#1 100%", "-x", "顔", "{}$[red]"):
        assert result_stem(kept) == kept
    assert result_stem("a\\b\u2028\x7f") == "a%5Cb%E2%80%A8%7F"


def test_what_was_passed_over_is_told_but_for_earlier_results(tmp_path):
    for name in ("a.png", "out/a.json", "b.HEIC"):
        save(tmp_path / "a.png")
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if name != "a.png":
            (tmp_path / name).write_bytes(b"-")
    console = Console(file=io.StringIO(), width=1000)
    list_photos([str(tmp_path)], results=tmp_path / "out", console=console)
    assert isinstance(console.file, io.StringIO)
    told = console.file.getvalue()
    assert told.count("passed over") == 1
    assert "1 .heic, which Pillow cannot read, first b.HEIC: convert them" in told

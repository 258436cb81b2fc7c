"""Photographs and names for their results: none shares its results with another."""

import pytest
from PIL import Image

from twodasl_jax.jobs.photo_list import ASTRONAUT, list_photos


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


def test_earlier_results_are_no_photographs(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "out" / "a_strip.jpg")
    assert names(tmp_path, tmp_path) == ["a"]
    with pytest.raises(ValueError, match="where the results would go; choose another folder"):
        list_photos([str(tmp_path)], results=tmp_path)

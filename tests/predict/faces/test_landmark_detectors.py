"""Optional detectors: chosen by name, and a missing package is named with its command."""

import importlib.util
import os

import cv2
import numpy as np
import pytest
from rich.console import Console
from skimage import data

from twodasl_jax.predict.faces import landmark_detectors
from twodasl_jax.predict.faces.landmark_detectors import detect_in_folder, make_landmark_detector


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match="choose one of dlib, fan"):
        make_landmark_detector("mtcnn")


@pytest.mark.parametrize("name", ["dlib", "fan"])
def test_a_missing_package_is_named_with_its_command(name, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=rf"pip install -e '\.\[{name}\]'"):
        make_landmark_detector(name)


def test_a_folder_is_searched_and_faceless_images_are_counted(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    cv2.imwrite(str(tmp_path / "sub" / "bright.png"), np.full((40, 50, 3), 255, np.uint8))
    cv2.imwrite(str(tmp_path / "dark.png"), np.zeros((40, 50, 3), np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"-")

    def make():
        return lambda image: np.ones((int(image.any()), 68, 2))

    monkeypatch.setitem(landmark_detectors.LANDMARK_DETECTORS, "brightness", make)
    console = Console(width=100, record=True)
    names, points = detect_in_folder("brightness", tmp_path, console)
    assert list(names) == ["sub/bright.png"]
    assert points.shape == (1, 68, 2)
    assert "no face found in 1 of 3 images" in console.export_text()
    (tmp_path / "sub" / "bright.png").unlink()
    with pytest.raises(ValueError, match="found no face in the 2 images"):
        detect_in_folder("brightness", tmp_path, console)
    with pytest.raises(FileNotFoundError, match="no image"):
        detect_in_folder("brightness", tmp_path / "sub", console)


def test_twins_and_hidden_folders_are_passed_over_and_told_once(tmp_path, monkeypatch):
    bright = np.full((40, 50, 3), 255, np.uint8)
    for name in ("a.png", "b.PNG", "hidden.png"):
        cv2.imwrite(str(tmp_path / name), bright)
    (tmp_path / ".thumbnails").mkdir()
    (tmp_path / "hidden.png").rename(tmp_path / ".thumbnails" / "a.png")
    (tmp_path / "a.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    for name in ("._b.PNG", "._a.png", ".DS_Store", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    (tmp_path / "caf\udce8.jpg").write_bytes(b"-")
    make = lambda: lambda image: np.ones((1, 68, 2))  # noqa: E731
    monkeypatch.setitem(landmark_detectors.LANDMARK_DETECTORS, "any", make)
    console = Console(width=200, record=True)
    names, _ = detect_in_folder("any", tmp_path, console)
    assert list(names) == ["b.PNG", "caf\udce9.png"]
    told = console.export_text()
    assert "3 hidden or of the system, first ._a.png" in told
    assert told.count("left out") == 1
    assert r"caf\xe8.jpg" in told


@pytest.mark.skipif(
    importlib.util.find_spec("dlib") is None, reason="left out: needs the extra dlib"
)
def test_dlib_finds_the_astronauts_face():
    (points,) = make_landmark_detector("dlib")(data.astronaut())
    # Between the eyes, to the naked eye: the bridge of the nose at (222, 115).
    np.testing.assert_allclose(points[27], (222, 115), atol=12)

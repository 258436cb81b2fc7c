"""Where an annotation may be written."""

import json
import os

import pytest

from twodasl_jax.experiment.annotation.folder import (
    ANNOTATION_FILES,
    require_apart,
    require_free,
)
from twodasl_jax.replaced_files import READY

MARKER = json.dumps({"face_model_crc": 1, "contour": "fixed"})


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    (tmp_path / "labels.npz").write_bytes(b"")
    return tmp_path / "photos"


def apart(output, images, **more):
    require_apart(output, {"images": str(images), "landmarks": None, **more})


def test_folders_of_their_own_pass(photos, tmp_path):
    apart(tmp_path / "fits", photos, landmarks=str(tmp_path / "labels.npz"), face_model=None)
    apart(tmp_path / "photos_fits", photos)  # a longer name is no folder inside
    apart(tmp_path / "fits" / "deep", photos / "sub", face_model=str(tmp_path / "absent.npz"))


@pytest.mark.parametrize("spelling", ["{p}", "{p}/", "{p}/../photos", "{link}", "{relative}"])
def test_one_folder_however_it_is_written(photos, tmp_path, spelling, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(photos)
    names = {"p": photos, "link": tmp_path / "link", "relative": "photos"}
    with pytest.raises(ValueError, match="choose another --output"):
        apart(photos, spelling.format(**names))
    with pytest.raises(ValueError, match="choose another --output"):
        apart(type(photos)(spelling.format(**names)), photos)


def test_neither_may_lie_in_the_other(photos, tmp_path):
    with pytest.raises(ValueError, match=r"--output=.*new lies in --images="):
        apart(photos / "sub" / "new", photos)
    with pytest.raises(ValueError, match=r"--images=.*sub lies in --output="):
        apart(photos, photos / "sub")
    (tmp_path / "link").symlink_to(photos / "sub")
    with pytest.raises(ValueError, match="lies in --images="):
        apart(tmp_path / "link", photos)


def test_files_that_are_read_may_not_lie_there(photos, tmp_path):
    (tmp_path / "fits").mkdir()
    inside = tmp_path / "fits" / "labels.npz"
    os.replace(tmp_path / "labels.npz", inside)
    (tmp_path / "link.npz").symlink_to(inside)
    for name in (inside, tmp_path / "link.npz"):
        with pytest.raises(ValueError, match=r"--landmarks=.* lies in --output="):
            apart(tmp_path / "fits", photos, landmarks=str(name))
        with pytest.raises(ValueError, match=r"--face_model=.* lies in --output="):
            apart(tmp_path / "fits", photos, face_model=str(name))


def test_crops_that_are_links_into_the_output(photos, tmp_path):
    (tmp_path / "fits").mkdir()
    (tmp_path / "fits" / "crops.tar").write_bytes(b"")
    (photos / "crops.tar").symlink_to(tmp_path / "fits" / "crops.tar")
    with pytest.raises(ValueError, match="lies in --output="):
        apart(tmp_path / "fits", photos)


def test_new_and_empty_folders_are_free(tmp_path):
    require_free(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (tmp_path / "empty").mkdir()
    require_free(tmp_path / "empty")


def test_an_earlier_annotation_is_free_whatever_lies_beside_it(tmp_path):
    (tmp_path / "annotation.json").write_text(MARKER)  # as earlier versions wrote it
    for name in (*ANNOTATION_FILES[:-1], "notes.txt"):
        (tmp_path / name).write_text("x")
    require_free(tmp_path)
    assert len(list(tmp_path.iterdir())) == len(ANNOTATION_FILES) + 1


@pytest.mark.parametrize("marker", ["", "{", "[1]", '{"info": "of a labelling tool"}', "\x00"])
def test_a_marker_of_someone_else_is_none(tmp_path, marker):
    (tmp_path / "annotation.json").write_text(marker)
    (tmp_path / "crops.tar").write_text("a day's work")
    with pytest.raises(ValueError, match="holds other files"):
        require_free(tmp_path)


def test_files_that_the_earlier_annotation_does_not_list_stay(tmp_path):
    listed = json.loads(MARKER) | {"files": ["annotations.npz", "annotation.json"]}
    (tmp_path / "annotation.json").write_text(json.dumps(listed))
    (tmp_path / "faces.png").write_text("a day's work")
    with pytest.raises(ValueError, match=r"faces\.png would be replaced"):
        require_free(tmp_path)


def test_files_and_folders_in_the_way_are_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is a file"):
        require_free(tmp_path / "file")
    folder = tmp_path / "fits"
    (folder / "faces.png").mkdir(parents=True)
    (folder / "annotation.json").write_text(MARKER)
    with pytest.raises(ValueError, match=r"faces\.png is a folder"):
        require_free(folder)


def test_an_annotation_whose_writer_was_killed_is_finished_first(tmp_path):
    (tmp_path / READY).mkdir()
    (tmp_path / READY / "annotation.json").write_text(MARKER)
    (tmp_path / "crops.tar").write_text("x")
    require_free(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"annotation.json", "crops.tar"}

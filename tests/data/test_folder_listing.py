import os

import pytest

from twodasl_jax.data.folder_listing import (
    describe_hidden,
    describe_others,
    list_files,
    printable,
)


def fill(folder, *names):
    for name in names:
        path = os.path.join(os.fsencode(folder), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb"):
            pass


def names_of(folder, paths):
    return [str(path.relative_to(folder)) for path in paths]


def test_endings_count_in_either_case_and_twins_do_not(tmp_path):
    fill(tmp_path, "b.JPG", "a.jpg", "c.Jpeg", "d.heic", "._a.jpg", ".b.JPG", ".DS_Store")
    fill(tmp_path, "Thumbs.db", "desktop.ini", "notes", "sub/e.jpg", ".hidden/f.jpg")
    listing = list_files(tmp_path, {".jpg", ".jpeg"})
    assert names_of(tmp_path, listing.files) == ["a.jpg", "b.JPG", "c.Jpeg"]
    assert names_of(tmp_path, listing.hidden) == ["._a.jpg", ".b.JPG", ".hidden"]
    assert names_of(tmp_path, listing.others) == ["d.heic", "notes"]


def test_subfolders_are_entered_on_demand_but_not_hidden_ones(tmp_path):
    fill(tmp_path, "z.jpg", "a/y.jpg", "a/b/x.JPG", ".trash/w.jpg", "__MACOSX/v.jpg", "a/._y.jpg")
    fill(tmp_path, "folder.jpg/u.jpg", "a/@eaDir/t.jpg")
    listing = list_files(tmp_path, {".jpg"}, recursive=True)
    assert names_of(tmp_path, listing.files) == [
        "a/b/x.JPG",
        "a/y.jpg",
        "folder.jpg/u.jpg",
        "z.jpg",
    ]
    assert names_of(tmp_path, listing.hidden) == [".trash", "__MACOSX", "a/._y.jpg", "a/@eaDir"]


def test_a_hidden_folder_that_is_named_is_listed(tmp_path):
    fill(tmp_path, ".mine/a.jpg")
    listing = list_files(tmp_path / ".mine", {".jpg"}, recursive=True)
    assert names_of(tmp_path, listing.files) == [".mine/a.jpg"]


def test_links_to_files_count_and_broken_ones_and_circles_do_not(tmp_path):
    fill(tmp_path, "real/a.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "real" / "a.jpg")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "real" / "circle").symlink_to(tmp_path)
    listing = list_files(tmp_path, {".jpg"}, recursive=True)
    assert names_of(tmp_path, listing.files) == ["b.jpg", "real/a.jpg"]


def test_an_absent_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        list_files(tmp_path / "absent", {".jpg"})


def test_a_latin_1_name_is_found_and_can_be_told(tmp_path):
    fill(tmp_path, b"caf\xe9.jpg", b"._caf\xe9.jpg")
    listing = list_files(tmp_path, {".jpg"})
    assert os.fsencode(listing.files[0].name) == b"caf\xe9.jpg"
    assert listing.files[0].read_bytes() == b""
    assert printable(listing.files[0].name) == r"caf\xe9.jpg"
    told = describe_hidden(tmp_path, listing.hidden)
    assert told is not None
    assert rb"first ._caf\xe9.jpg" in told.encode()


@pytest.mark.parametrize("name", ["plain.jpg", "ünïcödé 顔.jpg"])
def test_other_names_stay_as_they_are(name):
    assert printable(name) == name


def test_what_was_passed_over_is_told_with_its_number(tmp_path):
    fill(tmp_path, "._a.jpg", "._b.jpg", "a.HEIC", "b.heic", "c.gif", "README")
    listing = list_files(tmp_path, {".jpg"})
    assert describe_hidden(tmp_path, listing.hidden) == (
        f"passed over in {tmp_path}: 2 hidden or of the system, first ._a.jpg"
    )
    assert describe_others(listing.others) == "2 .heic, 1 without ending, 1 .gif"
    assert describe_hidden(tmp_path, []) is None
    assert describe_others([]) is None

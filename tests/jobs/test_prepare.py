import csv
import os
import shutil
import sys

import numpy as np
import pytest
import scipy.io
import tensorflow_datasets as tfds
from rich.console import Console

from twodasl_jax.data.tfds_source import TfdsSource
from twodasl_jax.evaluation.benchmark_faces import open_aflw2000_3d
from twodasl_jax.experiment.run.folder_lock import hold_folder
from twodasl_jax.jobs.prepare import (
    PUBLISHED_COUNTS,
    layout_table,
    load_builder_class,
    prepare,
)


@pytest.fixture
def originals(repository):
    return {name: repository / "tfds_builders" / name / "dummy_data" for name in PUBLISHED_COUNTS}


def test_it_tells_what_it_found_and_what_it_made(originals, tmp_path, capsys):
    prepare(dataset="umdfaces", manual_dir=str(originals["umdfaces"]), data_dir=str(tmp_path))
    told = capsys.readouterr().out
    for part in (
        "batch3",
        "6 faces; the whole data set has 367,888",
        "6/6",
        "0 skipped",
        "faces/s",
    ):
        assert part in told
    source = TfdsSource(
        "umdfaces", split="batch1+batch2+batch3", role="in_the_wild", data_dir=tmp_path
    )
    assert len(source) == 6
    prepare(dataset="umdfaces", manual_dir="absent", data_dir=str(tmp_path))
    assert "is there already; remove it" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", PUBLISHED_COUNTS)
def test_every_data_set_is_prepared_by_its_name(originals, tmp_path, name):
    prepare(dataset=name, manual_dir=str(originals[name]), data_dir=str(tmp_path))
    with (tmp_path / name / "1.0.0" / "skipped.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["file_name", "reason"]]


def test_prepared_annotations_train(originals, tmp_path):
    folder = str(originals["w300_lp"])
    prepare(dataset="w300_lp", manual_dir=folder, data_dir=str(tmp_path))
    source = TfdsSource("w300_lp", split="train", role="annotated", data_dir=tmp_path)
    assert source.coefficients.shape == (8, 62)
    assert source[3]["landmark18_weights"].all()


def test_the_whole_benchmark_is_prepared_and_what_it_lacks_is_told_once(
    originals, tmp_path, capsys
):
    """As published: some ``.mat`` files hold a ``pt2d`` of 2 x 23."""
    folder = tmp_path / "original"
    shutil.copytree(originals["aflw2000_3d"], folder)
    for number in (3, 5):
        path = folder / "AFLW2000" / f"image0000{number}.mat"
        fields = {name: value for name, value in scipy.io.loadmat(path).items() if name[0] != "_"}
        scipy.io.savemat(path, fields | {"pt2d": np.zeros((2, 23)), "Shape_Para": "none"})
    (folder / "AFLW2000" / "._image00002.jpg").write_bytes(b"Mac OS X")
    prepare(dataset="aflw2000_3d", manual_dir=str(folder), data_dir=str(tmp_path))
    told = " ".join(capsys.readouterr().out.split())
    assert "test 4 faces, 0 skipped" in told
    assert told.count("2 faces have no usable pt2d, first image00003.jpg: pt2d is (2, 23)") == 1
    assert told.count("2 faces have no usable Shape_Para") == 1
    builder = tfds.builder_from_directory(str(tmp_path / "aflw2000_3d" / "1.0.0"))
    examples = list(builder.as_data_source("test"))
    assert [bool(example["has_landmarks21"]) for example in examples] == [True, False, True, False]
    for example in examples:
        lacks = not example["has_landmarks21"]
        assert np.isnan(example["landmarks21_px"]).all() == lacks
        assert example["visibility"].any() != lacks
        assert np.isnan(example["shape_para"]).all() == lacks
        assert np.isfinite(example["landmarks_px"]).all()
    # And is scored: the two faces have no mesh to be compared with.
    opened = open_aflw2000_3d(tmp_path, Console(quiet=True))
    known = np.isfinite(opened.truth["coefficients"]).all(axis=1)
    np.testing.assert_array_equal(known, [True, False, True, False])


def test_leftovers_of_killed_builds_are_removed(originals, tmp_path):
    left = tmp_path / "aflw_lfpa" / "incomplete.AB12CD_1.0.0"
    left.mkdir(parents=True)
    (left / "aflw_lfpa-test.array_record-00000-of-00001").write_bytes(b"half")
    mine = tmp_path / "aflw_lfpa" / "incomplete faces"
    mine.mkdir()
    (mine.parent / "incomplete.txt").write_text("a day's work")
    folder = str(originals["aflw_lfpa"])
    prepare(dataset="aflw_lfpa", manual_dir=folder, data_dir=str(tmp_path))
    assert not left.exists()
    assert mine.is_dir()
    assert (mine.parent / "incomplete.txt").exists()
    assert (tmp_path / "aflw_lfpa" / "1.0.0" / "dataset_info.json").exists()


def test_the_layout_is_checked_before_anything_is_made(originals, tmp_path):
    folder = tmp_path / "original"
    shutil.copytree(originals["w300_lp"], folder)
    shutil.rmtree(folder / "300W_LP" / "IBUG")
    with pytest.raises(FileNotFoundError, match=r"no folder .*300W_LP/IBUG"):
        prepare(dataset="w300_lp", manual_dir=str(folder), data_dir=str(tmp_path / "data"))
    assert not (tmp_path / "data").exists()


def test_a_folder_of_something_else_is_not_touched(originals, tmp_path):
    (tmp_path / "aflw_lfpa" / "1.0.0").mkdir(parents=True)
    with pytest.raises(ValueError, match="holds no prepared data set; remove it"):
        prepare(
            dataset="aflw_lfpa",
            manual_dir=str(originals["aflw_lfpa"]),
            data_dir=str(tmp_path),
        )
    assert list((tmp_path / "aflw_lfpa").iterdir()) == [tmp_path / "aflw_lfpa" / "1.0.0"]


def test_two_builds_of_one_set_do_not_meet(originals, tmp_path):
    flags = {"dataset": "aflw_lfpa", "manual_dir": str(originals["aflw_lfpa"])}
    with (
        hold_folder(tmp_path / "aflw_lfpa", doing="prepares aflw_lfpa"),
        pytest.raises(ValueError, match=rf"process {os.getpid()} on .* prepares aflw_lfpa since"),
    ):
        prepare(**flags, data_dir=str(tmp_path))
    assert not (tmp_path / "aflw_lfpa").exists()


def test_an_unknown_data_set_lists_the_known_ones():
    with pytest.raises(ValueError, match="'300w'; choose one of w300_lp, umdfaces, aflw2000_3d"):
        load_builder_class("300w")


def test_builders_that_are_not_there_are_told_of(monkeypatch):
    # By sys.modules: the package's own name `prepare` is the function.
    module = sys.modules["twodasl_jax.jobs.prepare"]
    monkeypatch.setattr(module, "BUILDERS", "no_such_folder")
    with pytest.raises(FileNotFoundError, match=r"no_such_folder/w300_lp beside run\.py"):
        load_builder_class("w300_lp")


def test_the_table_counts_faces_by_folder(originals):
    splits = load_builder_class("w300_lp").find_faces(originals["w300_lp"])
    assert layout_table(splits).row_count == 8

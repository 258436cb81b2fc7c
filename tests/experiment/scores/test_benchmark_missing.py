"""Benchmarks of which single fields, faces or predictions are absent."""

import csv
import importlib
import json
import shutil

import numpy as np
import pytest
import scipy.io
from rich.console import Console

from twodasl_jax.evaluation.benchmark_faces import open_aflw2000_3d
from twodasl_jax.experiment.scores.benchmark import score_benchmark
from twodasl_jax.face_model.model import OPEN_FACE_FILE
from twodasl_jax.jobs.modes import run_mode

NAMES = [f"image0000{number}.jpg" for number in (2, 3, 4, 5)]
BOXES = np.array([[2.0, 1, 180, 180], [10, 3, 180, 173], [13, 12, 176, 175], [1, 1, 172, 173]])


def config(folder, **settings):
    chosen = importlib.import_module("configs.evaluation").get_config()
    chosen.update({"data_dir": str(folder), "annotated_vertices": 0} | settings)
    return chosen


def score(chosen, workdir, *, predictions):
    score_benchmark(
        chosen,
        workdir=str(workdir),
        checkpoint=None,
        predictions=str(predictions),
        face_model=str(OPEN_FACE_FILE),
    )
    return json.loads((workdir / "results.json").read_text())


@pytest.fixture
def original(repository, tmp_path):
    folder = tmp_path / "aflw2000_3d"
    shutil.copytree(repository / "tfds_builders" / "aflw2000_3d" / "dummy_data", folder)
    np.savez(folder / "annotations.npz", file_name=NAMES, roi_box=BOXES)
    return folder


@pytest.fixture
def perfect(original, tmp_path):
    """The annotated coefficients as a predictions file."""
    opened = open_aflw2000_3d(original, Console(quiet=True))
    path = tmp_path / "perfect.npz"
    np.savez(
        path, file_name=NAMES, coefficients=opened.truth["coefficients"], roi_box=opened.roi_box
    )
    return path


def test_predictions_that_miss_faces_are_scored_on_demand(original, perfect, tmp_path, capsys):
    """As 2DASL's own release, which covers 1,998 of 2,000."""
    with np.load(perfect) as file:
        arrays = {key: file[key][[0, 2, 3]] for key in file.files}
    np.savez(tmp_path / "fewer.npz", **arrays)
    fewer = tmp_path / "fewer.npz"
    with pytest.raises(ValueError, match=r"1 of 4 faces, first image00003.*allow_missing=True"):
        score(config(original), tmp_path / "out", predictions=fewer)
    assert not (tmp_path / "out").exists()
    chosen = config(original, allow_missing=True)
    whole = score(chosen, tmp_path / "whole", predictions=perfect)
    assert whole["left_out"] == []
    assert "missing_faces" not in whole["conventions"]
    results = score(chosen, tmp_path / "out", predictions=fewer)
    reason = "fewer.npz has no prediction of it"
    assert results["left_out"] == [{"file_name": "image00003.jpg", "reason": reason}]
    assert results["num_images"] == 3
    assert results["conventions"]["missing_faces"].startswith("1 of 4 faces are left out")
    assert "1 faces were left out, first image00003.jpg" in " ".join(
        capsys.readouterr().out.split()
    )
    with pytest.raises(ValueError, match=r"images left out is 'image00003\.jpg' in the first"):
        run_mode("compare", None, {
            "results": [str(tmp_path / name / "results.json") for name in ("out", "whole")],
            "output": None, "published": False, "without_worst": None,
            "set_name": None, "over_seeds": None,
        })  # fmt: skip


def rewrite(path, **fields):
    kept = {k: v for k, v in scipy.io.loadmat(path).items() if not k.startswith("__")}
    scipy.io.savemat(path, {k: v for k, v in (kept | fields).items() if v is not None})


def test_a_field_costs_only_the_metrics_that_need_it(original, perfect, tmp_path, capsys):
    expected = score(config(original), tmp_path / "whole", predictions=perfect)
    for number, fields in (
        (2, {"pt2d": np.zeros((2, 23)), "Tex_Para": None, "roi": "none"}),
        (3, {"Shape_Para": np.zeros((0, 0))}),
        (4, {"Pose_Para": np.zeros((1, 6))}),
        (5, {"pt3d_68": np.zeros((3, 21))}),
    ):
        rewrite(original / "AFLW2000" / f"image0000{number}.mat", **fields)
    results = score(config(original), tmp_path / "out", predictions=perfect)
    assert results["num_images"] == 4
    assert results["left_out"] == []
    counts = {
        metric: {numbers["count"] for numbers in variants.values()}
        for metric, variants in results["metrics"].items()
    }
    assert counts == {
        "landmarks68_2d": {3},
        "landmarks68_3d": {3},
        "dense_2d": {1},  # of 2: 3 has no shape, 4 no camera, 5 no box
        "dense_3d": {1},
        "reconstruction_icp": {2},
        "head_pose": {3},
    }
    fields = ["pt2d", "Shape_Para", "Pose_Para", "pt3d_68"]
    assert [note.split("usable ")[1].split(",")[0] for note in results["notes"]] == fields
    told = " ".join(capsys.readouterr().out.split())
    assert told.count("no usable") == len(fields)
    with (tmp_path / "out" / "per_image.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "whole" / "per_image.csv").open(newline="") as file:
        before = list(csv.DictReader(file))
    assert rows[0] == before[0]  # the face without its pt2d has lost nothing
    for row, old in zip(rows, before, strict=True):
        # What is left of the others are the numbers that they had.
        assert {key for key in row if row[key] != old[key] and row[key]} == set()
    assert [row["yaw_degrees"] == "" for row in rows] == [False, False, True, False]
    assert expected["metrics"]["dense_2d"]["annotated"]["count"] == 4


def test_without_any_coefficients_the_landmarks_are_scored(original, perfect, tmp_path):
    for path in (original / "AFLW2000").glob("*.mat"):
        rewrite(path, Shape_Para=None, Exp_Para=np.full((29, 1), np.nan), Pose_Para=None)
    results = score(config(original), tmp_path / "out", predictions=perfect)
    assert set(results["metrics"]) == {"landmarks68_2d", "landmarks68_3d"}
    assert "no face has an annotated pose" in results["not_computed"]["head_pose"]
    assert "no face has annotated coefficients" in results["not_computed"]["dense_2d"]
    assert any("could not be checked" in note for note in results["notes"])
    assert results["metrics"]["landmarks68_2d"]["original"]["mean_of_bins"] is None


def test_without_any_labels_the_pose_is_scored_without_pictures(original, perfect, tmp_path):
    out = tmp_path / "out"
    score(config(original, metrics=("head_pose",)), out, predictions=perfect)
    assert (out / "faces.png").exists()  # drawn with the labels, whatever is measured
    for number in (3, 4, 5):
        rewrite(original / "AFLW2000" / f"image0000{number}.mat", pt3d_68=np.zeros((3, 5)))
    rewrite(original / "AFLW2000" / "image00002.mat", pt3d_68=np.full((3, 68), 7) * [[np.nan]] * 3)
    results = score(config(original), out, predictions=perfect)
    assert set(results["metrics"]) == {"head_pose"}
    assert "no face has all of its 68 labels" in results["not_computed"]["landmarks68_2d"]
    assert sorted(path.name for path in out.iterdir()) == [
        "per_image.csv", "predictions.npz", "results.json",
    ]  # fmt: skip

"""Summaries, tables and files of a scored benchmark."""

import csv
import dataclasses

import numpy as np
import pytest

from twodasl_jax.evaluation.benchmark import Predictions
from twodasl_jax.evaluation.benchmark_report import (
    per_image_columns,
    print_summaries,
    summarise,
)
from twodasl_jax.evaluation.predictions_file import read_predictions, write_predictions
from twodasl_jax.evaluation.report import write_per_image
from twodasl_jax.metrics.nme import nme_summary, roll_summary

NME = np.array([0.01, 0.02, 0.12, 0.03])
YAW = np.array([0.0, 45.0, -80.0, 10.0])
ROLL = np.array([10.0, -20.0, 170.0, 15.0])


@pytest.fixture
def faces(benchmark):
    return dataclasses.replace(benchmark, yaw_degrees=YAW, roll_degrees=ROLL)


@pytest.fixture
def errors():
    partly = NME.copy()
    partly[1] = np.nan
    pose = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 90], [0, 0, 0]])
    near = pose.copy()
    near[2] = np.nan
    return {
        "landmarks68_2d": {"original": NME, "reannotated": partly},
        "head_pose": {"all_images": pose, "within_99_degrees": near},
    }


def test_summaries_are_over_the_labelled_faces(errors, faces):
    summaries = summarise(errors, faces)
    kept = [0, 2, 3]
    np.testing.assert_equal(
        summaries["landmarks68_2d"]["original"], nme_summary(NME, YAW) | roll_summary(NME, ROLL)
    )
    np.testing.assert_equal(
        summaries["landmarks68_2d"]["reannotated"],
        nme_summary(NME[kept], YAW[kept]) | roll_summary(NME[kept], ROLL[kept]),
    )
    assert summaries["head_pose"]["all_images"] == {
        **{"yaw": 3.0, "pitch": 3.75, "roll": 24.75},
        **{"mean": 10.5, "count": 4.0},
    }
    assert summaries["head_pose"]["within_99_degrees"]["roll"] == 3.0
    nobody = {"head_pose": {"all_images": np.full((4, 3), np.nan)}}
    assert np.isnan(summarise(nobody, faces)["head_pose"]["all_images"]["mean"])


def test_the_tables_fit_80_characters(errors, faces, console):
    errors["reconstruction_icp"] = {"nearest_point": NME}
    print_summaries(summarise(errors, faces), faces, "the box", console)
    told = console.file.getvalue()
    assert "…" not in told
    for part in ("4.50", "reconstruction_icp nearest_point", "24.75", "sqrt(w·h) of the box"):
        assert part in told
    assert "faces per bin: 2 / 1 / 1" in told
    by_roll = " ".join(told.split("NME by roll")[1].split())
    assert "landmarks68_2d original 2.00 2.00 - 12.00" in by_roll
    assert "faces by roll: 2 / 1 / 0 / 1" in by_roll
    unknown = dataclasses.replace(faces, roll_degrees=None)
    print_summaries(summarise(errors, unknown), unknown, "the box", console)
    assert console.file.getvalue().count("by roll") == told.count("by roll")


def test_a_row_per_face(errors, benchmark, tmp_path):
    columns = per_image_columns(errors, benchmark)
    write_per_image(tmp_path / "faces.csv", benchmark.file_names, benchmark.yaw_degrees, columns)
    with (tmp_path / "faces.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file_name"] for row in rows] == list(benchmark.file_names)
    assert rows[2]["landmarks68_2d_original_percent"] == "12.00000"
    assert rows[1]["landmarks68_2d_reannotated_percent"] == ""
    assert [rows[2][f"{angle}_error_degrees"] for angle in ("yaw", "pitch", "roll")] == [
        *("7.00000", "8.00000", "90.00000")
    ]


def test_a_benchmark_without_yaw_has_no_yaw_in_its_rows(errors, benchmark, tmp_path):
    unknown, columns = np.full(4, np.nan), per_image_columns(errors, benchmark)
    write_per_image(tmp_path / "faces.csv", benchmark.file_names, unknown, columns)
    with (tmp_path / "faces.csv").open(newline="") as file:
        assert {row["yaw_degrees"] for row in csv.DictReader(file)} == {""}


def test_what_was_scored_is_a_predictions_file(benchmark, predictions, open_face, tmp_path):
    conventions = {"crop_source": "mine", "landmark_map_source": "none"}
    path = tmp_path / "predictions.npz"
    for kept in (
        dataclasses.replace(predictions, conventions=conventions),
        Predictions(predictions.landmarks_px, None, conventions),
    ):
        write_predictions(path, benchmark, kept)
        read = read_predictions(path, benchmark, open_face)
        np.testing.assert_array_equal(read.landmarks_px, predictions.landmarks_px)
        assert read.conventions == conventions

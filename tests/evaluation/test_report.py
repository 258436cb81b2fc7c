"""Tables and result files."""

import csv
import json

import numpy as np
import pytest
from rich.console import Console

from twodasl_jax.evaluation.report import nme_table, write_per_image, write_results
from twodasl_jax.metrics.nme import nme_summary


def test_table_shows_every_row_in_percent_and_a_dash_for_an_empty_bin():
    summary = nme_summary(np.array([0.02, 0.04]), np.array([0.0, 10.0]))
    console = Console(width=80)
    with console.capture() as capture:
        console.print(nme_table({("supervised",): summary}, title="faces"))
    text = capture.get()
    assert "supervised" in text
    assert "…" not in text  # nothing is cut off in an ordinary terminal
    assert "3.00" in text
    assert " - " in text


def test_rows_of_unequal_labels_are_refused():
    summary = nme_summary(np.array([0.02]), np.array([0.0]))
    with pytest.raises(ValueError, match="expected equally many"):
        nme_table({("a",): summary, ("a", "b"): summary}, title="faces")


def test_results_are_json_without_nan_and_replace_the_old_file_at_once(tmp_path):
    path = tmp_path / "run" / "results.json"
    write_results(
        path, {"metrics": {"x": np.float32(1.5), "empty": float("nan"), "n": np.arange(2)}}
    )
    write_results(path, {"metrics": {"x": np.float32(2.5), "empty": float("inf"), "n": [0, 1]}})
    assert json.loads(path.read_text()) == {"metrics": {"x": 2.5, "empty": None, "n": [0, 1]}}
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


def test_per_image_scores_are_a_row_each(tmp_path):
    path = tmp_path / "per_image.csv"
    write_per_image(
        path,
        ["a.jpg", "b.jpg"],
        np.array([1.0, -50.0]),
        {"nme_true_percent": np.array([1.0, np.nan])},
    )
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["file_name"] for row in rows] == ["a.jpg", "b.jpg"]
    assert [row["nme_true_percent"] for row in rows] == ["1.00000", ""]

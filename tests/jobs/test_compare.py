"""--mode=compare: what it prints and writes."""

import csv
import json

import numpy as np
import pytest

from twodasl_jax.evaluation import comparison_report
from twodasl_jax.jobs.modes import run_mode

CONVENTIONS = {
    "crop_source": "landmarks: benchmark boxes",
    "landmark_map_source": "none (empty map, two passes)",
}
SUMMARY = {
    "bin_0_30": 2.5,
    "bin_30_60": 3.25,
    "bin_60_90": None,
    "mean_of_bins": 2.875,
    "mean_of_images": 2.75,
    "failure_rate_10": 1.5,
}


def write_result(folder, *, num_images=3, nme=2.0, **conventions):
    folder.mkdir()
    results = {
        "benchmark": "aflw2000_3d",
        "conventions": CONVENTIONS | conventions,
        "num_images": num_images,
        "left_out": [],
        "metrics": {
            "landmarks68_2d": {
                label: SUMMARY | {"count": float(num_images)}
                for label in ("original", "reannotated")
            },
            "head_pose": {
                "all_images": {"yaw": 4.0, "pitch": 5.0, "roll": 6.0, "mean": 5.0, "count": 3.0}
            },
        },
    }
    (folder / "results.json").write_text(json.dumps(results))
    rows = [["file_name", "landmarks68_2d_original_percent", "landmarks68_2d_reannotated_percent"]]
    rows += [[f"image{index}.jpg", nme + index, nme + index] for index in range(3)]
    (folder / "per_image.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return str(folder / "results.json")


def compare(results, *, output=None, published=False, without_worst=None):
    options = {"results": results, "output": output, "published": published}
    run_mode("compare", None, options | {"without_worst": without_worst})


def printed(capsys):
    """What is on the screen, each run of spaces as one: tables are padded."""
    return " ".join(capsys.readouterr().out.split())


def test_systems_stand_below_each_other_under_each_label_set(tmp_path, capsys):
    first = write_result(tmp_path / "first")
    second = write_result(tmp_path / "second", landmark_map_source="detector: FAN", nme=3.0)
    compare([first, second], output=str(tmp_path / "out"))
    text = printed(capsys)
    for label in ("original", "reannotated"):
        assert f"aflw2000_3d, landmarks68_2d, {label}: NME, %, 3 faces" in text
    assert "first none 2.50 3.25 - 2.88 2.75 1.50" in text
    assert "second detector 2.50" in text
    assert "second detector 4.00 5.00 6.00 5.00" in text
    assert "crop_source: landmarks: benchmark boxes" in text
    assert "published" not in text
    with (tmp_path / "out" / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = [row for row in rows if row["number"] == "bin_30_60" and row["labels"] == "original"]
    assert [(row["system"], float(row["value"])) for row in chosen] == [
        ("first", 3.25),
        ("second", 3.25),
    ]
    pictures = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert pictures == ["error_curve_original.png", "error_curve_reannotated.png"]


def test_the_curve_is_that_of_the_images(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        comparison_report,
        "write_error_curve",
        lambda path, curves, *, title, box, without_worst: drawn.update(
            {path.name: (curves, title, box, without_worst)}
        ),
    )
    compare(
        [write_result(tmp_path / "a"), write_result(tmp_path / "b", nme=5.0)], output=str(tmp_path)
    )
    curves, title, box, without_worst = drawn["error_curve_original.png"]
    assert without_worst == 0
    assert title == "aflw2000_3d, landmarks68_2d, original"
    assert box == "the true 68-point box"
    np.testing.assert_allclose(curves["a"], [0.02, 0.03, 0.04], rtol=1e-12)
    np.testing.assert_allclose(curves["b"], [0.05, 0.06, 0.07], rtol=1e-12)


def test_a_curve_may_leave_out_the_worst_and_says_so(tmp_path, capsys):
    result = write_result(tmp_path / "a", error_curve="without the 20 largest errors")
    other = write_result(tmp_path / "b")
    # What a picture left out is no convention of the numbers.
    compare([result, other], output=str(tmp_path / "all"))
    compare([result, other], output=str(tmp_path / "best"), without_worst=2)
    assert "without the 2 largest errors of each system" in printed(capsys)
    name = "error_curve_original.png"
    assert (tmp_path / "all" / name).read_bytes() != (tmp_path / "best" / name).read_bytes()
    tables = [(tmp_path / out / "comparison.csv").read_text() for out in ("all", "best")]
    assert tables[0] == tables[1]


def test_a_curve_of_nobody_is_refused_before_anything_is_written(tmp_path):
    result = write_result(tmp_path / "a")
    with pytest.raises(ValueError, match="the 3 largest of 3 errors cannot be left out"):
        compare([result], output=str(tmp_path / "out"), without_worst=3)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="drawn with --output"):
        compare([result], without_worst=1)


def test_published_rows_are_marked_and_only_beside_the_whole_benchmark(tmp_path, capsys):
    whole = write_result(tmp_path / "whole", num_images=2000)
    compare([whole], published=True, output=str(tmp_path / "out"))
    text = printed(capsys)
    assert text.count("SynergyNet published - - - 3.41 - -") == 1
    assert "not measured here" in text
    assert "no published rows beside landmarks68_2d reannotated: they are of the original" in text
    assert "published, not measured" in (tmp_path / "out" / "comparison.csv").read_text()
    compare([write_result(tmp_path / "sample", num_images=40)], published=True)
    text = printed(capsys)
    assert "SynergyNet" not in text
    assert "landmarks68_2d original: they are of all 2,000 images, these of 40" in text


def test_different_conventions_end_with_the_reason_and_write_nothing(tmp_path):
    first = write_result(tmp_path / "first")
    second = write_result(tmp_path / "second", crop_source="detector")
    with pytest.raises(
        ValueError, match="crop_source is 'landmarks: benchmark boxes' in the first, 'd"
    ):
        compare([first, second], output=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_without_results_the_flag_is_named():
    with pytest.raises(ValueError, match="no --results was given"):
        compare(None)

"""--mode=compare: what it prints and writes."""

import csv
import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from twodasl_jax.evaluation import comparison_report
from twodasl_jax.experiment.settings.reading import plain
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


def write_result(folder, *, num_images=3, nme=2.0, benchmark="aflw2000_3d", **conventions):
    folder.mkdir()
    results = {
        "benchmark": benchmark,
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


DEFAULTS = {"output": None, "published": False, "without_worst": None}
DEFAULTS |= {"set_name": None, "over_seeds": False}


def compare(results, **options):
    run_mode("compare", None, DEFAULTS | {"results": results} | options)


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


def test_roll_is_shown_where_a_result_has_it(tmp_path, capsys):
    first, second = (write_result(tmp_path / name) for name in ("first", "second"))
    compare([first, second])
    assert "by roll" not in printed(capsys)
    results = json.loads(Path(first).read_text())
    by_roll = {"roll_0_15": 2.5, "roll_15_45": 6.125, "roll_45_90": None, "roll_90_180": 50.0}
    counts = {f"count_{name}": float(10 * index) for index, name in enumerate(by_roll)}
    results["metrics"]["landmarks68_2d"]["original"] |= by_roll | counts
    Path(first).write_text(json.dumps(results))
    compare([first, second])
    text = printed(capsys)
    assert text.count("by roll: landmarks68_2d, original") == 1
    assert "(0 faces) (10 faces) (20 faces) (30 faces)" in text
    # The second is of an earlier version.
    assert "first 2.50 6.12 - 50.00 second - - - -" in text


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


def write_run(folder, *, mean, settings):
    """A training run with scores on two sets."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(settings))
    entries = {}
    for name in ("labelled", "others"):
        place = folder / "evaluations" / "stage1" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        path = write_result(place, benchmark="aflw")
        results = json.loads((place / "results.json").read_text())
        summary = results["metrics"]["landmarks68_2d"]["original"]
        summary |= {"bin_0_30": mean, "mean_of_bins": mean + 1}
        results["system"] = {"moment": "stage1", "step": 3}
        (place / "results.json").write_text(json.dumps(results))
        entries[name] = {"metrics": {}}
    (folder / "results.json").write_text(
        json.dumps({"stages": {}, "evaluations": {"stage1": entries}})
    )
    return str(folder / "results.json"), path


def settings_of_run(**changes):
    config = importlib.import_module("configs.quickstart").get_config()
    config.update(changes)
    return plain(config)


def test_seeds_of_the_same_settings_are_one_row(tmp_path, capsys):
    given = {"a": (2.0, 0), "b": (3.0, 1), "c": (7.0, 2)}
    files = {
        name: write_run(tmp_path / name, mean=mean, settings=settings_of_run(seed=seed))[0]
        for name, (mean, seed) in given.items()
    }
    # Another start is another experiment, unless the start is one seed of the same.
    for name, seed in (("d", 0), ("e", 1)):
        start = str(tmp_path / "abc"[seed])
        settings = settings_of_run(seed=seed, init_from=start)
        files[name], _ = write_run(tmp_path / name, mean=5.0 + 0.5 * seed, settings=settings)
    out = tmp_path / "out"
    compare(list(files.values()), set_name="labelled", over_seeds=True, output=str(out))
    text = printed(capsys)
    # Means of 2, 3, 7 and of 5, 5.5; √7 and 0.5/√2 their standard deviations.
    assert "over seeds: landmarks68_2d, original" in text
    assert "a/stage1/labelled 3 4.00 ± 2.65 3.25 ± 0.00 - 5.00 ± 2.65" in text
    assert "d/stage1/labelled 2 5.25 ± 0.35" in text
    with (out / "over_seeds.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["number"] == "bin_0_30"]
    assert [(row["seeds"], float(row["mean"])) for row in rows if row["labels"] == "original"] == [
        ("3", 4.0),
        ("2", 5.25),
    ]
    assert float(rows[0]["std"]) == pytest.approx(7**0.5)


def test_seeds_that_cannot_be_told_are_refused(tmp_path):
    first, _ = write_run(tmp_path / "a", mean=1.0, settings=settings_of_run())
    again, _ = write_run(tmp_path / "b", mean=2.0, settings=settings_of_run())
    both = {"set_name": "labelled", "over_seeds": True}
    with pytest.raises(ValueError, match="the same settings and the same seed 0; give one"):
        compare([first, again], **both)
    with pytest.raises(ValueError, match="no scores on a set 'labeled'; choose one of labelled, o"):
        compare([first], set_name="labeled")
    # A set of a run by its own file.
    _, own = write_run(tmp_path / "c", mean=3.0, settings=settings_of_run(seed=1))
    compare([own], over_seeds=True)
    with pytest.raises(ValueError, match="of no trained run: it has no seed"):
        compare([write_result(tmp_path / "theirs")], over_seeds=True)

"""RESULTS.md: every number of the files, and none besides."""

import json

import pytest

from benchmarks import results_table

NUMBERS = {
    "count": 300.0,
    "bin_0_30": 4.926,
    "bin_30_60": 5.389,
    "bin_60_90": None,
    "mean_of_bins": 6.013,
    "mean_of_images": 5.67,
    "failure_rate_10": 6.667,
}
TRAINING = {
    "evaluations": {
        moment: {"held_out": {"conventions": {"yaw_source": "true"}, "metrics": {"true": NUMBERS}}}
        for moment in ("before", "stage1")
    },
    "stages": {"stage1": {"steps": 600, "from_step": 0, "seconds": 241.5}},
}
POSE = {"yaw": 3.5, "pitch": 4.5, "roll": 2.25, "mean": 3.417, "count": 40.0}
BENCHMARK = {
    "benchmark": "aflw2000_3d",
    "conventions": {"crop_source": "landmarks: benchmark boxes"},
    "num_images": 40,
    "left_out": [],
    "metrics": {"landmarks68_2d": {"original": NUMBERS}, "head_pose": {"all_images": POSE}},
    "git_revision": "0123456789abcdef",
    "seconds": {"landmarks68_2d": 0.5, "all": 12.3},
}


def write(folder, results):
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps(results))
    return str(folder / "results.json")


def table(tmp_path, *runs):
    arguments = [argument for run in runs for argument in ("--run", *run)]
    results_table.main([*arguments, "--output", str(tmp_path / "RESULTS.md")])
    return (tmp_path / "RESULTS.md").read_text()


def test_a_training_run_and_a_benchmark_stand_in_one_file(tmp_path):
    quick, scores = write(tmp_path / "quick", TRAINING), write(tmp_path / "scores", BENCHMARK)
    text = table(tmp_path, (quick, "python run.py A", "abc123"), (scores, "python run.py B"))
    assert text.startswith("# Results\n")
    assert "## quick\n\n- command: `python run.py A`\n- commit: abc123\n" in text
    assert "- wall time: stage1 242 s of steps 0 to 600\n" in text
    assert "  - yaw_source: true\n" in text
    assert "| before | held_out | true | 300 | 4.93 | 5.39 | - | 6.01 | 5.67 | 6.67 |" in text
    assert "| stage1 | held_out | true | 300 |" in text
    assert "- commit: 0123456789abcdef\n- wall time: 12 s\n" in text
    assert "| - | aflw2000_3d | landmarks68_2d original | 300 | 4.93 |" in text
    assert "| - | aflw2000_3d | head_pose all_images | 40 | 3.50 | 4.50 | 2.25 | 3.42 |" in text
    assert str(tmp_path) not in text, "where the files lay is nobody's business"


def test_what_a_file_does_not_record_is_said(tmp_path):
    unknown = {key: value for key, value in BENCHMARK.items() if key not in ("seconds",)}
    text = table(tmp_path, (write(tmp_path / "a", unknown | {"git_revision": None}), "command"))
    assert "- commit: not recorded\n- wall time: not recorded\n" in text


def test_another_commit_than_the_recorded_one_is_refused(tmp_path):
    path = write(tmp_path / "a", BENCHMARK)
    assert "0123456789abcdef" in table(tmp_path, (path, "command", "0123456"))
    with pytest.raises(ValueError, match="was made at commit 0123456789abcdef, not fff"):
        table(tmp_path, (path, "command", "fff"))


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({"metrics": {}}, "has metrics; expected evaluations"),
        ({"evaluations": {}, "stages": {}}, "holds no scores"),
    ],
)
def test_a_file_without_scores_is_refused(tmp_path, results, message):
    with pytest.raises(ValueError, match=message):
        table(tmp_path, (write(tmp_path / "a", results), "command"))


def test_a_run_needs_its_command(tmp_path, capsys):
    with pytest.raises(SystemExit):
        table(tmp_path, (write(tmp_path / "a", BENCHMARK),))
    assert "FILE COMMAND [COMMIT], got 1 values" in capsys.readouterr().err


def test_the_committed_table_is_what_the_script_writes(repository):
    assert (repository / "RESULTS.md").read_text().startswith(results_table.HEADER)

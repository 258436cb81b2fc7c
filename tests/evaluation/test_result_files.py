"""Results that are read back: wrong types are told before anything is compared."""

import json

import pytest

from twodasl_jax.evaluation.result_files import read_benchmark_results, read_per_image

GOOD = {
    "benchmark": "aflw2000_3d",
    "conventions": {"crop_source": "landmarks"},
    "num_images": 2,
    "left_out": [{"file_name": "a.jpg", "reason": "dark"}, "b.jpg"],
    "metrics": {"landmarks68_2d": {"original": {"count": 2, "mean_of_bins": None}}},
}


def write(path, value):
    path.write_text(json.dumps(value))
    return path


def test_a_good_result_is_read(tmp_path):
    assert read_benchmark_results(write(tmp_path / "results.json", GOOD)) == GOOD


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_images": "2"}, "num_images is a text; expected a whole number"),
        ({"num_images": True}, "num_images is a truth value"),
        ({"conventions": []}, "conventions is a list; expected an object"),
        ({"conventions": {"crop_source": 3}}, "conventions.crop_source is 3; expected a text"),
        ({"left_out": [3]}, "left_out holds 3; expected named faces"),
        ({"left_out": [{"reason": "x"}]}, "left_out holds"),
        ({"metrics": {"nme": 3}}, "has no count of faces"),
        ({"metrics": {"nme": {"original": {}}}}, "metrics.nme.original has no count"),
        ({"metrics": {"nme": {"original": {"count": 2, "x": "y"}}}}, "x is 'y'; expected a number"),
    ],
)
def test_entries_of_other_types_are_refused(tmp_path, changes, message):
    path = write(tmp_path / "results.json", GOOD | changes)
    with pytest.raises(ValueError, match=message) as refused:
        read_benchmark_results(path)
    assert "results.json" in str(refused.value)
    assert "score" in str(refused.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file_name,a_percent\nx,word\n", "a_percent holds 'word'; expected numbers"),
        ("file_name,a_percent\nx,nan\n", "a_percent holds 'nan'; expected numbers"),
        ("file_name,a_percent\nx\n", "is cut short"),
        ("name,a_percent\nx,1\n", "no file_name column"),
    ],
)
def test_tables_of_other_contents_are_refused(tmp_path, content, message):
    (tmp_path / "per_image.csv").write_text(content)
    with pytest.raises(ValueError, match=message) as refused:
        read_per_image(tmp_path / "per_image.csv")
    assert "per_image.csv" in str(refused.value)


def test_a_face_without_a_number_has_an_empty_cell(tmp_path):
    (tmp_path / "per_image.csv").write_text("file_name,a_percent\nx,\ny,2.0\n")
    assert read_per_image(tmp_path / "per_image.csv") == {
        "file_name": ["x", "y"],
        "a_percent": ["", "2.0"],
    }

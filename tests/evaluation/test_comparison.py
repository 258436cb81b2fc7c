"""Comparing systems: what may stand in one column, and what is refused with which reason."""

import csv
import json

import numpy as np
import pytest

from twodasl_jax.evaluation.comparison import (
    PUBLISHED,
    errors_per_image,
    read_systems,
    require_same_conventions,
    shared_columns,
    unshared_columns,
    why_no_published_rows,
)

CONVENTIONS = {
    "crop_source": "landmarks: benchmark boxes",
    "yaw_source": "Pose_Para",
    "normaliser": "sqrt(w*h) of the 68-point box",
    "coordinates": "image pixels",
    "landmark_map_source": "none (empty map, two passes)",
}


def write_result(
    folder, nme=(1.0, 2.0, 3.0), *, labels=("original", "reannotated"), names=None, **changed
):
    """What scoring leaves behind: results.json and per_image.csv of three faces."""
    folder.mkdir(parents=True)
    names = names or [f"image{index:05d}.jpg" for index in range(len(nme))]
    summary = {"mean_of_bins": float(np.mean(nme)), "bin_60_90": None, "count": float(len(nme))}
    results = {
        "benchmark": "aflw2000_3d",
        "conventions": CONVENTIONS,
        "num_images": len(nme),
        "left_out": [],
        "metrics": {"landmarks68_2d": dict.fromkeys(labels, summary)},
    }
    (folder / "results.json").write_text(json.dumps(results | changed))
    with (folder / "per_image.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        columns = [f"landmarks68_2d_{label}_percent" for label in labels]
        writer.writerow(["file_name", "yaw_degrees", *columns])
        for name, error in zip(names, nme, strict=True):
            writer.writerow([name, "0.000", *(f"{error:.5f}" for _ in labels)])
    return folder / "results.json"


def test_systems_are_named_after_their_folders(tmp_path):
    paths = [write_result(tmp_path / name) for name in ("first", "second")]
    systems = read_systems(paths)
    assert [system.name for system in systems] == ["first", "second"]
    require_same_conventions(systems)
    assert shared_columns(systems) == [
        ("landmarks68_2d", "original"),
        ("landmarks68_2d", "reannotated"),
    ]
    errors = errors_per_image(systems[0], "landmarks68_2d", "original")
    np.testing.assert_allclose(errors, [0.01, 0.02, 0.03], rtol=1e-12)


def test_equal_folder_names_get_their_parents(tmp_path):
    paths = [write_result(tmp_path / run / "scores") for run in ("a", "b")]
    assert [system.name for system in read_systems(paths)] == ["a/scores", "b/scores"]


def test_the_sets_of_runs_are_named_by_run_moment_and_set(tmp_path):
    paths = [write_result(tmp_path / run / "evaluations" / "stage2" / "faces") for run in "ab"]
    paths.append(write_result(tmp_path / "scores"))
    assert [system.name for system in read_systems(paths)] == [
        *("a/stage2/faces", "b/stage2/faces", "scores")
    ]


def test_the_landmark_map_may_differ_and_nothing_else(tmp_path):
    first = write_result(tmp_path / "first")
    fed = write_result(
        tmp_path / "fed", conventions=CONVENTIONS | {"landmark_map_source": "detector"}
    )
    require_same_conventions(read_systems([first, fed]))


@pytest.mark.parametrize("key", [key for key in CONVENTIONS if key != "landmark_map_source"])
def test_every_other_convention_is_refused_by_name_and_values(tmp_path, key):
    first = write_result(tmp_path / "first")
    other = write_result(tmp_path / "other", conventions=CONVENTIONS | {key: "another"})
    message = f"first and other do not belong .*: {key} is .* in the first, 'another' in the second"
    with pytest.raises(ValueError, match=message):
        require_same_conventions(read_systems([first, other]))


def test_the_benchmarks_boxes_have_a_short_name_and_a_detectors_have_not(tmp_path):
    first = write_result(tmp_path / "first")
    short = write_result(tmp_path / "short", conventions=CONVENTIONS | {"crop_source": "landmarks"})
    require_same_conventions(read_systems([first, short]))
    named, bare = (
        write_result(
            tmp_path / name.replace(":", ""), conventions=CONVENTIONS | {"crop_source": name}
        )
        for name in ("detector: dlib", "detector")
    )
    with pytest.raises(
        ValueError, match="crop_source is 'detector: dlib' in the first, 'detector'"
    ):
        require_same_conventions(read_systems([named, bare]))


def test_a_convention_that_one_does_not_state_is_a_difference(tmp_path):
    first = write_result(tmp_path / "first")
    unstated = {key: text for key, text in CONVENTIONS.items() if key != "yaw_source"}
    other = write_result(tmp_path / "other", conventions=unstated)
    for order in ([first, other], [other, first]):
        with pytest.raises(
            ValueError, match=r"yaw_source is '(Pose_Para|not stated)'.*may state it"
        ):
            require_same_conventions(read_systems(order))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"benchmark": "aflw"}, "the benchmark is 'aflw2000_3d' in the first, 'aflw' in the sec"),
        ({"num_images": 2}, "the number of images is '3' in the first, '2' in"),
        (
            {"left_out": [{"file_name": "image00009.jpg", "reason": "no face found"}]},
            "left out is 'empty' in the first, 'image00009.jpg' in",
        ),
        ({"names": ["image00000.jpg", "image00001.jpg", "x.jpg"]}, "scored is 'image00002.jpg'"),
    ],
)
def test_other_images_are_refused(tmp_path, changed, message):
    first = write_result(tmp_path / "first")
    other = write_result(tmp_path / "other", **changed)
    with pytest.raises(ValueError, match=message):
        require_same_conventions(read_systems([first, other]))


def missing(*names):
    """What a result with ``allow_missing`` says."""
    told = f"{len(names)} of {3 + len(names)} faces are left out, named in left_out (allow_missing)"
    return {
        "left_out": [{"file_name": name, "reason": "no prediction of it"} for name in names],
        "conventions": CONVENTIONS | {"missing_faces": told},
    }


def test_results_that_lack_other_faces_are_refused_by_the_faces(tmp_path):
    whole = write_result(tmp_path / "whole")
    lacks = write_result(tmp_path / "lacks", num_images=2, **missing("image02139.jpg"))
    for order in ([whole, lacks], [lacks, whole]):
        with pytest.raises(ValueError, match=r"left out is .*image02139\.jpg.*leave the same"):
            require_same_conventions(read_systems(order))
    alike = write_result(tmp_path / "alike", num_images=2, **missing("image02139.jpg"))
    require_same_conventions(read_systems([lacks, alike]))
    assert why_no_published_rows(read_systems([lacks])[0], ("landmarks68_2d", "original"))


def test_long_lists_of_missing_faces_are_compared_to_their_ends(tmp_path):
    names = [f"image{index:05d}.jpg" for index in range(100, 105)]
    first = write_result(tmp_path / "first", **missing(*names))
    other = write_result(tmp_path / "other", **missing(*names[:-1], "image09999.jpg"))
    with pytest.raises(ValueError, match=r"is 'image00104\.jpg' in the first, 'image09999\.jpg'"):
        require_same_conventions(read_systems([first, other]))


def test_missing_by_the_option_or_when_prepared_is_the_same(tmp_path):
    first = write_result(tmp_path / "first", **missing("image00104.jpg"))
    prepared = write_result(tmp_path / "prepared", left_out=missing("image00104.jpg")["left_out"])
    require_same_conventions(read_systems([first, prepared]))


def test_labels_of_fewer_faces_are_refused(tmp_path):
    first = write_result(tmp_path / "first")
    fewer = {"original": {"count": 2.0}}
    other = write_result(tmp_path / "other", metrics={"landmarks68_2d": fewer})
    with pytest.raises(
        ValueError, match=r"faces with landmarks68_2d original is '3\.0' in the first"
    ):
        require_same_conventions(read_systems([first, other]))


def test_label_sets_never_share_a_column(tmp_path):
    both = write_result(tmp_path / "both")
    original = write_result(tmp_path / "original", labels=("original",))
    systems = read_systems([both, original])
    assert shared_columns(systems) == [("landmarks68_2d", "original")]
    assert unshared_columns(systems) == {"both": ["landmarks68_2d reannotated"], "original": []}
    again = write_result(tmp_path / "again", labels=("reannotated",))
    with pytest.raises(ValueError, match=r"same label set .*original: landmarks68_2d original"):
        shared_columns(read_systems([original, again]))


def test_bad_files_get_a_sentence(tmp_path):
    good = write_result(tmp_path / "good")
    with pytest.raises(ValueError, match="given twice"):
        read_systems([good, tmp_path / "x" / ".." / "good" / "results.json"])
    with pytest.raises(ValueError, match="no results were given"):
        read_systems([])
    with pytest.raises(FileNotFoundError, match="absent"):
        read_systems([good, tmp_path / "absent" / "results.json"])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "results.json").write_text('{"steps": {}}')
    with pytest.raises(ValueError, match=r"lacks benchmark.* no score on a benchmark: score the"):
        read_systems([tmp_path / "other" / "results.json"])
    cut = write_result(tmp_path / "cut")
    cut.with_name("per_image.csv").write_text("file_name,yaw_degrees\nimage")
    with pytest.raises(ValueError, match="cut short"):
        read_systems([cut])
    system = read_systems([good])[0]
    with pytest.raises(ValueError, match="no column dense_2d_all_percent; it has file_name"):
        errors_per_image(system, "dense_2d", "all")


def test_faces_without_a_label_have_no_error(tmp_path):
    path = write_result(tmp_path / "first", labels=("original",))
    table = path.with_name("per_image.csv")
    table.write_text(table.read_text().replace("2.00000", ""))
    errors = errors_per_image(read_systems([path])[0], "landmarks68_2d", "original")
    np.testing.assert_allclose(errors, [0.01, 0.03], rtol=1e-12)


@pytest.mark.parametrize(
    ("changed", "column", "reason"),
    [
        ({}, ("landmarks68_2d", "original"), None),
        ({}, ("landmarks68_2d", "reannotated"), "these are reannotated"),
        ({}, ("dense_2d", "original"), "68 points in x and y"),
        ({"benchmark": "aflw"}, ("landmarks68_2d", "original"), "on AFLW2000-3D"),
        ({"num_images": 40}, ("landmarks68_2d", "original"), "all 2,000 images, these of 40"),
        ({"left_out": ["image00002.jpg"]}, ("landmarks68_2d", "original"), "all 2,000 images"),
        (
            {"conventions": CONVENTIONS | {"crop_source": "detector"}},
            ("landmarks68_2d", "original"),
            "these of 'detector'",
        ),
    ],
)
def test_published_rows_stand_only_beside_their_own_conventions(tmp_path, changed, column, reason):
    path = write_result(tmp_path / "first", **{"num_images": 2000} | changed)
    told = why_no_published_rows(read_systems([path])[0], column)
    assert told is None if reason is None else reason in told


def test_published_means_are_the_means_of_their_bins():
    for name, (*bins, mean) in PUBLISHED.items():
        if None not in bins:
            # Each is printed to two digits: the mean of rounded bins is off by a hundredth at most.
            assert np.mean(bins) == pytest.approx(mean, abs=0.01), name

"""Evaluation sets: benchmarks that a run's networks are scored on at each of its moments."""

import csv
import importlib
import json

import numpy as np
import pytest
import scipy.io

from twodasl_jax.data.sources import write_rendered
from twodasl_jax.evaluation.benchmark import Benchmark, Predictions
from twodasl_jax.evaluation.sets import EvaluationSet
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.experiment.scores import report
from twodasl_jax.experiment.scores.evaluation import open_given_sets
from twodasl_jax.experiment.settings.experiment_settings import Aflw2000Settings
from twodasl_jax.jobs.modes import run_mode

CONVENTIONS = {"crop_source": "landmarks", "landmark_map_source": "none"}


def made_up(count, **labels):
    benchmark = Benchmark(
        name="aflw2000_3d",
        file_names=tuple(f"{index}.jpg" for index in range(count)),
        crops=np.full((count, 120, 120, 3), 128, np.uint8),
        roi_box=np.tile([0.0, 0, 120, 120], (count, 1)),
        yaw_degrees=np.zeros(count),
        truth=labels,
        label_sets=tuple(labels),
        published_detections=None,
        read_photo=None,
        conventions={"yaw_source": "Pose_Para"},
    )
    return EvaluationSet("faces", benchmark, f"{count} of these", "none")


def scored(workdir, chosen, predicted, *, moment, step=0):
    """What `evaluate_networks` does with a set's predictions."""
    predictions = Predictions(predicted, None, CONVENTIONS)
    nme, results = report.score_set(chosen.benchmark, predictions)
    report.write_scores(workdir, moment, chosen, predictions, nme, results)
    entry = report.entry_of(chosen, results, step=step)
    workdir.add_result("evaluations", moment, {chosen.name: entry})
    return entry


@pytest.fixture
def true():
    return np.random.default_rng(0).uniform(20, 100, (4, 68, 2))


def test_a_face_without_its_labels_is_not_scored(tmp_path, true):
    again = true + np.arange(4)[:, None, None]
    again[2, 5] = np.nan
    chosen, workdir = made_up(4, original=true, reannotated=again), Workdir(tmp_path)
    entry = scored(workdir, chosen, true, moment="before", step=3)
    assert entry["step"] == 3
    assert entry["conventions"] == {
        **{"images": "4 of these", "yaw_source": "Pose_Para"},
        **CONVENTIONS,
    }
    metrics = entry["metrics"]
    assert [metrics[name]["count"] for name in ("original", "reannotated")] == [4, 3]
    assert metrics["original"]["mean_of_images"] == 0
    assert metrics["reannotated"]["mean_of_images"] > 0
    with (workdir.evaluation("before", "faces") / "per_image.csv").open(newline="") as file:
        column = [row["nme_reannotated_percent"] for row in csv.DictReader(file)]
    assert [text == "" for text in column] == [False, False, True, False]
    report.write_pictures(workdir, [], [chosen])
    assert (tmp_path / "faces_faces_reannotated.png").stat().st_size > 1000


def test_predictions_that_are_no_points_are_refused(true):
    with pytest.raises(ValueError, match=r"1 of 4 predictions .* not finite, first face 2"):
        Predictions(np.where(np.arange(4)[:, None, None] == 2, np.inf, true), None, {})


def test_compare_reads_what_training_wrote(tmp_path, true, capsys):
    chosen = made_up(4, original=true)
    for run, error in (("first", 1.0), ("second", 2.0)):
        workdir = Workdir(tmp_path / run)
        scored(workdir, chosen, true + 9, moment="before")
        scored(workdir, chosen, true + error, moment="stage1", step=5)
    paths = [str(tmp_path / run / "results.json") for run in ("first", "second")]
    options = {"output": None, "published": False, "without_worst": None}
    options |= {"set_name": None, "over_seeds": None}
    run_mode("compare", None, {"results": paths, **options})
    told = " ".join(capsys.readouterr().out.split())
    assert "aflw2000_3d, landmarks68_2d, original: NME, %, 4 faces" in told
    means = [float(told.split(f"{run}/stage1/faces none ")[1].split()[0]) for run in RUNS]
    assert means[1] == pytest.approx(2 * means[0], abs=0.02)  # of two digits
    # Any moment by its own file; the same set of two moments of one run.
    files = [str(tmp_path / "first/evaluations" / m / "faces/results.json") for m in MOMENTS]
    run_mode("compare", None, {"results": files, **options})
    assert "first/before/faces" in capsys.readouterr().out
    (tmp_path / "second/evaluations/stage1/faces/results.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"earlier version .* --mode=evaluate --workdir="):
        run_mode("compare", None, {"results": paths, **options})
    Workdir(tmp_path / "third").add_result("stages", "stage1", {})
    with pytest.raises(ValueError, match="has no scores yet"):
        run_mode("compare", None, {"results": [str(tmp_path / "third/results.json")], **options})


RUNS, MOMENTS = ("first", "second"), ("before", "stage1")


def sets_of(path, **settings):
    given = {"path": str(path), "landmark_map_source": "none"} | settings
    return [Aflw2000Settings(kind="aflw2000", name="faces", **given)]


def test_a_set_is_its_benchmark(original, caplog):
    folder = original("aflw2000_3d")
    path = folder / "AFLW2000" / "image00004.mat"
    fields = {k: v for k, v in scipy.io.loadmat(path).items() if k[0] != "_" and k != "Shape_Para"}
    scipy.io.savemat(path, fields)
    chosen = open_given_sets(sets_of(folder))["faces"]
    assert chosen.benchmark.name == "aflw2000_3d"
    assert chosen.images == "4 of AFLW2000-3D"
    assert caplog.messages[0].startswith("1 face has no usable Shape_Para, first image00004.jpg")
    with pytest.raises(ValueError, match="no detected_landmarks_crop_px; set landmark_map_source="):
        open_given_sets(sets_of(folder, landmark_map_source="detector"))
    (folder / "AFLW2000" / "image00003.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"image00003\.jpg: .*--config.allow_missing=True"):
        open_given_sets(sets_of(folder))


def test_a_set_of_renders_is_scored_as_a_benchmark_too(tmp_path, true):
    images = np.random.default_rng(1).integers(0, 256, (4, 120, 120, 3)).astype(np.uint8)
    write_rendered(
        tmp_path / "held_out",
        images=images,
        coefficients=np.zeros((4, 62), np.float32),
        landmarks=true.astype(np.float32),
        yaw_degrees=np.array([0.0, 40, 70, -80]),
        settings={"seed": 1},
    )
    config = importlib.import_module("configs.evaluation").get_config()
    config.benchmark, config.data_dir = "rendered", str(tmp_path / "held_out")
    names = [f"held_out_{index:05d}" for index in range(4)]
    # The renderer puts the centre of a pixel where the crop frame has its corner.
    np.savez(tmp_path / "given.npz", file_name=names, landmarks=true + 0.5)
    options = dict.fromkeys(("checkpoint", "face_model"))
    options |= {"workdir": str(tmp_path / "out"), "predictions": str(tmp_path / "given.npz")}
    run_mode("evaluate", config, options)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["benchmark"] == "rendered"
    # %; the labels are float32 pixels.
    assert results["metrics"]["landmarks68_2d"]["true"]["mean_of_bins"] < 1e-4
    assert results["conventions"]["renders"].startswith("4 faces, ")

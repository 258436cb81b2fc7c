"""Evaluation sets: a face that lacks labels is not scored, and stops nothing."""

import csv
import types

import jax.numpy as jnp
import numpy as np

from twodasl_jax.evaluation.sets import EvaluationSet
from twodasl_jax.experiment import report
from twodasl_jax.experiment.evaluation import score_set
from twodasl_jax.experiment.run.workdir import Workdir
from twodasl_jax.face_model.landmarks import landmark_model, landmarks_from_coefficients


def test_a_face_without_its_labels_is_not_scored(
    small_face_model, small_frontal_coefficients, tmp_path
):
    model = landmark_model(small_face_model)
    coefficients = np.tile(small_frontal_coefficients, (4, 1))
    true = np.asarray(landmarks_from_coefficients(model, jnp.asarray(coefficients)))[
        ..., :2
    ].astype(float)
    again = true + np.arange(4)[:, None, None]
    again[2, 5] = np.nan
    chosen = EvaluationSet(
        name="faces",
        names=list("abcd"),
        image=np.zeros((4, 120, 120, 3), np.uint8),
        detected_landmarks=np.full((4, 18, 2), np.nan),
        roi_box=np.tile([0.0, 0, 120, 120], (4, 1)),
        yaw_degrees=np.zeros(4),
        labels={"original": true, "reannotated": again},
        conventions={},
    )
    constants = types.SimpleNamespace(landmarks=model)
    scores = score_set(chosen, lambda *_: coefficients, constants)
    assert [scores.metrics[name]["count"] for name in ("original", "reannotated")] == [4, 3]
    assert scores.metrics["reannotated"]["mean_of_images"] > 0
    workdir = Workdir(tmp_path)
    report.write_scores(workdir, "before", chosen, scores)
    workdir.add_result("evaluations", "before", {"faces": {"metrics": scores.metrics}})
    with (workdir.evaluation("before", "faces") / "per_image.csv").open(newline="") as file:
        column = [row["nme_reannotated_percent"] for row in csv.DictReader(file)]
    assert [text == "" for text in column] == [False, False, True, False]
    report.write_pictures(workdir, [], [chosen])
    assert (tmp_path / "faces_faces_reannotated.png").stat().st_size > 1000

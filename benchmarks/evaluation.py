"""Seconds of every metric on 40 faces, and what 2,000 would take; no data set is needed.

The faces are random ones of a face model (the embedded one, or yours with --face_model), the
predictions the same ones, disturbed; the metrics are those of AFLW2000-3D. --network adds
prediction by a backbone with random weights. Medians over rounds.

    python benchmarks/evaluation.py --face_model data/bfm.npz --network resnet50
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import jax
import numpy as np

from configs import quickstart
from twodasl_jax.evaluation.benchmark import Benchmark, Predictions
from twodasl_jax.evaluation.benchmark_kinds import BENCHMARKS
from twodasl_jax.evaluation.predictions_file import predictions_from_coefficients
from twodasl_jax.experiment.run.trained import TrainedRun
from twodasl_jax.experiment.scores.benchmark_predictions import make_predictor
from twodasl_jax.experiment.sources.rendered_data import sample_model_faces
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.model import OPEN_FACE_FILE, FaceModel
from twodasl_jax.methods.twodasl_setup import TwoDASLFamily

WHOLE = 2000
"""Faces of AFLW2000-3D."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--face_model", default=OPEN_FACE_FILE, help="a face model file")
    parser.add_argument("--faces", type=int, default=40, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--network", default=None, help="a backbone to predict with, two passes")
    return parser.parse_args()


def make_faces(face_model: FaceModel, count: int) -> tuple[Benchmark, Predictions]:
    """A made-up benchmark and predictions as far from it as a good network's."""
    generator = np.random.default_rng(0)
    faces = sample_model_faces(face_model, generator, count)
    roi_box = np.tile([0.0, 0.0, 300.0, 300.0], (count, 1))
    true = predictions_from_coefficients(face_model, faces.coefficients, roi_box, {})
    spread = faces.coefficients.std(axis=0)
    wrong = faces.coefficients + 0.2 * spread * generator.normal(size=faces.coefficients.shape)
    benchmark = Benchmark(
        name="aflw2000_3d",
        file_names=tuple(str(face) for face in range(count)),
        crops=generator.integers(0, 256, (count, 120, 120, 3)).astype(np.uint8),
        roi_box=roi_box,
        yaw_degrees=np.zeros(count),
        truth={
            "original": true.landmarks_px,
            "reannotated": true.landmarks_px[..., :2],
            "pose_para": generator.uniform(-0.5, 0.5, (count, 7)),
            "coefficients": faces.coefficients,
        },
        label_sets=("original", "reannotated"),
        published_detections=None,
        read_photo=None,
    )
    return benchmark, predictions_from_coefficients(face_model, wrong, roi_box, {})


def make_network(name: str, face_model: FaceModel, benchmark: Benchmark) -> Callable[[], object]:
    """Prediction of all faces, compiled."""
    config, family = quickstart.get_config(), TwoDASLFamily()
    config.models.backbone = name
    stage = config.stages[0]
    stage.loss_weights = {"coefficient": 1.0}
    method = family.make(models=config.models, losses=config.losses, stage=stage)
    arrays = family.fit_arrays(face_model, benchmark.truth["coefficients"])
    networks = method.init(jax.random.key(0))
    trained = TrainedRun({}, stage.name, 0, face_model, family, method, networks, arrays)
    predict = make_predictor(trained, batch_size=min(40, len(benchmark)))
    return lambda: predict(networks, benchmark.crops)


def seconds_of(call: Callable[[], object], rounds: int) -> float:
    """Median, after one call that compiles."""
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    arguments = parse_arguments()
    face_model = face_model_from_file(arguments.face_model)
    benchmark, predictions = make_faces(face_model, arguments.faces)
    calls: dict[str, Callable[[], object]] = {
        name: lambda metric=metric: metric(benchmark, predictions)
        for name, metric in BENCHMARKS["aflw2000_3d"].metrics.items()
    }
    if arguments.network:
        calls[f"prediction, {arguments.network}"] = make_network(
            arguments.network, face_model, benchmark
        )
    print(
        f"{arguments.faces} faces of '{face_model.name}', {face_model.num_vertices:,} vertices, "
        f"{os.cpu_count()} cores, median of {arguments.rounds}"
    )
    for name, call in calls.items():
        seconds = seconds_of(call, arguments.rounds)
        whole = seconds * WHOLE / arguments.faces
        each = 1e3 * seconds / arguments.faces
        print(f"{name:24s} {each:9.2f} ms a face {whole:9.1f} s for {WHOLE:,}", flush=True)


if __name__ == "__main__":
    main()

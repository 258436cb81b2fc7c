"""The benchmarks by name: how each is opened, what is measured on it, what is drawn."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from rich.console import Console

from twodasl_jax.evaluation import benchmark_metrics as measure
from twodasl_jax.evaluation.benchmark import Benchmark, Predictions
from twodasl_jax.evaluation.benchmark_faces import (
    open_aflw2000_3d,
    open_aflw_lfpa,
    open_rendered,
)
from twodasl_jax.evaluation.benchmark_metrics import MANUAL, Metric
from twodasl_jax.evaluation.labelled_crops import open_aflw


class OpenBenchmark(Protocol):
    """Opens one benchmark."""

    def __call__(
        self, data_dir: Path, console: Console, *, allow_missing: bool = False
    ) -> Benchmark:
        """See `twodasl_jax.evaluation.benchmark_faces.open_aflw2000_3d`."""
        ...


Points = Callable[[Benchmark, Predictions], np.ndarray]


@dataclasses.dataclass(frozen=True)
class BenchmarkKind:
    """How one benchmark is scored.

    Attributes:
      open: reads it from a folder; ``allow_missing`` leaves faces out that are absent or broken.
      metrics: name in ``results.json`` -> metric; the first one is drawn.
      conventions: what the metrics mean, in words.
      points: the predicted points of the first metric, ``(n, m, 2)``.
      labels: the label set that they are drawn with, a name in `Benchmark.truth`.
      box: what normalises the first metric, for the axis of its curve.
    """

    open: OpenBenchmark
    metrics: Mapping[str, Metric]
    conventions: Mapping[str, str]
    points: Points
    labels: str
    box: str


_COORDINATES = "crop x, y = 121 - V_y, mapped to the image by the box; errors in image pixels"

BENCHMARKS: dict[str, BenchmarkKind] = {
    "aflw2000_3d": BenchmarkKind(
        open_aflw2000_3d,
        {
            "landmarks68_2d": measure.landmarks68_2d,
            "landmarks68_3d": measure.landmarks68_3d,
            "dense_2d": measure.dense_2d,
            "dense_3d": measure.dense_3d,
            "reconstruction_icp": measure.reconstruction_icp,
            "head_pose": measure.head_pose,
        },
        {
            "coordinates": _COORDINATES,
            "depth": "z_minimum: least z to 0 (2DASL's authors), z_mean: mean z to 0; depth scaled "
            "by the box's mean scale",
            "dense": "all vertices, against the mesh of the annotated coefficients (first 40 of "
            "shape, 10 of expression)",
            "reconstruction_icp": "every 50th vertex aligned rigidly, without scale, to every 50th "
            "true one; same_vertex: to the same vertex, nearest_point: to the nearest of all true "
            "vertices; over sqrt(w*h) of the true mesh's box",
            "head_pose": "mean absolute degrees; polar-decomposed rotation of the camera in image "
            "pixels against Pose_Para; within_99_degrees is what the field reports, all_images has "
            "faces annotated beyond 90 degrees of yaw, where angles are not unique",
        },
        measure.predicted68,
        "original",
        "the true 68-point box",
    ),
    "aflw_lfpa": BenchmarkKind(
        open_aflw_lfpa,
        {"landmarks34_2d": measure.landmarks34_2d},
        {"coordinates": _COORDINATES, "points": "34, visible ones, by the given index table"},
        measure.predicted34,
        "landmarks34_px",
        "the face box",
    ),
    "aflw": BenchmarkKind(
        open_aflw,
        {
            "visible_2d": measure.visible_2d,
            "landmarks68_2d": measure.landmarks68_2d,
            "landmarks21_2d": measure.landmarks21_2d,
        },
        {
            "coordinates": _COORDINATES,
            "visible_2d": "manual points that are visible: of 68 where a face has them, else of 21",
            "points": "21, visible ones; 68 to 21 by averages (eyes: six lid points, mouth: eight "
            "inner points, ears and chin: contour points 2, 14, 8)",
        },
        measure.predicted_manual,
        MANUAL,
        "the face",
    ),
    "rendered": BenchmarkKind(
        open_rendered,
        {"landmarks68_2d": measure.landmarks68_2d},
        {"coordinates": _COORDINATES},
        measure.predicted68,
        "true",
        "the true 68-point box",
    ),
}
"""``--config.benchmark`` -> how it is scored."""

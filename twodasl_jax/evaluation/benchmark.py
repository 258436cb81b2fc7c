"""What a benchmark is to the evaluator: faces, labels, and what was left out; predictions of it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from twodasl_jax.evaluation.coded_faces import CodedFaces


class LeftOut(NamedTuple):
    """A face that is not scored, and why."""

    file_name: str
    reason: str


class CannotMeasureError(ValueError):
    """A metric cannot be computed from these predictions; the message says what is missing."""


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A benchmark in memory, its photographs on disk.

    Attributes:
      name: key of `twodasl_jax.evaluation.benchmark_kinds.BENCHMARKS`.
      file_names: of the ``n`` faces; predictions are joined by them.
      crops: ``(n, size, size, 3)`` uint8 RGB, cut at `roi_box`.
      roi_box: ``(n, 4)`` the benchmark's boxes, image pixels.
      yaw_degrees: ``(n,)`` for the bins; NaN where the benchmark has no yaw.
      truth: name -> ``(n, ...)`` labels; metrics read them, nothing else does.
      label_sets: the names in `truth` that are labels of the 68 landmarks, to be scored by.
      published_detections: ``(n, 68, 2)`` image pixels, a detector's that came with the
        benchmark, or None.
      read_photo: index -> ``(h, w, 3)`` uint8 RGB; None where the data hold crops alone.
      roll_degrees: ``(n,)`` how far each head is turned in the picture's plane, NaN where that is
        not known; None where it is of no face.
      landmark_vertices: indices of the face model's vertices that are the benchmark's points, for
        AFLW-LFPA; or None.
      annotated_vertices: vertices of the face model of ``truth["coefficients"]``; 0 is not looked
        at.
      left_out: faces that are not scored.
      conventions: what the numbers mean, in words.
      notes: what some faces lack and other remarks, a sentence each.
    """

    name: str
    file_names: tuple[str, ...]
    crops: np.ndarray
    roi_box: np.ndarray
    yaw_degrees: np.ndarray
    truth: Mapping[str, np.ndarray]
    label_sets: tuple[str, ...]
    published_detections: np.ndarray | None
    read_photo: Callable[[int], np.ndarray] | None
    roll_degrees: np.ndarray | None = None
    landmark_vertices: np.ndarray | None = None
    annotated_vertices: int = 0
    left_out: tuple[LeftOut, ...] = ()
    conventions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.file_names)

    def without(self, rows: np.ndarray, reason: str) -> "Benchmark":
        """The benchmark without some of its faces, which are then named in `left_out`.

        Raises:
          ValueError: where none remains.
        """
        gone = np.isin(np.arange(len(self)), rows)
        if not gone.any():
            return self
        if gone.all():
            raise ValueError(f"all {len(self)} faces of {self.name} are left out: {reason}")
        kept = np.flatnonzero(~gone)
        read_photo, detections = self.read_photo, self.published_detections
        roll = self.roll_degrees
        left_out = [LeftOut(self.file_names[row], reason) for row in np.flatnonzero(gone)]
        return dataclasses.replace(
            self,
            file_names=tuple(self.file_names[row] for row in kept),
            crops=self.crops[kept],
            roi_box=self.roi_box[kept],
            yaw_degrees=self.yaw_degrees[kept],
            truth={name: array[kept] for name, array in self.truth.items()},
            published_detections=None if detections is None else detections[kept],
            roll_degrees=None if roll is None else roll[kept],
            read_photo=read_photo and (lambda index: read_photo(int(kept[index]))),
            left_out=(*self.left_out, *left_out),
        )


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What one system says about the faces of a benchmark, in the benchmark's order.

    Attributes:
      landmarks_px: ``(n, 68, 2)`` or with depth ``(n, 68, 3)``, image pixels.
      faces: what they are of, for meshes and cameras; None where only landmarks are known.
      conventions: ``crop_source`` and ``landmark_map_source``.

    Raises:
      ValueError: where a landmark is not finite.
    """

    landmarks_px: np.ndarray
    faces: CodedFaces | None
    conventions: Mapping[str, str]

    def __post_init__(self) -> None:
        broken = np.flatnonzero(~np.isfinite(self.landmarks_px).all(axis=(1, 2)))
        if len(broken):
            raise ValueError(
                f"{len(broken)} of {len(self.landmarks_px)} predictions give landmarks that are "
                f"not finite, first face {broken[0]}"
            )

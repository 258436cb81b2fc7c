"""Every setting of a benchmark to score on (``configs/evaluation.py``), and its type."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkSettings:
    """A benchmark, and how networks are shown its faces."""

    benchmark: str
    data_dir: str
    metrics: tuple[str, ...]
    crop_source: str
    landmark_map_source: str
    detector: str
    landmarks_file: str
    landmark_vertices: str
    fits: str = ""
    annotated_vertices: int
    allow_missing: bool
    error_curve_without_worst: int
    stage: str
    num_passes: int
    batch_size: int

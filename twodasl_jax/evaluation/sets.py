"""A benchmark that an experiment is scored on at each of its moments."""

from typing import NamedTuple

from twodasl_jax.evaluation.benchmark import Benchmark


class EvaluationSet(NamedTuple):
    """A benchmark, and what the network is shown of it.

    Attributes:
      name: in tables and file names.
      benchmark: faces and labels.
      images: which they are, in words, for the report.
      landmark_map_source: as in `twodasl_jax.evaluation.network_input.LANDMARK_MAP_SOURCES`.
    """

    name: str
    benchmark: Benchmark
    images: str
    landmark_map_source: str

"""The scoring config names what there is."""

from twodasl_jax.evaluation.benchmark_faces import BASEL_VERTICES
from twodasl_jax.evaluation.benchmark_kinds import BENCHMARKS
from twodasl_jax.evaluation.network_input import CROP_SOURCES, LANDMARK_MAP_SOURCES
from twodasl_jax.predict.faces.landmark_detectors import LANDMARK_DETECTORS


def test_it_names_a_benchmark_and_every_setting_has_its_default(load):
    config = load("evaluation")
    assert config.benchmark in BENCHMARKS
    assert config.crop_source in CROP_SOURCES
    assert config.landmark_map_source in LANDMARK_MAP_SOURCES
    assert config.detector in LANDMARK_DETECTORS
    assert config.annotated_vertices == BASEL_VERTICES

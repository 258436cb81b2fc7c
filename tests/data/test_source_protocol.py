"""Every source there is keeps the protocol."""

import numpy as np
import pytest

from twodasl_jax.data.held_out import SubsetSource
from twodasl_jax.data.source_protocol import AnnotatedSource, Source
from twodasl_jax.data.sources import RenderedSource, write_rendered
from twodasl_jax.data.tfds_source import TfdsSource


@pytest.fixture
def rendered(tmp_path):
    generator = np.random.default_rng(0)
    write_rendered(
        tmp_path / "set",
        images=generator.integers(0, 256, (4, 96, 96, 3)).astype(np.uint8),
        coefficients=generator.normal(size=(4, 62)).astype(np.float32),
        landmarks=generator.uniform(0, 96, (4, 68, 2)).astype(np.float32),
        yaw_degrees=np.zeros(4, np.float32),
        settings={"crop_size": 96},
    )
    return RenderedSource(tmp_path / "set")


def test_rendered_sets_and_parts_of_them_keep_it_in_any_size(rendered):
    part = SubsetSource(rendered, np.array([3, 1]))
    for source in (rendered, part):
        assert isinstance(source, AnnotatedSource)
        assert source.role == "annotated"
        assert source[1]["image"].shape == (96, 96, 3)
        assert len(source.identities()) == len(source.coefficients) == len(source)
    assert part.record_name(0) == rendered.record_name(3) == "picture 3"


def test_prepared_sets_keep_it():
    members = {name for name in vars(Source) if not name.startswith("_")} - {"role"}
    assert members == {"record_name", "identities"}
    assert members <= set(vars(TfdsSource))

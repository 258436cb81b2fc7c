"""Prepared benchmarks are opened as their original folders are."""

import numpy as np
import pytest
from rich.console import Console

from twodasl_jax.evaluation.benchmark_faces import open_aflw2000_3d, open_aflw_lfpa

OPEN = {"aflw2000_3d": open_aflw2000_3d, "aflw_lfpa": open_aflw_lfpa}


@pytest.mark.parametrize("name", OPEN)
def test_a_prepared_benchmark_is_the_original_one(build, repository, tmp_path, name):
    folder = repository / "tfds_builders" / name / "dummy_data"
    build(name, folder, tmp_path)
    version = tmp_path / name / "1.0.0"
    (version / "skipped.csv").write_text("file_name,reason\nx.jpg,broken\n")
    original = OPEN[name](folder, Console(quiet=True))
    for data_dir in (tmp_path, tmp_path / name, version):
        prepared = OPEN[name](data_dir, Console(quiet=True))
        assert prepared.file_names == original.file_names
        assert [tuple(face) for face in prepared.left_out] == [("x.jpg", "not prepared: broken")]
        np.testing.assert_array_equal(prepared.crops, original.crops)
        np.testing.assert_array_equal(prepared.roi_box, original.roi_box)
        for key, labels in original.truth.items():
            # Stored in float32; coefficients of a millimetre model, pixels of some hundred.
            np.testing.assert_allclose(prepared.truth[key], labels, rtol=1e-5, atol=1e-4)
    if name == "aflw2000_3d":
        np.testing.assert_array_equal(prepared.read_photo(2), original.read_photo(2))
    else:
        assert prepared.read_photo is None  # that builder keeps crops alone


def test_another_data_set_in_the_folder_is_refused(build, repository, tmp_path):
    build("umdfaces", repository / "tfds_builders" / "umdfaces" / "dummy_data", tmp_path)
    with pytest.raises(FileNotFoundError, match="holds neither AFLW2000/ nor a prepared"):
        open_aflw2000_3d(tmp_path, Console(quiet=True))
    with pytest.raises(ValueError, match=r"lacks .*landmarks_px"):
        open_aflw2000_3d(tmp_path / "umdfaces", Console(quiet=True))

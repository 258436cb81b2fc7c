"""Pictures: they are written, and show what they were given."""

import numpy as np
import pytest
from PIL import Image

from twodasl_jax.evaluation.pictures import (
    best_median_worst,
    write_contact_sheet,
    write_error_curve,
    write_loss_curves,
)


def test_faces_are_chosen_by_their_error():
    groups = best_median_worst(np.array([0.5, 0.1, 0.3, 0.2, 0.4, 0.6]), count=2)
    assert groups["best"].tolist() == [1, 3]
    assert groups["worst"].tolist() == [0, 5]
    assert set(groups["median"].tolist()) <= {2, 3, 4, 0}


def picture(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_contact_sheet_draws_the_landmarks(tmp_path):
    generator = np.random.default_rng(0)
    faces = np.full((6, 120, 120, 3), 128, np.uint8)
    points = generator.uniform(20, 100, (6, 68, 2))
    nme = np.linspace(0.01, 0.06, 6)
    write_contact_sheet(tmp_path / "a.png", faces, points, true=points + 5, nme=nme, title="t")
    write_contact_sheet(tmp_path / "b.png", faces, points, true=None, nme=nme, title="t")
    assert (picture(tmp_path / "a.png").shape[2]) == 3
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_curves_are_drawn(tmp_path):
    nme = np.linspace(0.01, 0.12, 50)
    write_error_curve(tmp_path / "sub" / "error.png", {"before": nme, "after": nme / 2}, title="t")
    write_loss_curves(
        tmp_path / "loss.png",
        {"stage1": {"loss": [(1, 5.0), (2, 0.1)]}, "stage2": {"vertex": [(1, 2.0)]}},
        title="t",
    )
    for name in ("sub/error.png", "loss.png"):
        assert picture(tmp_path / name).std() > 5  # not an empty sheet


def test_nothing_logged_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no metric was logged"):
        write_loss_curves(tmp_path / "loss.png", {"stage1": {}}, title="t")


def test_other_point_sets_are_drawn_as_dots(tmp_path):
    generator = np.random.default_rng(1)
    faces = np.full((3, 120, 120, 3), 128, np.uint8)
    points = generator.uniform(20, 100, (3, 21, 2))
    true = points + 8
    true[:, 12] = np.nan
    nme = np.linspace(0.01, 0.06, 3)
    write_contact_sheet(tmp_path / "a.png", faces, points, true=true, nme=nme, title="t")
    drawn = picture(tmp_path / "a.png").astype(int)
    reddish = (drawn[..., 0] - drawn[..., 1] > 80).sum()
    greenish = (drawn[..., 1] - drawn[..., 0] > 80).sum()
    assert reddish > 300
    assert greenish > 300

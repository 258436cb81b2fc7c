"""Pictures: they are written, and show what they were given."""

import numpy as np
from PIL import Image

from twodasl_jax.evaluation.pictures import (
    best_median_worst,
    write_error_curve,
    write_ranked_faces,
)


def test_faces_are_chosen_by_their_error():
    groups = best_median_worst(np.array([0.5, 0.1, 0.3, 0.2, 0.4, 0.6]), count=2)
    assert groups["best"].tolist() == [1, 3]
    assert groups["worst"].tolist() == [0, 5]
    assert set(groups["median"].tolist()) <= {2, 3, 4, 0}


def picture(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_ranked_faces_are_drawn_with_their_landmarks(tmp_path):
    generator = np.random.default_rng(0)
    faces = np.full((6, 120, 120, 3), 128, np.uint8)
    points = generator.uniform(20, 100, (6, 68, 2))
    nme = np.linspace(0.01, 0.06, 6)
    write_ranked_faces(tmp_path / "a.png", faces, points, true=points + 5, nme=nme, title="t")
    write_ranked_faces(tmp_path / "b.png", faces, points, true=None, nme=nme, title="t")
    assert (picture(tmp_path / "a.png").shape[2]) == 3
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_an_error_curve_is_drawn_and_may_leave_out_the_worst(tmp_path, monkeypatch):
    nme = np.linspace(0.01, 0.12, 50)
    drawn = []
    monkeypatch.setattr(
        "twodasl_jax.evaluation.pictures.save_figure", lambda figure, path: drawn.append(figure)
    )
    write_error_curve(tmp_path / "all.png", {"one": nme, "two": nme / 2}, title="t")
    write_error_curve(tmp_path / "best.png", {"one": nme}, title="t", without_worst=20)
    both, best = (figure.axes[0] for figure in drawn)
    assert [len(axes.get_lines()) for axes in (both, best)] == [2, 1]
    assert both.get_title() == "t"
    assert best.get_title() == "t, without the 20 largest errors"
    # The 30 best of 50 end at 7.5 %; mean and area are theirs too.
    at, share = best.get_lines()[0].get_data()
    assert share[at >= 7.6].min() == 100
    assert f"mean {100 * nme[:30].mean():.2f} %" in best.get_legend().get_texts()[0].get_text()


def test_other_point_sets_are_drawn_as_dots(tmp_path):
    generator = np.random.default_rng(1)
    faces = np.full((3, 120, 120, 3), 128, np.uint8)
    points = generator.uniform(20, 100, (3, 21, 2))
    true = points + 8
    true[:, 12] = np.nan
    nme = np.linspace(0.01, 0.06, 3)
    write_ranked_faces(tmp_path / "a.png", faces, points, true=true, nme=nme, title="t")
    drawn = picture(tmp_path / "a.png").astype(int)
    reddish = (drawn[..., 0] - drawn[..., 1] > 80).sum()
    greenish = (drawn[..., 1] - drawn[..., 0] > 80).sum()
    assert reddish > 300
    assert greenish > 300

"""Figures are saved whole."""

import pytest
from matplotlib.figure import Figure
from PIL import Image

from twodasl_jax.evaluation.figure_style import plain_axes, save_figure


def test_a_figure_is_a_png_of_the_asked_resolution_in_a_folder_that_is_made(tmp_path):
    figure = Figure(figsize=(2, 1))
    save_figure(figure, tmp_path / "new" / "a.png", dpi=50)
    with Image.open(tmp_path / "new" / "a.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (100, 50))


def test_a_figure_that_cannot_be_drawn_leaves_the_old_one(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"old")

    def half(_figure, path, **_options):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(KeyboardInterrupt):
        save_figure(Figure(), tmp_path / "a.png")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.png", b"old")]


def test_plain_axes_have_no_frame_at_the_top_and_right():
    axes = Figure().add_subplot()
    plain_axes(axes)
    assert [axes.spines[side].get_visible() for side in ("top", "right", "left")] == [
        False,
        False,
        True,
    ]

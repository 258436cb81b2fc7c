import numpy as np
import pytest
from PIL import Image

from twodasl_jax.evaluation import loss_curves
from twodasl_jax.evaluation.loss_curves import write_loss_curves

STAGES = {
    "stage1": {
        "loss": [(1, 5.0), (2, 0.1)],
        "share/cycle": [(1, 0.75), (2, 0.5)],
        "share/coefficient": [(1, 0.25), (2, 0.5)],
    },
    "stage2": {"vertex": [(1, 2.0)], "share/vertex": [(1, 1.0)]},
}


def test_curves_are_drawn(tmp_path):
    write_loss_curves(tmp_path / "loss.png", STAGES, title="t")
    with Image.open(tmp_path / "loss.png") as image:
        assert np.asarray(image.convert("RGB")).std() > 5  # not an empty sheet


def test_shares_have_one_panel_with_a_line_per_term(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(loss_curves, "save_figure", lambda figure, path: drawn.append(figure))
    write_loss_curves(tmp_path / "loss.png", STAGES, title="t")
    panels = {axes.get_title(): axes for axes in drawn[0].axes if axes.get_visible()}
    assert list(panels) == ["loss", "vertex", "share of the weighted sum"]
    lines = {line.get_label(): line for line in panels["share of the weighted sum"].get_lines()}
    assert set(lines) == {"cycle", "coefficient", "vertex"}
    steps, values = lines["vertex"].get_data()
    # Stage 2 begins where stage 1 ends.
    assert (steps[np.isfinite(values)], values[np.isfinite(values)]) == ([3], [1.0])
    # The stages' colours are the legend of the figure; the terms' is the panel's own.
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["stage1", "stage2"]


def test_nothing_logged_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no metric was logged"):
        write_loss_curves(tmp_path / "loss.png", {"stage1": {}}, title="t")

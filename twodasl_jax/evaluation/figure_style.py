"""How this package's figures look, and how they are saved.

Drawn with matplotlib's objects on an Agg canvas: no display, no state shared between figures.
"""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from twodasl_jax.whole_file import whole_file

LINE_COLOURS = ("#8c8c8c", "#2a6fdb", "#e4572e", "#2a9d4b", "#8e44ad", "#d4a017", "#17a2b8")
INK, GRID = "#333333", "#dddddd"


def plain_axes(axes: Axes) -> None:
    """A light grid behind the lines, and no frame at the top and right."""
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9)


def save_figure(figure: Figure, path: str | Path, *, dpi: int = 120) -> None:
    """Writes a PNG whole or not at all; its folder is made."""
    FigureCanvasAgg(figure)
    with whole_file(Path(path)) as unfinished:
        figure.savefig(unfinished, dpi=dpi, format="png")

import io

from rich.console import Console

from twodasl_jax.training.progress import ProgressDisplay


def test_a_line_shows_the_losses_and_leaves_their_shares_to_the_files():
    console = Console(file=io.StringIO(), width=100)
    with ProgressDisplay(console, "stage1", 0, 9) as display:
        display.show(3, {"cycle": 2.0, "share/cycle": 0.97, "loss": 2.5})
    assert console.file.getvalue() == "stage1 3/9  cycle 2  loss 2.5\n"

"""Which checkpoint a run goes on from; real files are damaged in `test_damaged_checkpoints`."""

from pathlib import Path

import pytest

from twodasl_jax.training.checkpoint_files import DamagedCheckpointError
from twodasl_jax.training.fall_back import require_on_damaged, restore_newest_whole


class Checkpoints:
    """Steps, newest first, of which some are damaged."""

    folder = Path("run/checkpoints")

    def __init__(self, steps, damaged):
        self._steps, self._damaged, self.moved = steps, damaged, []

    def steps(self):
        return self._steps

    def restore(self, template, *, step):
        if step in self._damaged:
            raise DamagedCheckpointError(f"step {step} is damaged")
        return (template, step)

    def set_aside(self, steps):
        self.moved = steps
        return [Path(f"{step}.damaged") for step in steps]


def restore(checkpoints, on_damaged="fall_back"):
    return restore_newest_whole(checkpoints, "template", on_damaged=on_damaged)


def test_the_newest_is_taken_where_it_is_whole(caplog):
    checkpoints = Checkpoints([30, 20, 10], damaged={20})
    assert restore(checkpoints) == ("template", 30)
    assert checkpoints.moved == []
    assert not caplog.records


def test_damaged_newer_ones_are_set_aside_and_each_is_said(caplog):
    checkpoints = Checkpoints([30, 20, 10], damaged={30, 20})
    assert restore(checkpoints) == ("template", 10)
    assert checkpoints.moved == [30, 20]
    assert [record.getMessage() for record in caplog.records] == [
        f"step {step} is damaged; it is kept as {step}.damaged, and the run goes on from step 10"
        for step in (30, 20)
    ]


def test_a_run_that_is_to_stop_looks_at_no_other():
    checkpoints = Checkpoints([30, 20], damaged={30})
    with pytest.raises(DamagedCheckpointError, match=r"step 30 is damaged; .* to 'fall_back'"):
        restore(checkpoints, "stop")
    assert checkpoints.moved == []


def test_where_none_is_whole_nothing_is_moved():
    checkpoints = Checkpoints([30, 20], damaged={30, 20})
    with pytest.raises(DamagedCheckpointError, match=r"step 30 .*no other .* move run/checkpoints"):
        restore(checkpoints)
    assert checkpoints.moved == []


def test_a_new_run_restores_nothing_and_a_typo_is_told_before_anything_is_read():
    assert restore(Checkpoints([], set())) is None
    with pytest.raises(ValueError, match="is 'fallback'; choose one of fall_back, stop"):
        restore(Checkpoints([30], set()), "fallback")
    with pytest.raises(ValueError, match="choose one of"):
        require_on_damaged("")

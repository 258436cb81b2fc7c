import errno
import os

import pytest

from twodasl_jax.file_errors import FileSystemError
from twodasl_jax.training.writers import CSV_NAME, MetricWriter, read_metrics


def test_numbers_come_back_exactly(tmp_path):
    with MetricWriter(tmp_path) as writer:
        writer.write(1, {"loss": 0.1, "nme": 2.5})
        writer.write(2, {"loss": 1e-7 / 3})
    assert read_metrics(tmp_path) == {"loss": [(1, 0.1), (2, 1e-7 / 3)], "nme": [(1, 2.5)]}
    assert list(tmp_path.glob("events.out.tfevents*"))


def test_resume_drops_rows_after_the_checkpoint_and_one_cut_short(tmp_path):
    with MetricWriter(tmp_path) as writer:
        for step in range(1, 6):
            writer.write(step, {"loss": float(step)})
    with (tmp_path / CSV_NAME).open("a") as file:
        file.write("6,lo")
    with MetricWriter(tmp_path, resumed_step=3) as writer:
        writer.write(4, {"loss": 40.0})
    assert read_metrics(tmp_path)["loss"] == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 40.0)]


def test_new_run_in_an_old_folder_starts_empty(tmp_path):
    with MetricWriter(tmp_path) as writer:
        writer.write(1, {"loss": 1.0})
    with MetricWriter(tmp_path):
        pass
    assert read_metrics(tmp_path) == {}


def test_foreign_or_absent_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="has a run been started there"):
        read_metrics(tmp_path)
    (tmp_path / CSV_NAME).write_text("epoch,loss\n1,2\n")
    with pytest.raises(ValueError, match="was not written by a training run"):
        MetricWriter(tmp_path)


def full(*_arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_under_the_events_is_one_sentence_and_no_waiting(tmp_path, monkeypatch):
    """tensorboardX's usual writer would wait for ever at its eleventh number."""
    monkeypatch.setattr("tensorboardX.record_writer.RecordWriter.flush", full)

    def write_many():
        with MetricWriter(tmp_path) as writer:
            for step in range(30):
                writer.write(step, {"loss": 0.5})

    with pytest.raises(FileSystemError, match=rf"cannot write {tmp_path}: no space left"):
        write_many()


def test_a_full_disk_at_the_start_leaves_the_old_rows(tmp_path, monkeypatch):
    with MetricWriter(tmp_path) as writer:
        writer.write(1, {"loss": 0.5})
    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(FileSystemError, match=r"metrics\.csv: no space left"):
        MetricWriter(tmp_path, resumed_step=1)
    assert read_metrics(tmp_path) == {"loss": [(1, 0.5)]}
    assert not list(tmp_path.glob("*.new"))

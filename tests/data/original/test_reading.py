import csv
import dataclasses
import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from twodasl_jax.data.original import reading
from twodasl_jax.data.original.reading import (
    SkippedFaces,
    num_processes,
    read_in_order,
    start_readers,
)


@dataclasses.dataclass(frozen=True)
class Numbered:
    number: int
    group: str = "all"

    @property
    def file_name(self):
        return f"{self.number}.jpg"


FACES = [Numbered(number) for number in range(200)]


# Not a function within another: those cannot be sent to a process.
def read_or_refuse(face, *, bad, error):
    if face.number in bad:
        raise error(f"number {face.number} is bad")
    return face.number


def refuse(*numbers, error=ValueError):
    return functools.partial(read_or_refuse, bad=numbers, error=error)


def die(face):
    if face.number == 130:
        os.kill(os.getpid(), signal.SIGKILL)
    return face.number


def process_id(face):
    return os.getpid()


def platforms(face):
    return os.environ["JAX_PLATFORMS"]


@pytest.fixture(scope="module", params=[1, 2])
def readers(request):
    """Threads of this process, and two processes."""
    with start_readers(request.param) as readers:
        yield readers


def test_faces_come_in_their_order_however_slow_each_is():
    first_may_finish = threading.Event()

    def read(face):
        if face.number == 0:
            assert first_may_finish.wait(timeout=60), "later faces were not read meanwhile"
        if face.number == 3 * reading.FACES_PER_CHUNK:
            first_may_finish.set()
        return face.number

    with start_readers(1) as readers:
        given = list(read_in_order(FACES, read, SkippedFaces(200), readers))
    assert given == list(range(200))


def test_no_more_than_a_window_is_read_ahead(monkeypatch):
    monkeypatch.setattr(reading, "FACES_PER_CHUNK", 1)
    started = []
    with start_readers(1) as readers:
        reader = read_in_order(FACES, lambda face: started.append(face), SkippedFaces(200), readers)
        next(reader)
        reader.close()
    assert len(started) <= reading.CHUNKS_AHEAD * reading.NUM_THREADS


def test_small_sets_are_read_by_threads_and_large_ones_by_a_process_per_core(monkeypatch):
    def allow(cores):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)

    allow(3)
    assert [num_processes(count) for count in (4, 8191, 8192, 10**6)] == [1, 1, 2, 3]
    allow(64)
    assert num_processes(10**6) == reading.MAX_PROCESSES
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert num_processes(10**6) == 2


@pytest.mark.parametrize("error", [ValueError, OSError])
def test_up_to_one_percent_is_skipped_and_noted(readers, error, tmp_path):
    skipped = SkippedFaces(200)
    given = list(read_in_order(FACES, refuse(5, 77, error=error), skipped, readers))
    assert given == [number for number in range(200) if number not in (5, 77)]
    skipped.write_csv(tmp_path / "skipped.csv")
    with (tmp_path / "skipped.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["file_name", "reason"],
            ["5.jpg", "number 5 is bad"],
            ["77.jpg", "number 77 is bad"],
        ]


def test_more_than_one_percent_stops_at_once_and_names_the_first(readers):
    skipped, given = SkippedFaces(200), []
    with pytest.raises(ValueError, match=r"3 of 200 .* 1%.*5\.jpg \(number 5 is bad\); 6\.jpg"):
        given.extend(read_in_order(FACES, refuse(5, 6, 7, 8), skipped, readers))
    assert given == [0, 1, 2, 3, 4]
    assert [name for name, _ in skipped.entries] == ["5.jpg", "6.jpg", "7.jpg"]


def test_the_share_is_of_all_faces_not_of_those_read_so_far(readers):
    skipped = SkippedFaces(1000)
    assert len(list(read_in_order(FACES[:20], refuse(*range(10)), skipped, readers))) == 10


def test_other_errors_are_mistakes_and_end_it_with_the_faces_name(readers):
    read = refuse(4, error=KeyError)
    with pytest.raises(ValueError, match=r"reading 4\.jpg failed with KeyError: .*mistake of the"):
        list(read_in_order(FACES, read, SkippedFaces(200), readers))


def test_a_killed_process_ends_it_in_a_sentence():
    told = pytest.raises(ChildProcessError, match=r"ended before its work was done.*prepare again")
    with start_readers(2) as readers, told:
        list(read_in_order(FACES, die, SkippedFaces(200), readers))


def test_processes_end_with_their_block_and_stay_off_the_gpu(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "some_gpu")
    before = set(multiprocessing.active_children())
    with start_readers(2) as readers:
        assert set(read_in_order(FACES, platforms, SkippedFaces(200), readers)) == {"cpu"}
        found = set(read_in_order(FACES, process_id, SkippedFaces(200), readers))
        assert found <= {child.pid for child in multiprocessing.active_children()}
        assert os.getpid() not in found
    assert set(multiprocessing.active_children()) <= before
    assert os.environ["JAX_PLATFORMS"] == "some_gpu"


PARENT = """
import signal
import sys
# Whoever starts the tests in the background of a shell has Ctrl-C ignored in all of them.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {repository!r})
from tests.data.original.test_reading import FACES, process_id
from twodasl_jax.data.original.reading import SkippedFaces, read_in_order, start_readers
with start_readers(2) as readers:
    while True:
        for number in read_in_order(FACES, process_id, SkippedFaces(200), readers):
            print(number, flush=True)
"""


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_its_parent(repository, signal_number):
    """Killed without a word, ended, or interrupted as by Ctrl-C: to its whole group."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(repository=str(repository))],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert parent.stdout is not None
    with parent:
        child = int(parent.stdout.readline())
        if signal_number == signal.SIGINT:
            os.killpg(parent.pid, signal_number)
        else:
            parent.send_signal(signal_number)
        # Every process of the group holds the pipe: its end means that all of them have ended.
        parent.stdout.read()
    assert parent.returncode == -signal_number
    assert not is_running(child)


def is_running(process):
    """Waits up to a minute for the system to clear an ended process away."""
    for _ in range(600):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    return True

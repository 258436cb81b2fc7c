import csv
import dataclasses
import threading

import pytest

from twodasl_jax.data.original.reading import SkippedFaces, read_in_order


@dataclasses.dataclass(frozen=True)
class Numbered:
    number: int
    group: str = "all"

    @property
    def file_name(self):
        return f"{self.number}.jpg"


FACES = [Numbered(number) for number in range(200)]


def refuse(*numbers, error=ValueError):
    def read(face):
        if face.number in numbers:
            raise error(f"number {face.number} is bad")
        return face.number

    return read


def test_faces_come_in_their_order_however_slow_each_is():
    first_may_finish = threading.Event()

    def read(face):
        if face.number == 0:
            assert first_may_finish.wait(timeout=60), "later faces were not read meanwhile"
        if face.number == 3:
            first_may_finish.set()
        return face.number

    given = [number for _, number in read_in_order(FACES, read, SkippedFaces(200), num_threads=2)]
    assert given == list(range(200))


def test_no_more_than_a_window_is_read_ahead():
    started = []

    def read(face):
        started.append(face.number)

    reader = read_in_order(FACES, read, SkippedFaces(200), num_threads=2)
    next(reader)
    reader.close()
    # Four per thread, and the one that took the first one's place.
    assert len(started) <= 9


@pytest.mark.parametrize("error", [ValueError, OSError])
def test_up_to_one_percent_is_skipped_and_noted(error, tmp_path):
    skipped = SkippedFaces(200)
    reader = read_in_order(FACES, refuse(5, 77, error=error), skipped, num_threads=3)
    assert len(list(reader)) == 198
    skipped.write_csv(tmp_path / "skipped.csv")
    with (tmp_path / "skipped.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["file_name", "reason"],
            ["5.jpg", "number 5 is bad"],
            ["77.jpg", "number 77 is bad"],
        ]


def test_more_than_one_percent_stops_at_once_and_names_the_first():
    skipped, given = SkippedFaces(200), []
    with pytest.raises(ValueError, match=r"3 of 200 .* 1%.*5\.jpg \(number 5 is bad\); 6\.jpg"):
        given.extend(face.number for face, _ in read_in_order(FACES, refuse(5, 6, 7, 8), skipped))
    assert given == [0, 1, 2, 3, 4]


def test_the_share_is_of_all_faces_not_of_those_read_so_far():
    skipped = SkippedFaces(1000)
    assert len(list(read_in_order(FACES[:20], refuse(*range(10)), skipped))) == 10


def test_other_errors_are_mistakes_and_pass():
    with pytest.raises(KeyError):
        list(read_in_order(FACES, refuse(4, error=KeyError), SkippedFaces(200)))
